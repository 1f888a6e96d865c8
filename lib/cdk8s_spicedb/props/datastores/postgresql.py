"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from ..secrets import SecretKey, as_secret_key, as_secret_keys
from ..types import Day
from . import libpq
from .pool import Pool
from .sql import CredentialsProvider, ReadReplica, SQLDatastore


@frozen(kw_only=True)
class PostgreSQL(SQLDatastore):
    """PostgreSQL 13.8 or later, by URI or by parts.

    The password of the parts is in ``PGPASSWORD``, so no character in it can break ``migrate`` or ``serve``. SpiceDB's
    Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432
    uri_of, parts, options = libpq.uri_of, libpq.parts, libpq.options

    sslmode: libpq.SSLMode | None = None
    """Use and verification of TLS to the database (libpq's ``sslmode``). Defaults to ``verify-full`` with the parts or
    a ``ca``, because with anything less somebody in between can read permissions. With only ``uri``, defaults to what
    the URI says."""
    client_certificate: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the certificate (PEM) by which the database knows the user. Defaults to none."""
    client_key: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the private key (PEM) of ``client_certificate``. Defaults to none."""
    credentials_provider: CredentialsProvider | None = None
    """Source of the password of each connection (``--datastore-credentials-provider-name``, SpiceDB 1.32 and later).
    ``aws-iam`` asks AWS, for the role in ``service_account_annotations``. Defaults to none: ``password`` is used."""
    read_pool: Pool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's own, 20."""
    write_pool: Pool | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's own, 10."""
    gc_interval: Day | None = None
    """Time between removals of revisions that are older than ``gc_window`` (``--datastore-gc-interval``). Defaults to
    SpiceDB's own, 3 min."""
    gc_max_operation_time: Day | None = None
    """Time limit of one removal (``--datastore-gc-max-operation-time``). Defaults to SpiceDB's own, 1 min. Use more if
    the servers' log says that removals time out."""
    read_replicas: Sequence[ReadReplica] = field(factory=tuple, converter=as_secret_keys)
    """Up to 16 read replicas, from which servers read if they are recent enough (``--datastore-read-replica-conn-uri``,
    SpiceDB 1.35 and later). A host uses the primary's port, database, user, password and TLS; a Secret key holds a
    whole URI. Name each replica by itself: a host that stands for several would change between requests. Defaults to
    none."""
    read_replica_pool: Pool | None = None
    """Connections to each read replica (``--datastore-read-replica-conn-pool-read-…``). Defaults to SpiceDB's own,
    20."""
