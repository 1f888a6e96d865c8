"""The check of a database: a client in a pod asks it, and functions conclude from the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....errors import SpiceDBError
from ....plans.plan import UpgradeStep
from ....props import SpiceDBProps
from ....props.datastores import MySQL, PostgreSQL
from ....versions import Estimate
from ...cluster import Cluster
from ..finding import Finding, Level
from .engine import EngineCheck, answer
from .findings import DATABASE
from .mysql import MySQLCheck
from .postgresql import CockroachDBCheck, PostgreSQLCheck
from .question import DatabaseReport, Facts, Question

__all__ = ["DatabaseReport", "Estimate", "ask_database", "check_database"]

CHECKS: Mapping[str, EngineCheck] = {
    "postgres": PostgreSQLCheck(),
    "mysql": MySQLCheck(),
    "cockroachdb": CockroachDBCheck(),
}


def check_database(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    running_servers: int = 0,
    steps: Sequence[UpgradeStep] = (),
    image: str | None = None,
) -> DatabaseReport:
    """Checks whether the database is ready for the migrations and the roll-outs of an upgrade.

    Starts a pod with a client of the database and the Secrets of the migration, which only reads, and deletes it.
    ``running_servers`` hold connections already. ``steps`` default to the migration of ``props``. ``image`` defaults to
    the client of the engine from Docker Hub.
    """
    datastore = props.datastore
    check = CHECKS.get(datastore.engine)
    if datastore.engine == "spanner":
        text = "not checked: the check does not support Spanner; its revision, sessions and sizes are not known"
        fix = "look into the table schema_version in the Google Cloud console before you upgrade"
        return DatabaseReport(findings=(Finding.warning(DATABASE, text, fix),))
    if check is None:
        return DatabaseReport(findings=())
    provider = isinstance(datastore, PostgreSQL | MySQL) and datastore.credentials_provider
    if provider and props.migration.datastore_uri is None:
        text = "not checked: its password comes from AWS, which the client of this check cannot ask"
        fix = "look into the database yourself before you upgrade, or set migration.datastoreUri"
        return DatabaseReport(findings=(Finding.warning(DATABASE, text, fix),))
    log = answer(cluster, check.pod(props, image))
    if isinstance(log, Finding):
        return DatabaseReport(findings=(log,))
    question = Question(props=props, steps=steps, running_servers=running_servers, options=cluster.options())
    return check.report(Facts.read(log), question)


def ask_database(cluster: Cluster, props: SpiceDBProps, image: str | None = None) -> DatabaseReport:
    """What the check of the database found, with the revision of its schema, which is None before the first migration.

    Raises `SpiceDBError` with what to do if the database cannot be asked.
    """
    report = check_database(cluster, props, image=image)
    problems = [finding for finding in report.findings if finding.level is not Level.OK]
    if report.server_version is None and problems:
        raise SpiceDBError(f"{problems[0].text}; {problems[0].fix}")
    return report
