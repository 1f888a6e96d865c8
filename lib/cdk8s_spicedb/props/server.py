"""Settings of the servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

import attrs
from annotated_types import Interval, Unit
from attrs import field, frozen

from ..versions import ALLOWED_MIGRATIONS, SCHEMA_MODE_FLAG, SchemaMode
from .fields import Message, OneOf, Pattern
from .flags import Flag, flag_of
from .monitoring import Tracing
from .network import ExternalService, GRPCRoute, Ingress
from .pod import PodProps, Resources, default_resources
from .secrets import CA, SecretKey, ServiceAccountName, name_of, required_ca, required_secret_key
from .types import (
    Annotations,
    Argument,
    Count,
    Hour,
    LogLevel,
    NodeLabel,
    Percent,
    PodPort,
    Port,
    Revision,
    Seconds,
    SecretName,
)

DEFAULT_REPLICAS = 2
GRPC_ADDRESS, METRICS_ADDRESS = "grpc-addr", "metrics-addr"
DISPATCH_PORT = 50053
"""Port on which servers listen for the requests of each other."""
H2C = "kubernetes.io/h2c"
"""The protocol HTTP/2 without TLS, as Kubernetes names it."""
SERVICE_PORTS = ("grpc", "http", "metrics")
"""Names of the ports of the Services for clients."""


@frozen(kw_only=True)
class Autoscaling:
    """A HorizontalPodAutoscaler, which sets the number of servers by their load.

    It needs a metrics server in the cluster. If you change a running SpiceDB from ``replicas`` to autoscaling, it has
    one server until the autoscaler first acts, because Kubernetes defaults a missing number of replicas to 1.
    """

    max_replicas: Count
    """Maximum number of servers. Required, because the database needs connections for all of them."""
    min_replicas: Count = DEFAULT_REPLICAS
    """Minimum number of servers. Defaults to 2, so that one can stop without a lost request."""
    cpu_utilization: Percent | None = 75
    """Target CPU utilization, in percent of the requested CPU. Defaults to 75, because a new server needs a moment
    before it takes load."""
    memory_utilization: Percent | None = None
    """Target memory utilization, in percent of the requested memory. Defaults to none: caches fill the memory that they
    get and keep it, so memory use says little about the load."""
    external: bool = False
    """Whether another program scales the servers, such as KEDA with a ScaledObject for the Deployment. Then there is no
    HorizontalPodAutoscaler, the targets above have no effect, and ``min_replicas`` and ``max_replicas`` tell this
    package the limits of that program. Defaults to False."""


@frozen(kw_only=True)
class TopologySpread:
    """Spreads the servers over the nodes (``topologySpreadConstraints``)."""

    topology_key: NodeLabel
    """Label of nodes, such as ``topology.kubernetes.io/zone``. Servers are spread over its values. Required."""
    max_skew: Count = 1
    """Maximum difference in the number of servers between two values of the label. Defaults to 1, the most even
    spread."""
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """What Kubernetes does with a server if every node would exceed ``max_skew``. Defaults to ``ScheduleAnyway``,
    because a server in the wrong place is better than none."""


SPREAD = (
    TopologySpread(topology_key="topology.kubernetes.io/zone"),
    TopologySpread(topology_key="kubernetes.io/hostname"),
)
"""Over zones and over nodes."""


_Seconds = Annotated[int, Unit("seconds"), Interval(ge=1, le=3600)]


@frozen(kw_only=True)
class Probe:
    """Timing of a probe. You cannot change what the probe checks, because a wrong check stops healthy servers."""

    initial_delay_seconds: Annotated[int, Unit("seconds"), Interval(ge=0, le=3600)] | None = None
    """Delay before the first probe, in seconds (``initialDelaySeconds``). Defaults to 0, as in Kubernetes."""
    period_seconds: _Seconds | None = None
    """Time between probes, in seconds (``periodSeconds``). Defaults to 10, as in Kubernetes."""
    timeout_seconds: _Seconds | None = None
    """Maximum time for an answer, in seconds (``timeoutSeconds``). Defaults to 1, as in Kubernetes."""
    failure_threshold: Count | None = None
    """Number of failures in a row after which the probe has failed (``failureThreshold``). Defaults to 3, as in
    Kubernetes."""


_KEYS = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
"""Their names in Secrets of type kubernetes.io/tls, and in those of cert-manager."""
T = TypeVar("T", bound="TLS")


@frozen(kw_only=True)
class TLS:
    """A certificate and its private key, from Secrets that already exist.

    When the Secret changes, gRPC and dispatch use the new certificate without a restart, as soon as Kubernetes has
    updated the files in the pods. This takes up to two minutes. The HTTP gateway and metrics use the new certificate
    after the next restart of the server (SpiceDB up to v1.56): see ``ServerProps.restart_on_secret_change``.

    If all files are in one Secret, as cert-manager writes it, use the short form: ``TLS.from_secret("NAME")`` in
    Python, or ``fromSecret: NAME`` in a file, instead of the props below.
    """

    certificate: Annotated[SecretKey, Flag("…-cert-path")] = field(converter=required_secret_key)
    """Secret and key that hold the certificate and its intermediate certificates (PEM). Required."""
    key: Annotated[SecretKey, Flag("…-key-path")] = field(converter=required_secret_key)
    """Secret and key that hold the private key of the certificate (PEM). Required."""

    short: ClassVar[str] = "from_secret"
    """The class method that makes the props from one value, as ``fromSecret: NAME`` does in a file."""

    @classmethod
    def from_secret(cls: type[T], name: SecretName) -> T:
        """From a Secret of type ``kubernetes.io/tls``: its keys ``tls.crt`` and ``tls.key``, and for dispatch
        ``ca.crt``."""
        fields = [setting.name for setting in attrs.fields(cast(Any, cls))]
        return cls(**{setting: SecretKey(name, _KEYS[setting]) for setting in fields})


@frozen(kw_only=True)
class DispatchTLS(TLS):
    """TLS between the servers. Each server is also a client of the others.

    The certificate must contain the DNS name ``NAME-dispatch-tls.NAMESPACE``, such as ``spicedb-dispatch-tls.authz``.
    SpiceDB expects that name, whatever the addresses of the other servers are. A changed ``ca`` takes effect at the
    next restart.
    """

    ca: Annotated[CA, Flag("dispatch-upstream-ca-path")] = field(converter=required_ca)
    """Secret or ConfigMap, and key, that hold the CA certificates (PEM) that verify the certificates of the other
    servers (``--dispatch-upstream-ca-path``). Required: without it, servers would send plain text to servers that
    expect TLS."""


_Protocol = Annotated[
    str,
    Pattern(r"([-a-z0-9.]+/)?[A-Za-z0-9][-A-Za-z0-9]*", "a protocol of Kubernetes or of a mesh"),
    Message(fix=f"use {H2C!r}, or 'grpc' for Istio"),
]
_Share = Annotated[
    Annotated[int, Interval(ge=0, le=1000)] | Annotated[str, Pattern(r"(100|\d{1,2})%")],
    Message("a whole number, or a percentage such as '25%'", "use 1, or '25%'"),
]
"""A number of pods, or a percentage of them."""


@frozen(kw_only=True)
class ServerProps(PodProps):
    """The servers: their Deployment and their Services."""

    # Log and shutdown
    log_level: LogLevel = "info"
    """Minimum level of logged messages (``--log-level``). Defaults to ``info``, as in SpiceDB."""
    log_format: Annotated[Literal["auto", "console", "json"], Flag("log-format")] = "json"
    """Format of the log of servers and migration (``--log-format``). ``auto`` is ``console`` on a terminal. Defaults to
    ``json``, which log collectors parse."""
    shutdown_grace_period: Annotated[Hour, Flag("grpc-shutdown-grace-period")] = timedelta(seconds=10)
    """Time that a server gives running requests to finish when it stops (``--grpc-shutdown-grace-period``). Defaults to
    10 s, more than SpiceDB's 5 s, because large lookups take longer. After this time, the server closes streams that
    are still open."""
    shutdown_drain_delay: Annotated[Hour, Flag("grpc-shutdown-drain-delay")] | None = None
    """Time before ``shutdown_grace_period`` in which a stopping server still accepts new requests, but tells health
    checks that it is stopping (``--grpc-shutdown-drain-delay``, SpiceDB 1.57 and later). Set it if clients or a load
    balancer watch SpiceDB's health service. It comes after ``pre_stop_sleep_seconds``, in which the server still
    reports that it serves. Defaults to none, because Kubernetes removes a stopping server from the Service.
    ``pre_stop_sleep_seconds`` gives Kubernetes the time to do so."""

    # Ports
    http_enabled: Annotated[bool, Flag("http-enabled")] = False
    """Serves the HTTP gateway on ``http_port`` (``--http-enabled``). Defaults to off, as in SpiceDB: clients use
    gRPC."""
    metrics_enabled: Annotated[bool, Flag("metrics-enabled")] = True
    """Serves Prometheus metrics on ``metrics_port`` (``--metrics-enabled``). Defaults to on, as in SpiceDB. The port
    also serves profiles of the SpiceDB process (pprof), without a key."""
    grpc_port: Annotated[PodPort, Flag(GRPC_ADDRESS, computed=True)] = 50051
    """Port of the pods for gRPC (``--grpc-addr``). Probes, Services and NetworkPolicies follow. Defaults to 50051, as
    in SpiceDB. Clients connect to the port of the Service: see ``service_ports``."""
    http_port: Annotated[PodPort, Flag("http-addr", computed=True)] = 8443
    """Port of the pods for the HTTP gateway (``--http-addr``). Defaults to 8443, as in SpiceDB."""
    metrics_port: Annotated[PodPort, Flag(METRICS_ADDRESS, computed=True)] = 9090
    """Port of the pods for metrics (``--metrics-addr``). Defaults to 9090, as in SpiceDB."""
    metrics_address: Annotated[Literal["127.0.0.1", "::1"], Flag(METRICS_ADDRESS, computed=True)] | None = None
    """Address on which pods serve metrics (``--metrics-addr``). ``127.0.0.1`` is for an agent in the same pod: nobody
    else reaches the metrics, so Services and NetworkPolicies do not have the port. Defaults to every address of the
    pod."""
    service_ports: Mapping[Annotated[str, OneOf(SERVICE_PORTS)], Port] = field(factory=dict)
    """Ports of the Services for clients, by name (``grpc``, ``http``, ``metrics``), such as ``{"grpc": 80}``. Defaults
    to the ports of the pods."""
    grpc_tls: Annotated[TLS, Flag("grpc-tls-…")] | None = None
    """Certificate of the gRPC port (``--grpc-tls-cert-path`` and ``--grpc-tls-key-path``). It must contain the DNS
    names that clients use, such as ``spicedb.authz.svc``. Defaults to no TLS."""
    http_tls: Annotated[TLS, Flag("http-tls-…")] | None = None
    """Certificate of the HTTP gateway (``--http-tls-cert-path`` and ``--http-tls-key-path``). Defaults to no TLS."""
    metrics_tls: Annotated[TLS, Flag("metrics-tls-…")] | None = None
    """Certificate of the metrics port (``--metrics-tls-cert-path`` and ``--metrics-tls-key-path``). Defaults to no
    TLS."""
    dispatch_tls: Annotated[DispatchTLS, Flag("dispatch-cluster-tls-…")] | None = None
    """Certificate for dispatch, the requests between servers (``--dispatch-cluster-tls-cert-path``,
    ``--dispatch-cluster-tls-key-path`` and ``--dispatch-upstream-ca-path``). It must contain the DNS name
    ``NAME-dispatch-tls.NAMESPACE``. It switches on dispatch: see ``dispatch_enabled``. Defaults to no TLS. You can
    switch it on and off under load, because servers with TLS and servers without it do not dispatch to each other."""

    # Observability
    telemetry_enabled: Annotated[
        bool, Flag("telemetry-endpoint", inverse=True), Flag("skip-release-check", inverse=True)
    ] = False
    """Lets servers send usage reports to the SpiceDB maintainers, and ask GitHub for newer releases
    (``--telemetry-endpoint``, ``--skip-release-check``). Defaults to off, unlike in SpiceDB: servers contact nobody
    outside the cluster unless you enable it."""
    tracing: Annotated[Tracing, Flag("otel-…")] | None = None
    """Traces of requests. Defaults to none."""

    # Dispatch
    dispatch_enabled: (
        Annotated[bool, Flag("dispatch-cluster-enabled", computed=True), Flag("dispatch-upstream-addr", computed=True)]
        | None
    ) = None
    """Enables dispatch: servers pass parts of a request to each other, and so share their work and their caches
    (``--dispatch-cluster-enabled`` and ``--dispatch-upstream-addr``). They watch the Endpoints of a Service to find
    each other. Defaults to off, unless you set ``dispatch_tls``. If a node dies, servers that dispatch fail most
    requests until Kubernetes notices, about 50 s later. Servers that do not dispatch fail only the requests to the dead
    server. In measurements, dispatch saved the database up to 33 % of its work, but the servers used 1.6 to 2.9
    times the CPU time. If you have many servers, and caches can answer many requests, measure both."""

    # Probes
    readiness_probe: Probe = Probe(period_seconds=2, timeout_seconds=2)
    """Timing of the readiness probe, which asks SpiceDB's health service whether the server can answer requests.
    Defaults to a probe every 2 s, for fast roll-outs."""
    liveness_probe: Probe = Probe(initial_delay_seconds=30, failure_threshold=6)
    """Timing of the liveness probe, which only checks that the port is open. Defaults to a probe every 10 s, the first
    one after 30 s. After six failures in a row, the server restarts."""
    startup_probe: Probe | None = None
    """Timing of a startup probe, which delays the other probes until the port is open. Defaults to none: SpiceDB opens
    its port within seconds, so the initial delay of the liveness probe is enough."""

    # Exposure
    service_annotations: Annotations = field(factory=dict)
    """Annotations of the Service, such as those of a service mesh. Defaults to none."""
    app_protocol: _Protocol | None = None
    """Protocol of the Services' gRPC port (``appProtocol``). Set it for Gateways and meshes that do not recognize gRPC
    by the port's name, ``grpc``. Use ``kubernetes.io/h2c`` for gRPC without TLS. Defaults to none."""
    headless_service: bool = False
    """Adds the headless Service ``NAME-headless``, which has no address of its own. Its DNS name resolves to the
    addresses of all servers that are ready, so that a gRPC client spreads its requests itself:
    ``dns:///NAME-headless.NAMESPACE:50051`` with the policy ``round_robin``. It has the ports of the pods. Defaults to
    off: behind the Service, each connection of a client stays with one server."""
    external_service: ExternalService | None = None
    """Service for clients outside the cluster. Defaults to none."""
    ingress: Ingress | None = None
    """Ingress for clients outside the cluster. Defaults to none."""
    grpc_route: GRPCRoute | None = None
    """GRPCRoute for clients outside the cluster. Defaults to none."""

    # Availability
    replicas: Count | None = None
    """Number of servers. Defaults to 2, so that one can stop without a lost request. With the memory engine, it
    defaults to 1, because several servers would not see each other's data."""
    autoscaling: Autoscaling | None = None
    """HorizontalPodAutoscaler that sets the number of servers instead of ``replicas``. Defaults to none."""
    disruption_budget: Count | None = 1
    """Maximum number of servers that may be unavailable while nodes are drained (``maxUnavailable`` of a
    PodDisruptionBudget), if there is more than one. Defaults to 1. None renders no PodDisruptionBudget."""
    max_surge: _Share | None = None
    """Maximum number or percentage of additional servers in a roll-out (``maxSurge``). Defaults to ``50%``, so that a
    roll-out takes about the same time with any number of servers. While the old servers drain, up to twice as many
    servers as usual have connections to the database. If ``datastore.max_connections`` does not allow that, defaults to
    the largest number that it allows, at least 1."""
    max_unavailable: _Share = 0
    """Maximum number or percentage of unavailable servers in a roll-out (``maxUnavailable``). Defaults to 0, so that
    the load of the other servers does not grow."""
    topology_spread: Sequence[TopologySpread] = SPREAD
    """How servers are spread over nodes, if there is more than one server. Defaults to an even spread over zones and
    over nodes, as far as possible (``ScheduleAnyway``)."""
    pre_stop_sleep_seconds: Annotated[int, Unit("seconds"), Interval(ge=0, le=3600)] = 5
    """Time that a server keeps serving before it stops, in seconds (``lifecycle.preStop.sleep``). Defaults to 5, so
    that all nodes and clients learn that it stops. Behind a cloud load balancer, use the load balancer's deregistration
    delay. 0 disables it."""
    termination_grace_period_seconds: Seconds | None = None
    """Time after which Kubernetes kills a server that is still stopping, in seconds. Defaults to the sum of
    ``pre_stop_sleep_seconds``, ``shutdown_drain_delay``, twice ``shutdown_grace_period``, and 5 s. The grace period
    counts twice, because the server finishes the requests of clients first, and then the requests of other servers."""
    restart_on_secret_change: bool = False
    """Lets Stakater's Reloader restart the servers, in a rolling update, when a Secret that they read changes
    (``reloader.stakater.com/auto``). Defaults to off: a changed password, for example, takes effect with the next
    release. Certificates of gRPC and dispatch never need a restart."""

    # Schema of the datastore
    datastore_migration_phase: Annotated[Revision, Flag("datastore-migration-phase")] | None = None
    """Phase of a migration that takes several roll-outs (``--datastore-migration-phase``), for PostgreSQL at SpiceDB
    1.14 and Spanner at 1.22. Other releases reject it or only log it. Defaults to none."""
    schema_mode: Annotated[SchemaMode, Flag(SCHEMA_MODE_FLAG)] | None = None
    """Tables in which servers read and write the SpiceDB schema (``--experimental-schema-mode``, SpiceDB 1.53 and
    later). Change the mode one step at a time, with one rolling update each, in this order:
    ``read-legacy-write-legacy``, ``read-legacy-write-both``, ``read-new-write-both``, ``read-new-write-new``. Defaults
    to SpiceDB's default, the first mode."""
    allowed_migrations: Annotated[Sequence[Revision], Flag(ALLOWED_MIGRATIONS, computed=True)] | None = None
    """Datastore revisions on which a server becomes ready, in addition to the head (the newest revision) of its own
    release (``--datastore-allowed-migrations``, SpiceDB 1.39 and later). Defaults to the heads of the later releases
    that this package knows, because a server that restarts during an upgrade or after a rollback finds the newer
    schema. An empty list allows only its own head."""

    # The program
    service_account: ServiceAccountName | None = field(default=None, converter=name_of)
    """Your own ServiceAccount for the servers, by name or as a cdk8s-plus object. With dispatch, it gets the right to
    watch the Endpoints of the Service. The migration uses it too, unless it has its own. Defaults to a new
    ServiceAccount with the name of this SpiceDB and no other rights."""
    extra_args: Sequence[Argument] = ()
    """More arguments of ``spicedb serve``, for flags that no prop sets. A flag that a prop sets, or that the release
    does not have, is an error. Defaults to none."""
    resources: Resources = default_resources("250m", "256Mi", limits=("2", "1Gi"))
    """Resources of each server. Defaults to requests of 250m CPU, 256Mi memory and 64Mi disk for logs, and limits of 2
    CPUs, 1Gi memory and 1Gi disk, which is enough to start with. SpiceDB sizes its caches by the memory limit."""

    @property
    def drain_seconds(self) -> int:
        """Time that a server needs to stop: the sleep, the drain delay and twice the grace period, rounded up."""
        delay, grace = self.shutdown_drain_delay or timedelta(0), self.shutdown_grace_period
        seconds = [-(-time // timedelta(seconds=1)) for time in (delay, grace)]
        return self.pre_stop_sleep_seconds + seconds[0] + 2 * seconds[1]

    @property
    def termination_seconds(self) -> int:
        """Time after which Kubernetes kills a server that is still stopping, in seconds."""
        return self.termination_grace_period_seconds or self.drain_seconds + 5


LOG_LEVEL, LOG_FORMAT = flag_of(ServerProps, "log_level"), flag_of(ServerProps, "log_format")
DRAIN_DELAY = flag_of(ServerProps, "shutdown_drain_delay")
TRACES = flag_of(ServerProps, "tracing.provider")
MIGRATION_PHASE = flag_of(ServerProps, "datastore_migration_phase")
SCHEMA_MODE = flag_of(ServerProps, "schema_mode")
