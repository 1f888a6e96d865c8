"""The servers: their Deployment, Services, ServiceAccount and more, and with dispatch the Role for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..labels import CHECKSUM, POD_TEMPLATE_HASH, Component
from ..props import ServerProps, SpiceDBProps
from ..props.fields import manifest_of
from ..props.flags import PRESHARED_KEY, TERMINATION_LOG, Setting, arguments, flagged, flags_of, settings_of
from ..props.monitoring import Monitoring
from ..props.secrets import ConfigMapKey, EnvVar, SecretFiles, SecretKey, container_env, variable
from ..versions import ALLOWED_MIGRATIONS
from .jobs import migration_checksum
from .network import exposure_manifests, network_policy
from .objects import Manifest, Objects, api_rule, omit_empty
from .pods import (
    DISPATCH,
    DISPATCH_TLS,
    GRPC,
    address_settings,
    dispatch_port,
    dispatch_service,
    numbers,
    offline_settings,
    open_ports,
    pod_template,
    termination_log,
)


def _availability_manifests(objects: Objects) -> Iterator[Manifest]:
    props, server = objects.props, objects.props.server
    # With one server, a budget would either have no effect or block the drain of its node.
    if server.disruption_budget is not None and props.replicas > 1:
        spec = {
            "maxUnavailable": server.disruption_budget,
            "selector": {"matchLabels": objects.selector},
            # A server that is not ready serves no requests, so it must not block the drain of its node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        yield objects.make("policy/v1", "PodDisruptionBudget", spec=spec, annotations=_order(props))
    if server.autoscaling and not server.autoscaling.external:
        targets = {"cpu": server.autoscaling.cpu_utilization, "memory": server.autoscaling.memory_utilization}
        metrics = [
            {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}
            for name, percent in targets.items()
            if percent is not None
        ]
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": objects.name},
            "minReplicas": server.autoscaling.min_replicas,
            "maxReplicas": server.autoscaling.max_replicas,
            "metrics": [{"type": "Resource", "resource": metric} for metric in metrics],
        }
        yield objects.make("autoscaling/v2", "HorizontalPodAutoscaler", spec=spec, annotations=_order(props))


def _order(props: SpiceDBProps) -> Mapping[str, str]:
    """The annotations of the servers, and of what is healthy only with them, if they wait for the migration."""
    waits = props.migrates and not props.migration.hook
    return props.delivery.after_migration if waits else {}


def _topology_spread(objects: Objects) -> list[Manifest]:
    props = objects.props
    return [
        {
            "maxSkew": spread.max_skew,
            "topologyKey": spread.topology_key,
            "whenUnsatisfiable": spread.when_unsatisfiable,
            "labelSelector": {"matchLabels": objects.selector},
            # Otherwise the old servers of a roll-out count too, and the new servers end up unevenly spread.
            "matchLabelKeys": [POD_TEMPLATE_HASH],
        }
        for spread in (props.server.topology_spread if props.max_replicas > 1 else ())
    ]


def _dispatch_manifests(objects: Objects) -> Iterator[Manifest]:
    props = objects.props
    if props.datastore.max_replicas == 1:
        return
    if props.dispatches:
        # SpiceDB resolves kubernetes:///… by reading and watching the Endpoints of that one Service.
        rule = api_rule("endpoints", "get", "watch", name=dispatch_service(props, dispatch_port(props)))
        yield from objects.role(rule, account=props.service_account)
    for port in (DISPATCH, DISPATCH_TLS):
        spec = {
            "clusterIP": "None",
            "selector": objects.selector,
            "ports": [{"name": port, "port": numbers(props)[port], "targetPort": port}],
        }
        yield objects.make("v1", "Service", spec=spec, name=dispatch_service(props, port))


def _dispatch_settings(props: SpiceDBProps) -> dict[str, Setting]:
    if not props.dispatches:
        return {}
    enabled, address = (flag.name for flag in flags_of(ServerProps)["dispatch_enabled"])
    port = dispatch_port(props)
    # Without a namespace, SpiceDB uses the pod's own.
    return {enabled: True, address: f"kubernetes:///{dispatch_service(props, port)}:{port}"}


_FOLDER = "/etc/spicedb/tls"
_SUFFIXES = {"certificate": ".crt", "key": ".key", "ca": "-ca.crt"}


def _files(server: ServerProps) -> dict[str, tuple[str, SecretKey | ConfigMapKey]]:
    """The certificates and keys of all ports: the name of each file and the key that holds it, by flag."""
    files: dict[str, tuple[str, SecretKey | ConfigMapKey]] = {}
    for path, flag, key in flagged(server):
        if isinstance(key, SecretKey | ConfigMapKey):
            prop, part = path.split(".")
            files[flag.name] = (f"{prop.removesuffix('_tls')}{_SUFFIXES[part]}", key)
    return files


def server_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The objects of the servers."""
    objects = Objects(props, Component.SERVER)
    account = [] if props.given_service_account else [objects.service_account(props.service_account_annotations)]
    manifests = [
        *account,
        *exposure_manifests(objects),
        *_dispatch_manifests(objects),
        _deployment(objects),
        *_availability_manifests(objects),
        *network_policy(objects),
    ]
    if props.monitoring != Monitoring():
        from .alerts import monitoring_manifests  # Imported only if it is configured: imports take time.

        manifests += monitoring_manifests(objects)
    return manifests


def _deployment(objects: Objects) -> Manifest:
    props, server = objects.props, objects.props.server
    certificates = dict(_files(server).values())
    # A whole folder, because Kubernetes does not update a file that is mounted by itself.
    tls = [SecretFiles("tls", _FOLDER, certificates)] if certificates else []
    template = pod_template(
        objects,
        server,
        _container(props),
        files=[*props.datastore.files(), *props.datastore.settings_files(), *tls],
        annotations={CHECKSUM: migration_checksum(props.migration)} if props.datastore.migrates else {},
        token=props.dispatches,
        serviceAccountName=props.service_account,
        terminationGracePeriodSeconds=server.termination_seconds,
        topologySpreadConstraints=_topology_spread(objects),
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
    return objects.make("apps/v1", "Deployment", spec=omit_empty(spec), annotations={**reload, **_order(props)})


def _container(props: SpiceDBProps) -> Manifest:
    server, seconds = props.server, props.server.pre_stop_sleep_seconds
    # Kubernetes' own gRPC probe does not support TLS. This program is in SpiceDB's image. It connects to its own pod
    # only, so it does not need to verify the certificate.
    tls_probe = ["grpc_health_probe", f"-addr=:{server.grpc_port}", "-tls", "-tls-no-verify"]
    serves = {"exec": {"command": tls_probe}} if server.grpc_tls else {"grpc": {"port": server.grpc_port}}
    listens = {"tcpSocket": {"port": GRPC}}
    return {
        "name": "spicedb",
        "image": props.full_image,
        "command": ["spicedb", "serve"],
        "args": _arguments(props),
        "env": container_env(_env(props)),
        "ports": [{"name": name, "containerPort": port} for name, port in open_ports(props).items()],
        # SpiceDB reports that it serves once it can work with the datastore's schema.
        "readinessProbe": {**serves, **manifest_of(server.readiness_probe)},
        # Checks only the port: Kubernetes must not kill a server that waits for a migration or a database.
        "livenessProbe": {**listens, **manifest_of(server.liveness_probe)},
        "startupProbe": {**listens, **manifest_of(server.startup_probe)} if server.startup_probe else None,
        "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}} if seconds else None,
    }


def _env(props: SpiceDBProps) -> list[EnvVar]:
    tracing, own = props.server.tracing, props.pods_of(Component.SERVER).env
    # Without a user name, servers that send traces stop, and an image may not define it. The name of the service comes
    # from the variable since v1.57, and before from the argument.
    traces = {"USER": "spicedb", "OTEL_SERVICE_NAME": tracing.service_name} if tracing else {}
    more = [EnvVar(name, value) for name, value in traces.items() if name not in own]
    return [*_preshared_keys(props), *props.datastore.env(), *more]


def _preshared_keys(props: SpiceDBProps) -> list[EnvVar]:
    if not props.other_preshared_keys:
        return [variable(PRESHARED_KEY, props.preshared_key)]
    # Servers use the first key among themselves.
    keys = enumerate((props.preshared_key, *props.other_preshared_keys), 1)
    variables = [EnvVar(f"PRESHARED_KEY_{number}", key) for number, key in keys]
    return [*variables, variable(PRESHARED_KEY, ",".join(f"$({each.name})" for each in variables))]


def _arguments(props: SpiceDBProps) -> list[str]:
    server = props.server
    settings = {
        **settings_of(server),
        # A flag keeps the place that it has among the settings of the servers.
        **{flag: f"{_FOLDER}/{file}" for flag, (file, _) in _files(server).items()},
        **address_settings(props),
        **offline_settings(props),
        **_dispatch_settings(props),
        TERMINATION_LOG: termination_log(props),
        **props.datastore.settings(),
    }
    return [*arguments(settings), *arguments({ALLOWED_MIGRATIONS: props.allowed_migrations}), *server.extra_args]
