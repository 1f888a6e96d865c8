"""The repair of a database into which a dump was restored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cdk8s_spicedb import Memory, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live.upgrade.repair import repair
from tests.apiserver import ApiServer, Object, matches
from tests.controllers import run_controllers
from tests.live.check.database.answers import server
from tests.live.clock import FakeClock
from tests.live.installed import deploy, installable, props

OLD_IDS = {"fact": "transaction_ids", "newest": "700", "next": "770"}
NEW_IDS = {"fact": "transaction_ids", "newest": "5836", "next": "770"}


class Database:
    """A cluster whose database answers one check after another, and in which Jobs end."""

    def __init__(self, *answers: Sequence[Object], failure: str = "", log: str = "") -> None:
        self.api, self._left = installable(), list(answers)
        self.jobs: list[Object] = []
        self.told: list[str] = []
        self.api.on(matches("create", "pods"), self._answer)
        self.api.on(matches("patch", "jobs"), lambda _, job: self.jobs.append(job))
        run_controllers(self.api, fails=lambda _: failure, log=lambda _: log)

    def _answer(self, _: object, pod: Any) -> None:
        if pod and pod["metadata"]["name"].startswith("spicedb-check-") and self._left:
            state = {"name": "check", "state": {"terminated": {"exitCode": 0}}}
            pod["status"] = {"phase": "Succeeded", "containerStatuses": [state]}
            facts = [server(), *self._left.pop(0), {"fact": "done"}]
            self.api.logs[pod["metadata"]["name"]] = "\n".join(map(json.dumps, facts)).replace(": ", ":")

    def repair(self, settings: SpiceDBProps | None = None) -> bool:
        cluster = self.api.cluster(clock=FakeClock())
        return repair(cluster, settings or props(), notify=self.told.append)


def test_a_restored_dump_is_repaired() -> None:
    database = Database([NEW_IDS], [OLD_IDS])
    deploy(database.api, props())
    stop(database.api)
    assert database.repair()
    (job,) = database.jobs
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["spicedb", "datastore", "repair", "transaction-ids"]
    assert job["metadata"]["ownerReferences"][0]["name"] == "spicedb"
    assert database.told[0] == "asking the database"
    assert database.told[1].startswith("the newest transaction in the tables, 5836, is in the future of this server")
    assert database.told[1].endswith(f"; running the Job {job['metadata']['name']}")
    assert database.told[2] == "asking the database again"
    assert not any(database.api.of(kind) for kind in ("jobs", "leases", "pods"))


def stop(api: ApiServer) -> None:
    """Stops the servers."""
    api.get("deployments", "spicedb")["spec"]["replicas"] = 0
    api.remove("pods")


def test_a_database_without_servers_is_repaired() -> None:
    """A dump can be restored before the release is installed."""
    assert Database([NEW_IDS], [OLD_IDS]).repair()


def test_other_databases_need_no_repair() -> None:
    database = Database([OLD_IDS])
    deploy(database.api, props())
    assert not database.repair(), "servers may run"
    assert database.jobs == []


@pytest.mark.parametrize("draining", [False, True])
def test_servers_must_be_stopped(draining: bool) -> None:
    database = Database([NEW_IDS])
    deploy(database.api, props())
    if draining:
        database.api.get("deployments", "spicedb")["spec"]["replicas"] = 0
    with pytest.raises(SpiceDBError, match="servers run, which write to it") as error:
        database.repair()
    assert str(error.value).endswith("kubectl scale deployment/spicedb --replicas=0 --namespace authz")
    assert database.jobs == []


def test_a_repair_that_fails_shows_its_log() -> None:
    database = Database([NEW_IDS], failure="BackoffLimitExceeded", log="one\npassword=hunter2\nno permission")
    with pytest.raises(SpiceDBError, match="which repairs the database, failed\none\npassword=") as error:
        database.repair()
    assert "hunter2" not in str(error.value)
    assert not database.api.of("jobs")


def test_a_repair_that_changes_nothing_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match=r"has succeeded, but the newest transaction .*; repair it again"):
        Database([NEW_IDS], [NEW_IDS]).repair()


def test_what_spicedb_cannot_repair_is_left_alone() -> None:
    database = Database([{**NEW_IDS, "newest": str(2**31)}])
    with pytest.raises(SpiceDBError, match="copy the database with its server instead"):
        database.repair()
    assert database.jobs == []


def test_a_database_that_does_not_answer_is_an_error() -> None:
    database = Database()
    database.api.deny("pods", "create")
    with pytest.raises(SpiceDBError, match="it is not known whether the database needs a repair: not checked"):
        database.repair()


def test_other_engines_need_no_repair() -> None:
    with pytest.raises(SpiceDBError, match="with the engine memory, a restored database needs no repair"):
        Database().repair(SpiceDBProps(datastore=Memory()))
