"""Props that fit a small cluster."""

from __future__ import annotations

from typing import Any

import attrs

from cdk8s_spicedb import Datastore, MySQL, PostgreSQL, Resources, SecretKey, ServerProps, Spanner, SpiceDBProps

from .databases import DATABASE, MARIADB, POSTGRES, SPANNER, USER

KEY = "a preshared key"
OLD, NEW = "v1.52.0", "v1.56.0"
NEWEST = "v1.57.1"
"""A release after `NEW`, with the same revisions."""
OLD_HEAD, NEW_HEAD = "add-index-for-transaction-gc", "populate-schema-tables"
ON_POSTGRES = PostgreSQL(
    host=POSTGRES.name,
    database=DATABASE,
    user=USER,
    password=SecretKey("spicedb", "password"),
    sslmode="disable",
)
ON_MARIADB = MySQL(
    host=MARIADB.name, database=DATABASE, user=USER, password=SecretKey("spicedb", "password"), tls="false"
)
_SMALL = Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"cpu": "2", "memory": "512Mi"})
ON_SPANNER = Spanner(
    project=DATABASE, instance=DATABASE, database=DATABASE, emulator_host=f"{SPANNER.name}:{SPANNER.port}"
)


def small(server: ServerProps | None = None) -> ServerProps:
    """Servers with small resource requests."""
    return attrs.evolve(server or ServerProps(), resources=_SMALL)


def on_postgres(version: str = NEW, *, datastore: Datastore = ON_POSTGRES, **fields: Any) -> SpiceDBProps:
    """SpiceDB on the PostgreSQL of the namespace."""
    server = small(fields.pop("server", None))
    key = SecretKey("spicedb", "preshared-key")
    return SpiceDBProps(version=version, datastore=datastore, preshared_key=key, server=server, **fields)
