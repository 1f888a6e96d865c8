"""Settings of the servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from annotated_types import Interval, Unit
from attrs import field, frozen

from .annotations import Message, Pattern
from .availability import SPREAD, Autoscaling, TopologySpread
from .exposure import ExternalService, GRPCRoute, Ingress
from .monitoring import Tracing
from .pod import PodProps, Resources, default_resources
from .probe import Probe
from .secrets import EnvValue, ServiceAccountName, account_name, with_secret_keys
from .tls import TLS, DispatchTLS
from .types import Annotations, Argument, Count, EnvName, Hour, LogLevel, Revision, SchemaMode, Seconds

_Protocol = Annotated[
    str,
    Pattern(r"([-a-z0-9.]+/)?[A-Za-z0-9][-A-Za-z0-9]*", "a protocol of Kubernetes or of a mesh"),
    Message(fix="use 'kubernetes.io/h2c', or 'grpc' for Istio"),
]
_Share = Annotated[
    Annotated[int, Interval(ge=0, le=1000)] | Annotated[str, Pattern(r"(100|\d{1,2})%")],
    Message("a whole number, or a percentage such as '25%'", "use 1, or '25%'"),
]
"""A number of pods, or a percentage of them."""


@frozen(kw_only=True)
class ServerProps(PodProps):
    """The servers: their Deployment, their Services, and how they find each other."""

    # Ports
    http_enabled: bool = False
    """Serves the HTTP gateway on port 8443 (``--http-enabled``). Defaults to off, as in SpiceDB: clients use gRPC."""
    metrics_enabled: bool = True
    """Serves Prometheus metrics on port 9090 (``--metrics-enabled``). Defaults to on, as in SpiceDB. The port also
    serves profiles of the SpiceDB process (pprof), without a key."""
    grpc_tls: TLS | None = None
    """Certificate of the gRPC port (``--grpc-tls-cert-path`` and ``--grpc-tls-key-path``). It must contain the DNS
    names that clients use, such as ``spicedb.authz.svc``. Defaults to no TLS."""
    http_tls: TLS | None = None
    """Certificate of the HTTP gateway (``--http-tls-cert-path`` and ``--http-tls-key-path``). Defaults to no TLS."""
    metrics_tls: TLS | None = None
    """Certificate of the metrics port (``--metrics-tls-cert-path`` and ``--metrics-tls-key-path``). Defaults to no
    TLS."""
    dispatch_tls: DispatchTLS | None = None
    """Certificate for dispatch, the requests between servers (``--dispatch-cluster-tls-cert-path``,
    ``--dispatch-cluster-tls-key-path`` and ``--dispatch-upstream-ca-path``). It must contain the DNS name
    ``NAME-dispatch-tls.NAMESPACE``. Defaults to no TLS. You can switch it on and off under load, because servers with
    TLS and servers without it do not dispatch to each other."""
    dispatch_enabled: bool | None = None
    """Enables dispatch: servers pass parts of a request to each other, and so share their work and their caches
    (``--dispatch-cluster-enabled`` and ``--dispatch-upstream-addr``). They watch the Endpoints of a Service to find
    each other. Defaults to on. With the memory engine it is off, because there is only one server."""

    # Observability
    tracing: Tracing | None = None
    """Traces of requests. Defaults to none."""
    telemetry_enabled: bool = False
    """Lets servers send usage reports to the SpiceDB maintainers, and ask GitHub for newer releases
    (``--telemetry-endpoint``, ``--skip-release-check``). Defaults to off, unlike in SpiceDB: servers contact nobody
    outside the cluster unless you enable it."""
    log_level: LogLevel = "info"
    """Minimum level of logged messages (``--log-level``). Defaults to ``info``, as in SpiceDB."""
    log_format: Literal["auto", "console", "json"] = "json"
    """Format of the log of servers and migration (``--log-format``). ``auto`` is ``console`` on a terminal. Defaults to
    ``json``, which log collectors parse."""

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
    shutdown_grace_period: Hour = timedelta(seconds=10)
    """Time that a server gives running requests to finish when it stops (``--grpc-shutdown-grace-period``). Defaults to
    10 s, more than SpiceDB's 5 s, because large lookups take longer. After this time, the server closes streams that
    are still open."""
    pre_stop_sleep_seconds: Annotated[int, Unit("seconds"), Interval(ge=0, le=3600)] = 5
    """Time that a server keeps serving before it stops, in seconds (``lifecycle.preStop.sleep``). Defaults to 5, so
    that all nodes and clients learn that it stops. Behind a cloud load balancer, use the load balancer's deregistration
    delay. 0 disables it."""
    termination_grace_period_seconds: Seconds | None = None
    """Time after which Kubernetes kills a server that is still stopping, in seconds. Defaults to the sum of
    ``pre_stop_sleep_seconds``, twice ``shutdown_grace_period``, and 5 s. The grace period counts twice, because the
    server finishes the requests of clients first, and then the requests of other servers."""
    restart_on_secret_change: bool = False
    """Lets Stakater's Reloader restart the servers, in a rolling update, when a Secret that they read changes
    (``reloader.stakater.com/auto``). Defaults to off: a changed password, for example, takes effect with the next
    release. Certificates of gRPC and dispatch never need a restart."""

    # Schema of the datastore
    allowed_migrations: Sequence[Revision] | None = None
    """Datastore revisions on which a server becomes ready, in addition to the head (the newest revision) of its own
    release (``--datastore-allowed-migrations``, SpiceDB 1.39 and later). Defaults to the heads of the later releases
    that this package knows, because a server that restarts during an upgrade or after a rollback finds the newer
    schema. ``()`` allows only its own head."""
    schema_mode: SchemaMode | None = None
    """Tables in which servers read and write the SpiceDB schema (``--experimental-schema-mode``, SpiceDB 1.53 and
    later). Change the mode one step at a time, with one rolling update each, in this order:
    ``read-legacy-write-legacy``, ``read-legacy-write-both``, ``read-new-write-both``, ``read-new-write-new``. Defaults
    to SpiceDB's default, the first mode."""
    datastore_migration_phase: Revision | None = None
    """Phase of a migration that takes several roll-outs (``--datastore-migration-phase``), for PostgreSQL at SpiceDB
    1.14 and Spanner at 1.22. Other releases reject it or only log it. Defaults to none."""

    # The program
    service_account: ServiceAccountName | None = field(default=None, converter=account_name)
    """Your own ServiceAccount for the servers, by name or as a cdk8s-plus object. With dispatch, it gets the right to
    watch the Endpoints of the Service. Defaults to a new ServiceAccount with the name of this SpiceDB and no other
    rights."""
    extra_args: Sequence[Argument] = ()
    """More arguments of ``spicedb serve``, after this package's own, so that they take precedence. Defaults to none."""
    env: Mapping[EnvName, EnvValue] = field(factory=dict, converter=with_secret_keys)
    """More environment variables of the servers. SpiceDB ignores misspelled SPICEDB_* variables, so prefer
    ``extra_args``. Defaults to none. The migration has its own variables, ``MigrationProps.env``."""
    resources: Resources = default_resources("250m", "256Mi", limits=("2", "1Gi"))
    """Resources of each server. Defaults to requests of 250m CPU, 256Mi memory and 64Mi disk for logs, and limits of 2
    CPUs, 1Gi memory and 1Gi disk, which is enough to start with. SpiceDB sizes its caches by the memory limit."""

    @property
    def tls(self) -> Mapping[str, TLS]:
        """The TLS of each port that has it, by the port's name."""
        ports = ("grpc", "http", "metrics", "dispatch")
        return {port: tls for port in ports if (tls := getattr(self, f"{port}_tls")) is not None}

    @property
    def drain_seconds(self) -> int:
        """Time that a server needs to stop: the sleep and twice the grace period, rounded up."""
        return self.pre_stop_sleep_seconds + 2 * -(-self.shutdown_grace_period // timedelta(seconds=1))

    @property
    def termination_seconds(self) -> int:
        """Time after which Kubernetes kills a server that is still stopping, in seconds."""
        return self.termination_grace_period_seconds or self.drain_seconds + 5
