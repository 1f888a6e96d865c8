"""Fills SpiceDB's tables with relationships by SQL: a client would need hours for millions of them.

Relationship 0, 100, 200 and so on lets Alice read a document, and each other one lets a user of its own read one. Write
the schema with a client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from .cluster import Namespace
from .databases import DATABASE, MARIADB, POSTGRES, USER

_EACH = 10
"""Relationships in a transaction. SpiceDB's tables have a row for each transaction."""
_PART = 500_000
"""Relationships that one statement writes. It takes less time than a command of a test may take."""
_READABLE = 100

# Relationships have the id of the transaction in which they are written. So the loop commits each of them.
_POSTGRES = """
DO $$ DECLARE transaction bigint; BEGIN
    FOR number IN {first} / {each} .. {last} / {each} - 1 LOOP
        INSERT INTO relation_tuple_transaction DEFAULT VALUES {returning};
        INSERT INTO relation_tuple (namespace, object_id, relation, userset_namespace, userset_object_id,
                                    userset_relation {column})
        SELECT 'document', md5(seq::text), 'reader', 'user',
               CASE seq % {readable} WHEN 0 THEN 'alice' ELSE md5('user' || seq) END, '...' {value}
        FROM generate_series(number * {each}, (number + 1) * {each} - 1) AS seq;
        COMMIT;
    END LOOP;
END $$;
"""
_ANALYZE_POSTGRES = """
VACUUM (ANALYZE, PARALLEL 0) relation_tuple;
VACUUM (ANALYZE, PARALLEL 0) relation_tuple_transaction;
"""
_MARIADB = """
SET @before = (SELECT COALESCE(MAX(id), 0) FROM relation_tuple_transaction);
INSERT INTO relation_tuple_transaction (id, timestamp) SELECT @before + seq, NOW(6) FROM seq_1_to_{transactions};
INSERT INTO relation_tuple (namespace, object_id, relation, userset_namespace, userset_object_id, userset_relation,
                            created_transaction)
SELECT 'document', MD5({first} + seq - 1), 'reader', 'user',
       IF(({first} + seq - 1) % {readable} = 0, 'alice', MD5(CONCAT('user', {first} + seq - 1))), '...',
       @before + 1 + (seq - 1) DIV {each}
FROM seq_1_to_{relationships};
"""
_ANALYZE_MARIADB = "ANALYZE TABLE relation_tuple, relation_tuple_transaction;"
_COUNT = "SELECT count(*) FROM relation_tuple WHERE namespace = 'document' AND length(object_id) = 32"


POSTGRES_SESSION = (POSTGRES.name, "--", "psql", "--host=/run/postgresql", f"--username={USER}", "-qAt")
MARIADB_SESSION = (
    MARIADB.name,
    "--",
    "mariadb",
    "--socket=/tmp/mysqld.sock",
    "--user=root",
    "--password=root",
    "-BNn",
    DATABASE,
)
"""Arguments of ``kubectl exec`` for a session in which standard input has the statements."""


def psql(where: Namespace, sql: str) -> str:
    """The answer of PostgreSQL to statements. Raises an error if one of them fails."""
    return where.databases.kubectl("exec", "-i", *POSTGRES_SESSION, "-v", "ON_ERROR_STOP=1", text=sql).strip()


def mariadb(where: Namespace, sql: str) -> str:
    """The answer of MariaDB to statements. Raises an error if one of them fails."""
    return where.kubectl("exec", "-i", *MARIADB_SESSION, text=sql).strip()


def load_postgres(where: Namespace, relationships: int) -> None:
    """Adds relationships to PostgreSQL, in the form of the tables' revision."""
    columns = psql(where, "SELECT attname FROM pg_attribute WHERE attrelid = 'relation_tuple'::regclass AND attnum > 0")
    # Until the revision drop-bigserial-ids, a relationship has the number of its transaction.
    numbered = "created_transaction" in columns.split()
    names = ("RETURNING id INTO transaction", ", created_transaction", ", transaction") if numbered else ("", "", "")
    form = dict(zip(("returning", "column", "value"), names, strict=True))
    for first, last in _parts(relationships):
        psql(where, _POSTGRES.format(first=first, last=last, each=_EACH, readable=_READABLE, **form))
    psql(where, _ANALYZE_POSTGRES)


def load_mariadb(where: Namespace, relationships: int) -> None:
    """Adds relationships to MariaDB. Its image must contain the client, as the official one does."""
    for first, last in _parts(relationships):
        count = last - first
        fill = _MARIADB.format(
            first=first, relationships=count, transactions=count // _EACH, each=_EACH, readable=_READABLE
        )
        mariadb(where, fill)
    mariadb(where, _ANALYZE_MARIADB)


def loaded_postgres(where: Namespace) -> int:
    """How many of the loaded relationships PostgreSQL has."""
    return int(psql(where, _COUNT))


def document(number: int) -> str:
    """The document of a loaded relationship."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def alice_reads(number: int) -> bool:
    """Whether a loaded relationship lets Alice read its document."""
    return number % _READABLE == 0


def _parts(relationships: int) -> Iterator[tuple[int, int]]:
    for first in range(0, relationships, _PART):
        yield first, min(first + _PART, relationships)
