"""The servers: their Deployment, Services, ServiceAccount, the Role by which they find each other, and more."""

from __future__ import annotations

from typing import Any

from ..labels import CHECKSUM, Component
from ..props import SpiceDBProps
from ..props.flags import EnvVar, arguments, container_env, variable
from .availability import availability_manifests, topology_spread
from .checksum import migration_checksum
from .dispatch import dispatch_manifests, dispatch_settings
from .exposure import exposure_manifests
from .manifest import Manifest, omit_empty
from .metadata import Objects
from .monitoring import monitoring_manifests
from .network import network_policy
from .ports import GRPC, NUMBERS, open_ports
from .telemetry import telemetry_env, telemetry_settings
from .template import pod_template, termination_log
from .tls import tls_files, tls_settings

_TLS_PROBE = ("grpc_health_probe", f"-addr=:{NUMBERS[GRPC]}", "-tls", "-tls-no-verify")
"""Kubernetes' own gRPC probe does not support TLS. This program is in SpiceDB's image. It connects to its own pod only,
so it does not need to verify the certificate."""


def server_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The objects of the servers."""
    objects = Objects(props, Component.SERVER)
    account = [] if props.server.service_account else [objects.service_account(props.service_account_annotations)]
    return [
        *account,
        *exposure_manifests(objects),
        *dispatch_manifests(objects),
        _deployment(objects),
        *availability_manifests(objects),
        *network_policy(objects),
        *monitoring_manifests(objects),
    ]


def _deployment(objects: Objects) -> Manifest:
    props, server = objects.props, objects.props.server
    template = pod_template(
        objects,
        server,
        _container(props),
        files=[*props.datastore.files(), *props.datastore.settings_files(), *tls_files(server)],
        annotations={CHECKSUM: migration_checksum(props.migration)} if props.datastore.migrates else {},
        token=props.dispatches,
        serviceAccountName=props.service_account,
        terminationGracePeriodSeconds=server.termination_seconds,
        topologySpreadConstraints=topology_spread(objects),
    )
    rolling_update = {"maxSurge": props.max_surge, "maxUnavailable": server.max_unavailable}
    spec = {
        # With an autoscaler, a release must not reset the number of replicas.
        "replicas": None if server.autoscaling else props.replicas,
        "progressDeadlineSeconds": props.progress_deadline_seconds,
        "selector": {"matchLabels": objects.selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling_update},
        "template": template,
    }
    reload = {"reloader.stakater.com/auto": "true"} if server.restart_on_secret_change else {}
    return objects.make("apps/v1", "Deployment", spec=omit_empty(spec), annotations=reload)


def _container(props: SpiceDBProps) -> Manifest:
    server, seconds = props.server, props.server.pre_stop_sleep_seconds
    serves = {"exec": {"command": list(_TLS_PROBE)}} if server.grpc_tls else {"grpc": {"port": NUMBERS[GRPC]}}
    listens = {"tcpSocket": {"port": GRPC}}
    return {
        "name": "spicedb",
        "image": props.full_image,
        "command": ["spicedb", "serve"],
        "args": _arguments(props),
        "env": container_env(_env(props)),
        "ports": [{"name": name, "containerPort": port} for name, port in open_ports(props).items()],
        # SpiceDB reports that it serves once it can work with the datastore's schema.
        "readinessProbe": {**serves, **server.readiness_probe.manifest()},
        # Checks only the port: Kubernetes must not kill a server that waits for a migration or a database.
        "livenessProbe": {**listens, **server.liveness_probe.manifest()},
        "startupProbe": {**listens, **server.startup_probe.manifest()} if server.startup_probe else None,
        "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}} if seconds else None,
    }


def _env(props: SpiceDBProps) -> list[EnvVar]:
    own = [EnvVar(name, value) for name, value in props.server.env.items()]
    return [*_preshared_keys(props), *props.datastore.env(), *telemetry_env(props), *own]


def _preshared_keys(props: SpiceDBProps) -> list[EnvVar]:
    flag = "grpc-preshared-key"
    if not props.other_preshared_keys:
        return [variable(flag, props.preshared_key)]
    # Servers use the first key among themselves.
    keys = [
        EnvVar(f"PRESHARED_KEY_{number}", key)
        for number, key in enumerate((props.preshared_key, *props.other_preshared_keys), 1)
    ]
    return [*keys, variable(flag, ",".join(f"$({key.name})" for key in keys))]


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
