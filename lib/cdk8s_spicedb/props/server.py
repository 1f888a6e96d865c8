"""The servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ..checks import check, duration, each, flag, mapping, one_of, optional, rule, show, text, whole_number
from ..errors import Problem
from ..modes import SCHEMA_MODES
from ..secret import SecretKey, required_secret_key
from .account import account_name, service_account_check
from .availability import Availability
from .monitoring import Telemetry
from .pod import RESOURCES, PodProps, Resources, default_resources
from .ports import Ports
from .probe import Probes
from .service import Exposure

if TYPE_CHECKING:
    from cdk8s_plus_27 import SecretValue

LOG_LEVELS = ("trace", "debug", "info", "warn", "error")

_SECRET_FLAGS = ("--grpc-preshared-key", "--datastore-conn-uri", "--datastore-read-replica-conn-uri")
_REVISION = text(
    r"[A-Za-z0-9][-_A-Za-z0-9]*",
    "the names of migration revisions",
    "write them as SpiceDB does, such as 'add-caveats'",
)


def log_level_check() -> Any:
    return one_of(*LOG_LEVELS)


def _is_argument(value: object) -> bool:
    return isinstance(value, str) and value.startswith("--") and not value.startswith(_SECRET_FLAGS)


def _with_secret_keys(env: Mapping[str, str | SecretKey | SecretValue]) -> Mapping[str, str | SecretKey]:
    if not isinstance(env, Mapping):
        return env
    return {name: value if isinstance(value, str) else required_secret_key(value) for name, value in env.items()}


@frozen(kw_only=True)
class ServerProps(Availability, Exposure, Probes, Telemetry, Ports, PodProps):
    """The Deployment, its Service and what the servers need to find each other."""

    log_level: str = field(default="info", metadata=log_level_check())
    """The least severe messages that are logged (``--log-level``). Default: ``info``, SpiceDB's own."""
    log_format: str = field(default="json", metadata=one_of("auto", "console", "json"))
    """``json``, ``console``, or ``auto``, which is ``console`` on a terminal (``--log-format``), of servers and
    migration. Default: ``json``, what log collectors parse."""
    shutdown_grace_period: timedelta = field(
        default=timedelta(seconds=10),
        metadata=duration(
            timedelta(seconds=1), timedelta(hours=1), "give the longest that a request may take: timedelta(seconds=30)"
        ),
    )
    """How long a server that stops lets running requests end (``--grpc-shutdown-grace-period``). Default: 10 s, above
    SpiceDB's 5 s, because large lookups take longer; streams that never end are cut then."""
    pre_stop_sleep_seconds: int = field(default=5, metadata=whole_number(0, 3600, unit="seconds"))
    """How long a server goes on as if nothing were before it stops, in seconds (``lifecycle.preStop.sleep``). Default:
    5, the time until every node and client has heard that it leaves; behind a cloud load balancer take its
    deregistration delay. 0: no wait."""
    termination_grace_period_seconds: int | None = field(
        default=None, metadata=optional(whole_number(1, 86400, unit="seconds"))
    )
    """When Kubernetes kills a server that is still stopping, in seconds. Default: the sleep, twice the grace period
    (requests and dispatched requests drain one after the other) and 5 s more."""
    allowed_migrations: Sequence[str] | None = field(default=None, metadata=optional(each(_REVISION)))
    """The datastore revisions besides its own head on which a server starts (``--datastore-allowed-migrations``,
    SpiceDB 1.39 and later). Default: the heads of the later releases that this package knows, because a server that
    restarts during an upgrade, or comes back by a rollback, finds the newer schema. ``()``: only its own head."""
    schema_mode: str | None = field(default=None, metadata=optional(one_of(*SCHEMA_MODES)))
    """Which schema tables the servers read and write (``--experimental-schema-mode``, SpiceDB 1.53 and later). Go
    through the modes in their order, one rolling restart each. Default: SpiceDB's own, the first."""
    datastore_migration_phase: str | None = field(default=None, metadata=optional(_REVISION))
    """The phase of a migration that spans several roll-outs (``--datastore-migration-phase``): PostgreSQL at SpiceDB
    1.14, Spanner at 1.22; other releases take none or only log it. Default: none."""
    restart_on_secret_change: bool = field(default=False, metadata=flag())
    """Lets Stakater's Reloader, where the cluster has it, restart the servers one after the other when a Secret that
    they read changes (``reloader.stakater.com/auto``). Default: off; what a variable holds, such as a password, then
    counts from the next release on. The certificates of gRPC and dispatch count at once in either case."""
    service_account: str | None = field(
        default=None, converter=account_name, metadata=optional(service_account_check())
    )
    """A ServiceAccount of your own for the servers, by name or as cdk8s-plus' object; with dispatch it may watch the
    endpoints of the Service for that. Default: one that has the release's name and can do nothing else."""
    extra_args: Sequence[str] = field(
        factory=tuple,
        metadata=each(
            check(
                "an argument such as '--dispatch-max-depth=100', none of those that carry a secret",
                _is_argument,
                "write '--flag=value'; secrets go into preshared_key, datastore and env",
                shown=False,
                schema={"type": "string", "pattern": "^--"},
            )
        ),
    )
    """More arguments for ``spicedb serve``, after this package's own, so that they win. Default: none."""
    env: Mapping[str, str | SecretKey] = field(
        factory=dict,
        converter=_with_secret_keys,
        metadata=mapping(
            text(r"[A-Za-z_][A-Za-z0-9_]*", "the names of environment variables", "write names such as 'GOMAXPROCS'"),
            check(
                "a str or a SecretKey(name, key)",
                lambda value: isinstance(value, (str, SecretKey)),
                "quote values, and name the Secret key of secret ones",
                shown=False,
                schema={"anyOf": [{"type": "string"}, {"kind": SecretKey}]},
            ),
        ),
    )
    """More environment variables of the servers. SpiceDB ignores a misspelt SPICEDB_* variable without a word; prefer
    ``extra_args``. Default: none."""
    resources: Resources = field(
        default=default_resources("250m", "256Mi", most=("2", "1Gi")),
        metadata=RESOURCES,
    )
    """What each server asks for and may use. Default: 250m CPU and 256Mi memory, at most 2 CPUs and 1Gi, and
    64Mi to 1Gi of the node's disk, for logs: enough to start with; SpiceDB sizes its caches by the memory limit."""

    @property
    def termination_seconds(self) -> int:
        """The grace period that Kubernetes gives a server, in seconds."""
        return self.termination_grace_period_seconds or self._drain_seconds + 5

    @property
    def _drain_seconds(self) -> int:
        """The sleep and twice the grace period, which is rounded up."""
        return self.pre_stop_sleep_seconds + 2 * -(-self.shutdown_grace_period // timedelta(seconds=1))

    @rule("autoscaling", "resources")
    def _use_is_of_a_request(self) -> Iterator[Problem]:
        if self.autoscaling is None:
            return
        for name in ("cpu", "memory"):
            if getattr(self.autoscaling, f"{name}_utilization") is not None and name not in self.resources.requests:
                yield Problem(
                    f"autoscaling.{name}_utilization",
                    show(getattr(self.autoscaling, f"{name}_utilization")),
                    f"nothing without resources.requests.{name}, of which it is a percentage",
                    f"give resources.requests.{name}, or write {name}_utilization=None",
                )

    @rule("termination_grace_period_seconds", "pre_stop_sleep_seconds", "shutdown_grace_period")
    def _time_to_drain(self) -> Iterator[Problem]:
        needed, given = self._drain_seconds, self.termination_grace_period_seconds
        if given is not None and given < needed:
            yield Problem(
                "termination_grace_period_seconds",
                show(given),
                f"at least {needed}: pre_stop_sleep_seconds and twice shutdown_grace_period",
                "leave it out, or lower the other two; a server that is killed loses requests",
            )
