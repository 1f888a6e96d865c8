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
    """PostgreSQL 13.8 or later. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    If you set the parts, SpiceDB reads the password from ``PGPASSWORD``. So you need not escape any character in it.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432
    uri_of, parts, options = libpq.uri_of, libpq.parts, libpq.options

    sslmode: libpq.SSLMode | None = None
    """Use and verification of TLS to the database (libpq's ``sslmode``). Defaults to ``verify-full`` with the parts or
    a ``ca``, because with any weaker mode somebody in the network can read permissions. With only ``uri``, it defaults
    to what the URI says."""
    client_certificate: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the certificate (PEM) with which the user authenticates to the database. Defaults to
    none."""
    client_key: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the private key (PEM) of ``client_certificate``. Defaults to none."""
    credentials_provider: CredentialsProvider | None = None
    """Where servers and migration get the password of each connection (``--datastore-credentials-provider-name``,
    SpiceDB 1.32 and later). With ``aws-iam``, they ask AWS, with the role in ``service_account_annotations``. Defaults
    to none: ``password`` is used."""
    read_pool: Pool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's default, 20 connections."""
    write_pool: Pool | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's default, 10 connections."""
    gc_interval: Day | None = None
    """Time between two garbage collections, which remove revisions that are older than ``gc_window``
    (``--datastore-gc-interval``). Defaults to SpiceDB's default, 3 min."""
    gc_max_operation_time: Day | None = None
    """Time limit of one garbage collection (``--datastore-gc-max-operation-time``). Defaults to SpiceDB's default, 1
    min. Use more if the servers' log says that garbage collection times out."""
    read_replicas: Sequence[ReadReplica] = field(factory=tuple, converter=as_secret_keys)
    """Up to 16 read replicas, from which servers read if they are recent enough (``--datastore-read-replica-conn-uri``,
    SpiceDB 1.35 and later). Set each replica as a host, or as a Secret and key that hold a whole URI. A host uses the
    primary's port, database, user, password and TLS. Each host must be one replica. If a host stood for
    several replicas, each request could reach a different one. Defaults to none."""
    read_replica_pool: Pool | None = None
    """Connections to each read replica (``--datastore-read-replica-conn-pool-read-…``). Defaults to SpiceDB's default,
    20 connections."""
