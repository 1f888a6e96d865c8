"""What the engines share whose database has one primary: PostgreSQL and MySQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from attrs import field, frozen

from ..checks import Metadata, check, duration, each, optional, rule
from ..env import EnvVar, Setting, variable
from ..errors import Problem
from ..secret import SecretKey, as_secret_key
from .host import is_host
from .pool import POOL, Pool
from .sql import SQLDatastore

_REPLICAS = "datastore-read-replica-conn-uri"
_MOST_REPLICAS = 16


def _as_replicas(replicas: Sequence[object]) -> object:
    # What is no sequence is left to the check.
    return tuple(map(as_secret_key, replicas)) if isinstance(replicas, (list, tuple)) else replicas


def _time(example: str) -> Metadata:
    return duration(timedelta(seconds=1), timedelta(days=1), f"give a time such as {example}")


def _is_replica(value: object) -> bool:
    return isinstance(value, SecretKey) or is_host(value)


@frozen(kw_only=True, slots=False)
class PrimaryDatastore(SQLDatastore):
    """An SQL engine with one primary that takes writes, and maybe replicas that follow it."""

    credentials_provider: str | None = field(
        default=None,
        metadata=optional(
            check(
                "aws-iam",
                lambda value: value == "aws-iam",
                "'aws-iam' is the only provider that SpiceDB has; leave it out to use a password",
                schema={"const": "aws-iam"},
            )
        ),
    )
    """Who gives the password at each connection (``--datastore-credentials-provider-name``, SpiceDB 1.32 and later).
    ``aws-iam``: AWS, to the role that ``service_account_annotations`` names. Default: nobody, ``password`` counts."""
    gc_interval: timedelta | None = field(
        default=None,
        metadata=optional(_time("timedelta(minutes=3)")),
    )
    """How often servers remove revisions that are older than ``gc_window`` (``--datastore-gc-interval``). Default:
    SpiceDB's own, 3 min."""
    gc_max_operation_time: timedelta | None = field(
        default=None,
        metadata=optional(_time("timedelta(minutes=1)")),
    )
    """How long one such removal may take (``--datastore-gc-max-operation-time``). Default: SpiceDB's own, 1 min; more
    where its log says that removals time out."""
    read_replicas: Sequence[str | SecretKey] = field(
        factory=tuple,
        converter=_as_replicas,
        metadata=each(
            check(
                "a host that is reached like the primary, or a SecretKey(name, key) with a whole URI",
                _is_replica,
                "give hosts, such as 'replica-1.db', where the primary is given by its parts",
                shown=False,
                schema={"anyOf": [{"type": "string"}, {"kind": SecretKey}]},
            )
        ),
    )
    """Replicas of the database that servers read from when they have what is asked for, at most 16
    (``--datastore-read-replica-conn-uri``, SpiceDB 1.35 and later): hosts, for which port, database, user, password and
    TLS are those of the primary, or Secret keys with whole URIs. A host that stands for several replicas would change
    between requests: name each by itself. SpiceDB takes one of them as a variable and several as arguments alone;
    Kubernetes puts what is secret into those when the container starts, and manifests hold references. Default:
    none."""
    read_replica_pool: Pool | None = field(default=None, metadata=optional(POOL))
    """The connections to each of the read replicas (``--datastore-read-replica-conn-pool-read-…``). Default: SpiceDB's
    own, 20."""

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        return (*super().env(uri=uri, migrate=migrate), *(() if migrate else self._replica_env()))

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        pool = self.read_replica_pool or Pool()
        several = len(self.read_replicas) > 1
        provider = self.credentials_provider if self.read_replicas else None
        return {
            **super().settings(),
            "datastore-gc-interval": self.gc_interval,
            "datastore-gc-max-operation-time": self.gc_max_operation_time,
            "datastore-read-replica-credentials-provider-name": provider,
            _REPLICAS: [self._as_argument(number) for number in range(len(self.read_replicas))] if several else None,
            **pool.settings("datastore-read-replica-conn-pool-read"),
        }

    def _provider(self) -> tuple[EnvVar, ...]:
        provider = self.credentials_provider
        return (variable("datastore-credentials-provider-name", provider),) if provider else ()

    def _replica_env(self) -> tuple[EnvVar, ...]:
        if len(self.read_replicas) == 1:
            [replica] = self.read_replicas
            return (variable(_REPLICAS, replica if isinstance(replica, SecretKey) else self._uri_of(replica)),)
        return tuple(
            EnvVar(_replica_name(number), replica)
            for number, replica in enumerate(self.read_replicas)
            if isinstance(replica, SecretKey)
        )

    def _as_argument(self, number: int) -> str:
        replica = self.read_replicas[number]
        return f"$({_replica_name(number)})" if isinstance(replica, SecretKey) else self._uri_of(replica)

    @rule("read_replicas")
    def _so_many_replicas(self) -> Iterator[Problem]:
        if len(self.read_replicas) > _MOST_REPLICAS:
            allowed = f"at most {_MOST_REPLICAS}"
            yield Problem("read_replicas", f"({len(self.read_replicas)} of them)", allowed, "leave some out")

    @rule("read_replicas", "uri")
    def _hosts_have_parts(self) -> Iterator[Problem]:
        if self.uri is not None and any(isinstance(replica, str) for replica in self.read_replicas):
            yield Problem(
                "read_replicas",
                "(hosts, not shown)",
                "SecretKeys with whole URIs when uri is given",
                "put each replica's URI into a Secret, or give the primary by its parts",
            )

    @rule("read_replicas", "read_replica_pool")
    def _pool_of_replicas(self) -> Iterator[Problem]:
        if self.read_replica_pool and not self.read_replicas:
            yield Problem("read_replica_pool", "(a Pool)", "nothing without read_replicas", "leave it out")


def _replica_name(number: int) -> str:
    return f"DATASTORE_READ_REPLICA_{number + 1}_URI"
