"""Runs SpiceDB's migrations in a pod, and reads from its log when each of them ran."""

from __future__ import annotations

import json
import sys
import uuid
from datetime import datetime

from attrs import frozen

from bench.engines import ENGINES
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait

IMAGE = "docker.io/authzed/spicedb:v1.56.0"
LONGEST_SECONDS = 3600


@frozen
class Migration:
    """When a migration to a revision ran, in Unix time."""

    revision: str
    begin: float
    end: float


def migrate(where: Namespace, engine: str, target: str, batch: int | None = None) -> list[Migration]:
    """Migrates to a revision. Returns the migrations on the way, by the times in the program's log."""
    name = f"migrate-{uuid.uuid4().hex[:5]}"
    env = {"SPICEDB_DATASTORE_ENGINE": engine, **ENGINES[engine].env}
    arguments = ["--migration-timeout=2h", "--log-format=json", "--skip-release-check", "--log-level=info"]
    container = {
        "name": "migrate",
        "image": IMAGE,
        "command": ["spicedb", "migrate", target],
        "args": [*arguments, *([f"--migration-backfill-batch-size={batch}"] if batch else [])],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": RESTRICTED_CONTAINER,
    }
    spec = {"restartPolicy": "Never", "securityContext": RESTRICTED_POD, "containers": [container]}
    where.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})

    def ended() -> str | None:
        pod = where.get("pod", name) or {}
        return pod["status"]["phase"] if pod["status"]["phase"] in ("Succeeded", "Failed") else None

    if wait("the migration", ended, LONGEST_SECONDS) == "Failed":
        log = where.kubectl("logs", name)
        if "connection refused" not in log:
            sys.exit(log)
        return migrate(where, engine, target, batch)
    return _migrations(where, name)


def _migrations(where: Namespace, pod: str) -> list[Migration]:
    state = (where.get("pod", pod) or {})["status"]["containerStatuses"][0]["state"]["terminated"]
    begun: list[tuple[str, float]] = []
    last = 0.0
    for line in where.kubectl("logs", "--timestamps", pod).splitlines():
        moment, _, text = line.partition(" ")
        entry = json.loads(text) if text.startswith("{") else {}
        last = datetime.fromisoformat(f"{moment[:26]}+00:00").timestamp()
        if entry.get("message") == "migrating":
            begun.append((entry["to"], last))
    # Kubernetes cuts off the fraction of the second in which a container ends, so the last end is half a second unsure.
    finished = datetime.fromisoformat(state["finishedAt"].replace("Z", "+00:00")).timestamp()
    end = max(finished + 0.5, last)
    ends = [*(moment for _, moment in begun[1:]), end]
    return [Migration(revision, before, after) for (revision, before), after in zip(begun, ends, strict=True)]
