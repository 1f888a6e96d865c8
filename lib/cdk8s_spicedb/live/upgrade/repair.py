"""Repairs a database into which a dump was restored, with a Job in the cluster."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import SpiceDBError
from ...manifests.repair import repair_job
from ...props import SpiceDBProps
from ..check.database import DatabaseReport, check_database
from ..cluster import Cluster
from ..observe import observe
from ..runs import owned, run_job
from ..text import redacted
from .lease import held

Notify = Callable[[str], None]
_LINES = 25
"""Lines of a log that an error has."""


def repair(
    cluster: Cluster, props: SpiceDBProps, *, database_image: str | None = None, notify: Notify = lambda _: None
) -> bool:
    """Repairs the transaction ids of a PostgreSQL into which a dump was restored. Returns whether that was necessary.

    Asks the database first, and again afterwards, with a pod that runs for a moment. ``database_image`` is the image of
    that pod, by default the client of the engine from Docker Hub. Nothing changes if the database needs no repair.
    Raises `SpiceDBError` if it is not known whether it does, if servers run, or if the repair fails, and `BusyError` if
    another process works on the release.
    """
    job = repair_job(props)
    with held(cluster, props.name, notify) as lock:
        cluster = lock.cluster
        notify("asking the database")
        report = _asked(cluster, props, database_image)
        if not report.misread:
            return False
        if not report.repairable:
            raise SpiceDBError("\n".join(f"{each.text}; {each.fix}" for each in report.misread))
        _require_stopped(cluster, props.name)
        name, seconds = job["metadata"]["name"], job["spec"]["activeDeadlineSeconds"]
        notify(f"{report.misread[0].text}; running the Job {name}")
        state, log = run_job(cluster, owned(cluster, props.name, [job]), seconds=seconds)
        if not state.succeeded:
            lines = redacted(log).splitlines()[-_LINES:]
            ending = f"the Job {name}, which repairs the database, {state.ending(seconds)}"
            raise SpiceDBError("\n".join([ending, *lines]))
        notify("asking the database again")
        report = _asked(cluster, props, database_image)
        if report.misread:
            raise SpiceDBError(f"the Job {name} has succeeded, but {report.misread[0].text}; repair it again")
        return True


def _asked(cluster: Cluster, props: SpiceDBProps, image: str | None) -> DatabaseReport:
    report = check_database(cluster, props, image=image)
    if report.server_version is None:
        reasons = "; ".join(f"{each.text}; {each.fix}" for each in report.findings)
        raise SpiceDBError(f"it is not known whether the database needs a repair: {reasons}")
    return report


def _require_stopped(cluster: Cluster, name: str) -> None:
    """Raises `SpiceDBError` if servers run. They would go on to accept writes beside rows that they do not see."""
    seen = observe(cluster, name)
    if (seen.running is not None and seen.running.replicas) or seen.servers:
        command = f"kubectl scale deployment/{name} --replicas=0 {cluster.options()}"
        raise SpiceDBError(
            "a dump was restored into the database, and servers run, which write to it. Stop them, wait until none is "
            f"left, and run the same command again: {command}"
        )
