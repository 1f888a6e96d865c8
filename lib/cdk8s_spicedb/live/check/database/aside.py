"""Sets the tables of SpiceDB aside, so that its database is empty and nothing is lost."""

from __future__ import annotations

from ....errors import SpiceDBError
from ....props import SpiceDBProps
from ....props.datastores import PostgreSQL
from ....props.datastores.sql import SQLDatastore
from ...apart import reaching_the_database
from ...cluster import Cluster
from ..finding import Finding
from . import CHECKS
from .engine import answer, client_pod, script
from .findings import connection_findings
from .question import Facts, Question

_ACT = "-- act"
"""Begins what changes the database. What is before only asks."""
_LONGEST = 64
"""Longest name of a table in MySQL."""


def require_can_set_aside(cluster: Cluster, props: SpiceDBProps, name: str, image: str | None = None) -> None:
    """Raises `SpiceDBError` if `set_aside` would not work. Changes nothing."""
    datastore = props.datastore
    if not datastore.can_be_set_aside:
        raise SpiceDBError(f"the tables of {datastore.engine} cannot be set aside")
    if getattr(datastore, "credentials_provider", None):
        raise SpiceDBError("the client of the database cannot get its password from AWS")
    if isinstance(datastore, PostgreSQL) and props.migration.datastore_uri is not None:
        raise SpiceDBError(
            "the migration connects with a URI of its own (migration.datastoreUri), so the user of the servers would "
            "have no rights on the new tables"
        )
    aside = _run(cluster, props, name, image, act=False).one("aside")
    if not aside.get("allowed"):
        raise SpiceDBError("the migration's user may not create a schema: GRANT CREATE ON DATABASE … TO this user")
    if aside.get("foreign"):
        raise SpiceDBError("the migration's user does not own all tables of SpiceDB")
    if int(aside.get("longest") or 0) > _LONGEST:
        raise SpiceDBError("the prefix of the tables (tablePrefix) is too long, so that they cannot be renamed")


def set_aside(cluster: Cluster, props: SpiceDBProps, name: str, image: str | None = None) -> str:
    """Moves all tables of SpiceDB out of its way: in PostgreSQL to the schema ``name``, in MySQL to names that begin
    with it. Does nothing if that was done before. No server may run.

    A client in a pod does this, with the Secrets of the migration. ``image`` defaults to the client of the engine from
    Docker Hub. Returns where the tables are, in words. Raises `SpiceDBError` if they could not be moved.
    """
    if _run(cluster, props, name, image, act=True).one("moved").get("left") != 0:
        raise SpiceDBError("the tables could not be set aside: somebody may hold a lock on one of them")
    return f"the schema {name}" if isinstance(props.datastore, PostgreSQL) else f"the tables {name}_…"


def _run(cluster: Cluster, props: SpiceDBProps, name: str, image: str | None, *, act: bool) -> Facts:
    datastore = props.datastore
    assert isinstance(datastore, SQLDatastore)
    check = CHECKS[datastore.engine]
    sql = check.fill(script(f"aside_{datastore.engine}.sql"), datastore).replace("{aside}", name)
    pod = client_pod(props, image or check.image, check.script, sql if act else sql.partition(_ACT)[0])
    with reaching_the_database(cluster, props):
        log = answer(cluster, pod)
    if isinstance(log, Finding):
        raise SpiceDBError(f"{log.text}; {log.fix}")
    facts = Facts.read(log)
    for finding in connection_findings(facts, Question(props=props), check.tls):
        raise SpiceDBError(f"{finding.text}; {finding.fix}")
    return facts
