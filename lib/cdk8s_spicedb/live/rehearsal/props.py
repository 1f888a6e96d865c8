"""The SpiceDB of a rehearsal: the live one, without what is outside of its namespace."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve, fields_dict

from ...delivery import Delivery
from ...props import MigrationProps, PodSettings, ServerProps, SpiceDBProps
from ...props.secrets import SecretKey
from ..instance import Running
from .databases import NAME, engine_of
from .place import LABEL

KEY = SecretKey(NAME, "password")
"""The preshared key of the rehearsal: there is one secret for everything."""
P = TypeVar("P", PodSettings, ServerProps, MigrationProps)
_OUTSIDE = (
    "service_account",
    "service_account_annotations",
    "extra_volumes",
    "extra_volume_mounts",
    "init_containers",
    "extra_containers",
    "priority_class_name",
    # Of servers.
    "grpc_tls",
    "http_tls",
    "metrics_tls",
    "dispatch_tls",
    "tracing",
    "ingress",
    "grpc_route",
    "external_service",
    "service_annotations",
    "autoscaling",
    "restart_on_secret_change",
    # Of the migration.
    "datastore_uri",
)
"""Settings that need objects of the live namespace, or that others outside would see."""


def rehearsed(props: SpiceDBProps, running: Running) -> SpiceDBProps:
    """The props for the namespace of a rehearsal, with as many servers as run."""
    server = _inside(props.server)
    tls = props.server.dispatch_tls is not None
    return SpiceDBProps(
        name=props.name,
        version=props.version,
        image=props.image,
        image_pull_policy=props.image_pull_policy,
        image_pull_secrets=props.image_pull_secrets,
        openshift=props.openshift,
        datastore=engine_of(props.datastore).datastore(props.datastore),
        preshared_key=KEY,
        delivery=Delivery.KUBECTL,
        pods=_inside(props.pods),
        server=evolve(
            server,
            replicas=running.replicas if props.datastore.max_replicas is None else None,
            dispatch_enabled=True if tls else server.dispatch_enabled,
        ),
        migration=_inside(props.migration),
        labels={LABEL: props.name},
        accept_advisories=props.accept_advisories,
        releases=props.releases,
    )


def _inside(settings: P) -> P:
    """Settings of pods with the defaults of everything outside, and without variables from Secrets."""
    known = fields_dict(type(settings))
    empty = type(settings)()
    changes = {name: getattr(empty, name) for name in _OUTSIDE if name in known}
    env = {name: value for name, value in settings.env.items() if isinstance(value, str)}
    return evolve(settings, env=env, **changes)
