"""Sets the tables of SpiceDB aside, so that its database is empty and nothing is lost."""

from __future__ import annotations

from ....errors import SpiceDBError
from ....props import SpiceDBProps
from ...cluster import Cluster
from ..finding import Finding
from . import CHECKS
from .engine import answer, client_pod, script
from .findings import connection_findings
from .question import Facts, Question

_WORDS = {"postgres": "the schema {}", "mysql": "the tables {}_…"}
"""Where the tables are afterwards."""


def can_set_aside(props: SpiceDBProps) -> bool:
    """Whether the tables of this engine can be set aside."""
    return props.datastore.engine in _WORDS


def set_aside(cluster: Cluster, props: SpiceDBProps, name: str, image: str | None = None) -> str:
    """Moves all tables of SpiceDB out of its way: in PostgreSQL to the schema ``name``, in MySQL to names that begin
    with it. Does nothing if that was done before. No server may run.

    A client in a pod does this, with the Secrets of the migration. ``image`` defaults to the client of the engine from
    Docker Hub. Returns where the tables are, in words. Raises `SpiceDBError` if they could not be moved.
    """
    datastore = props.datastore
    check = CHECKS.get(datastore.engine)
    if check is None or not can_set_aside(props):
        raise SpiceDBError(f"the tables of {datastore.engine} cannot be set aside; use an empty database")
    sql = check.fill(script(f"aside_{datastore.engine}.sql"), datastore).replace("{aside}", name)
    log = answer(cluster, client_pod(props, image or check.image, check.script, sql))
    if isinstance(log, Finding):
        raise SpiceDBError(f"{log.text}; {log.fix}")
    facts = Facts.read(log)
    for finding in connection_findings(facts, Question(props=props), check.tls):
        raise SpiceDBError(f"{finding.text}; {finding.fix}")
    if facts.one("aside").get("allowed") is False:
        raise SpiceDBError(
            "the migration's user may not create a schema, so the tables cannot be set aside: GRANT CREATE ON DATABASE "
            "… TO this user"
        )
    if facts.one("moved").get("left") != 0:
        raise SpiceDBError(
            "the tables could not be set aside: the migration's user must own them, and nobody may hold a lock on them"
        )
    return _WORDS[datastore.engine].format(name)
