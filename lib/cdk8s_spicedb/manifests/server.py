"""The servers: Deployment, Service, ServiceAccount, the Role with which they find each other, what keeps them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..labels import CHECKSUM, Component, selector_labels
from ..props import ServerProps, SpiceDBProps
from ..props.flags import EnvVar, arguments, container_env, variable
from .availability import availability_manifests, topology_spread
from .checksum import migration_checksum
from .dispatch import dispatch_manifests, dispatch_settings
from .exposure import exposure_manifests
from .metadata import Objects
from .monitoring import monitoring_manifests
from .network import network_policy
from .ports import open_ports
from .probe import probes
from .telemetry import telemetry_env, telemetry_settings
from .template import Manifest, container, omit_empty, pod_template, termination_log
from .tls import tls_files, tls_settings


def server_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The objects of the servers."""
    objects = Objects(props, Component.SERVER)
    account = [] if props.server.service_account else [objects.service_account(props.service_account_annotations)]
    return [
        *account,
        *exposure_manifests(props, objects),
        *dispatch_manifests(props, objects),
        objects.make("Deployment", {"spec": _deployment(props)}, annotations=_reload(props.server)),
        *availability_manifests(props, objects),
        *network_policy(props, objects, Component.SERVER),
        *monitoring_manifests(props, objects),
    ]


def _deployment(props: SpiceDBProps) -> Manifest:
    files = [*props.datastore.files(), *props.datastore.settings_files(), *tls_files(props.server)]
    template = pod_template(
        props,
        Component.SERVER,
        props.server,
        [container("spicedb", props.full_image, props.server, files=files, **_program(props))],
        files=files,
        annotations=_checksum(props),
        token=props.dispatches,
        serviceAccountName=props.service_account,
        terminationGracePeriodSeconds=props.server.termination_seconds,
        topologySpreadConstraints=topology_spread(props),
    )
    return {
        # The autoscaler's to set where there is one; it and a release would otherwise take turns.
        **({} if props.server.autoscaling else {"replicas": props.replicas}),
        **omit_empty({"progressDeadlineSeconds": props.progress_deadline_seconds}),
        "selector": {"matchLabels": selector_labels(props.name, Component.SERVER)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(props.server)},
        "template": template,
    }


def _reload(server: ServerProps) -> Mapping[str, str]:
    return {"reloader.stakater.com/auto": "true"} if server.restart_on_secret_change else {}


def _rolling_update(server: ServerProps) -> Manifest:
    return {"maxSurge": server.max_surge, "maxUnavailable": server.max_unavailable}


def _checksum(props: SpiceDBProps) -> Mapping[str, str]:
    return {CHECKSUM: migration_checksum(props.migration)} if props.datastore.migrates else {}


def _program(props: SpiceDBProps) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "command": ["spicedb", "serve"],
        "args": _arguments(props),
        "env": container_env(_env(props)),
        "ports": [{"name": name, "containerPort": port} for name, port in open_ports(props).items()],
        **probes(props.server),
    }
    if props.server.pre_stop_sleep_seconds:
        fields["lifecycle"] = {"preStop": {"sleep": {"seconds": props.server.pre_stop_sleep_seconds}}}
    return fields


def _env(props: SpiceDBProps) -> tuple[EnvVar, ...]:
    own = [EnvVar(name, value) for name, value in props.server.env.items()]
    return (*_preshared_keys(props), *props.datastore.env(), *telemetry_env(props), *own)


def _preshared_keys(props: SpiceDBProps) -> tuple[EnvVar, ...]:
    flag = "grpc-preshared-key"
    if not props.other_preshared_keys:
        return (variable(flag, props.preshared_key),)
    # The first is the one that servers use among themselves.
    keys = [
        EnvVar(f"PRESHARED_KEY_{number}", key)
        for number, key in enumerate((props.preshared_key, *props.other_preshared_keys), 1)
    ]
    return (*keys, variable(flag, ",".join(f"$({key.name})" for key in keys)))


def _arguments(props: SpiceDBProps) -> list[str]:
    server = props.server
    settings: dict[str, Any] = {
        "log-level": server.log_level,
        "log-format": server.log_format,
        "grpc-shutdown-grace-period": server.shutdown_grace_period,
        "http-enabled": server.http_enabled or None,
        "metrics-enabled": None if server.metrics_enabled else False,
        **tls_settings(server),
        **telemetry_settings(props),
        **dispatch_settings(props),
        "datastore-migration-phase": server.datastore_migration_phase,
        "experimental-schema-mode": server.schema_mode,
        "termination-log-path": termination_log(props),
        **props.datastore.settings(),
        "datastore-allowed-migrations": props.allowed_migrations,
    }
    return [*arguments(settings), *server.extra_args]
