"""Read replicas of PostgreSQL and MySQL.

SpiceDB takes one replica from a variable, and several only from arguments. Kubernetes inserts secret URIs into those
when the container starts, so manifests contain only references.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from annotated_types import Predicate

from ..annotations import Message
from ..flags import EnvVar, Setting, variable
from ..secrets import SecretKey
from ..types import is_host
from .pool import Pool

if TYPE_CHECKING:
    from .mysql import MySQL
    from .postgresql import PostgreSQL

_FLAG = "datastore-read-replica-conn-uri"
ReadReplica = Annotated[
    Annotated[str, Predicate(is_host)] | SecretKey,
    Message(
        "a host that is reached like the primary, or a SecretKey(name, key) with a whole URI",
        "use hosts such as 'replica-1.db' if you set the primary by its parts",
        redacted=True,
    ),
]


def env(datastore: PostgreSQL | MySQL) -> tuple[EnvVar, ...]:
    """The variables of the servers."""
    replicas: Sequence[str | SecretKey] = datastore.read_replicas
    if len(replicas) == 1:
        [replica] = replicas
        return (variable(_FLAG, replica if isinstance(replica, SecretKey) else datastore.uri_of(replica)),)
    return tuple(
        EnvVar(_name(number), replica) for number, replica in enumerate(replicas, 1) if isinstance(replica, SecretKey)
    )


def settings(datastore: PostgreSQL | MySQL) -> dict[str, Setting]:
    """The settings of the servers by flag."""
    replicas: Sequence[str | SecretKey] = datastore.read_replicas
    uris = [
        f"$({_name(number)})" if isinstance(replica, SecretKey) else datastore.uri_of(replica)
        for number, replica in enumerate(replicas, 1)
    ]
    pool = datastore.read_replica_pool or Pool()
    return {
        "datastore-read-replica-credentials-provider-name": datastore.credentials_provider if replicas else None,
        _FLAG: uris if len(replicas) > 1 else None,
        **pool.settings("datastore-read-replica-conn-pool-read"),
    }


def _name(number: int) -> str:
    return f"DATASTORE_READ_REPLICA_{number}_URI"
