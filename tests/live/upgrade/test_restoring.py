"""Rollbacks that restore a backup, because the older servers do not start on the newer datastore schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live import Cluster, Outcome, Return, State
from cdk8s_spicedb.live.data.backup import back_up
from cdk8s_spicedb.live.data.server import Server
from cdk8s_spicedb.live.pods import JobState
from cdk8s_spicedb.live.upgrade import restoring
from cdk8s_spicedb.live.upgrade.deliver import Deliverer, StepError
from cdk8s_spicedb.live.upgrade.rollback import roll_back
from tests.controllers import run_controllers
from tests.live.data.conftest import SCHEMA, TEXTS, connect
from tests.live.installed import props
from tests.spicedbserver import SpiceDBServer

from .program import QUICK, World, record_of, run, stopped
from .program import world as world

OLD, NEW = "v1.37.1", "v1.52.0"


class Place:
    """A SpiceDB after an upgrade that has backed up, and the database into which the backup is restored."""

    def __init__(self, world: World, live: SpiceDBServer, database: SpiceDBServer, file: Path) -> None:
        self.world, self.live, self.database, self.file = world, live, database, file
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails.pop(name)

    def go_back(self, **options: Any) -> Outcome:
        given = {"props": props(NEW), "restore": self.file, **options}
        return roll_back(self.world.cluster(), "spicedb", **given)

    @property
    def deployment(self) -> Any:
        return self.world.api.get("deployments", "spicedb")


@pytest.fixture
def place(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    world.deploy(props(OLD))
    run_controllers(world.api)
    with SpiceDBServer(SCHEMA) as live, SpiceDBServer() as database:
        live.put(*TEXTS)
        made = Place(world, live, database, tmp_path / "it.zedbackup")

        def backs_up(_: Cluster, __: str) -> Path:
            return back_up(connect(live), made.file).path

        assert run(world, props(NEW), attrs.evolve(QUICK, back_up=backs_up)).state is State.DONE
        live.put("document:later#reader@user:u1")

        def reach(name: str, spicedb: SpiceDBServer) -> Callable[..., Any]:
            @contextmanager
            def act(_: Cluster, what: Any, **__: object) -> Iterator[Server]:
                made.call(f"{name} {getattr(what, 'version', what)}")
                yield connect(spicedb)

            return act

        def set_aside(_: Cluster, older: Any, name: str, image: str | None) -> str:
            assert not [pod for pod in world.api.of("pods") if "apart" not in pod["metadata"]["name"]], "servers run"
            made.call(f"set aside {name} {older.version} {image}")
            return f"the schema {name}"

        def run_job(_: Cluster, manifests: Any, *, seconds: float) -> tuple[JobState, str]:
            (job,) = (each for each in manifests if each["kind"] == "Job")
            (container,) = job["spec"]["template"]["spec"]["containers"]
            made.call(f"migrate {container['image'].rpartition(':')[2]}")
            return JobState(succeeded=True), ""

        monkeypatch.setattr(restoring, "reaching", reach("compare", live))
        monkeypatch.setattr(restoring, "reaching_apart", reach("restore", database))

        def require_can(_: Cluster, older: Any, __: str, ___: str | None) -> None:
            made.call(f"ask {older.datastore.engine}")

        monkeypatch.setattr(restoring, "require_can_set_aside", require_can)
        monkeypatch.setattr(restoring, "require_reachable", lambda _, older: made.call(f"reach {older.version}"))
        monkeypatch.setattr(restoring, "set_aside", set_aside)
        monkeypatch.setattr(restoring, "run_job", run_job)
        yield made


def test_the_backup_is_restored_before_the_servers_return(place: Place) -> None:
    seen: list[Return] = []

    def confirm(back: Return) -> bool:
        seen.append(back)
        assert place.deployment["spec"]["replicas"] == 2
        return True

    outcome = place.go_back(confirm=confirm, database_image="psql:1").require_done()
    assert outcome.back is not None
    (back,) = seen
    assert back.restores == str(place.file)
    assert back.blocked is None
    assert any(each.startswith("everything that was written after 20") for each in back.cautions)
    assert "the servers hold document#reader: 15 instead of 14 in the backup" in back.cautions
    (aside,) = (call for call in place.calls if call.startswith("set aside"))
    before = ["ask postgres", f"reach {OLD}", "compare spicedb"]
    assert place.calls == [*before, aside, f"migrate {OLD}", f"restore {OLD}"]
    assert aside.endswith(f" {OLD} psql:1")
    assert place.database.texts() == {each for each in place.live.texts() if b"later" not in each}
    assert place.deployment["spec"]["replicas"] == 2
    assert record_of(place.world).sound[-1].version == OLD


def test_it_goes_on_where_it_failed(place: Place) -> None:
    place.fails[f"restore {OLD}"] = SpiceDBError("the pod is gone")
    outcome = place.go_back()
    assert outcome.state is State.STOPPED
    assert "the pod is gone\nThe servers may be stopped." in outcome.reason
    assert place.deployment["spec"]["replicas"] == 0
    assert place.go_back().state is State.DONE
    first, again = (call for call in place.calls if call.startswith("set aside"))
    assert first == again, "the tables have one name"
    assert place.deployment["spec"]["replicas"] == 2


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_nothing_stops_for_a_backup_that_cannot_be_restored(place: Place, what: str) -> None:
    if what == "missing":
        place.file.unlink()
    else:
        place.file.write_bytes(place.file.read_bytes()[:-20])
    outcome = place.go_back()
    assert outcome.state is State.REFUSED
    assert place.deployment["spec"]["replicas"] == 2
    assert place.calls == []


def test_it_needs_the_file_and_an_engine_that_can(place: Place) -> None:
    assert "add --file" in place.go_back(props=None).reason
    place.fails["ask postgres"] = SpiceDBError("no rights")
    assert "a rollback cannot restore a backup here: no rights. Restore it into an empty" in place.go_back().reason
    assert place.go_back(confirm=lambda _: False).state is State.REFUSED
    assert place.deployment["spec"]["replicas"] == 2


def test_servers_that_do_not_answer_tell_no_difference(place: Place) -> None:
    place.fails["compare spicedb"] = SpiceDBError("no server is ready")
    seen: list[Return] = []

    def refuse(back: Return) -> bool:
        seen.append(back)
        return False

    place.go_back(confirm=refuse)
    assert "how much that is, is not known: no server is ready" in seen[0].cautions


def test_without_restore_the_refusal_names_it(place: Place) -> None:
    outcome = roll_back(place.world.cluster(), "spicedb")
    assert outcome.state is State.REFUSED
    assert f"restore the backup {place.file} (" in outcome.reason
    assert "with --restore and --file" in outcome.reason


def test_a_failed_step_names_the_command(world: World, place: Place) -> None:
    place.go_back().require_done()

    def fail(_: Deliverer) -> None:
        raise StepError("it failed")

    world.acts["applied 1"] = fail
    place.file.unlink()
    for path in place.file.parent.glob("it.zedbackup*"):
        path.unlink()

    def backs_up(_: Cluster, __: str) -> Path:
        return back_up(connect(place.live), place.file).path

    error = stopped(run(world, props(NEW), attrs.evolve(QUICK, back_up=backs_up)))
    assert "cdk8s-spicedb rollback spicedb --file FILE --restore --namespace authz" in str(error)


def test_a_complete_restore_is_not_repeated(place: Place) -> None:
    place.world.fails["roll back to 2"] = StepError("no node for a server")
    outcome = place.go_back()
    assert outcome.state is State.STOPPED
    assert "no node for a server" in outcome.reason
    assert "The servers may be stopped." in outcome.reason
    place.world.fails.clear()
    assert place.go_back().state is State.DONE
    assert len([call for call in place.calls if call.startswith("restore")]) == 1
    assert "cdk8s-spicedb/stopped" not in place.deployment["metadata"].get("annotations", {})


def test_another_backup_begins_again(place: Place, tmp_path: Path) -> None:
    place.fails[f"restore {OLD}"] = SpiceDBError("the wrong file")
    place.go_back()
    other = tmp_path / "other.zedbackup"
    back_up(connect(place.live), other)
    place.world.clock.sleep(5)
    assert place.go_back(restore=other).state is State.DONE
    first, second = (call for call in place.calls if call.startswith("set aside"))
    assert first != second, "a part of the first one may be in the tables"


def test_nothing_else_works_until_the_restore_is_over(place: Place) -> None:
    place.fails[f"migrate {OLD}"] = SpiceDBError("no")
    place.go_back()
    for outcome in (run(place.world, props(NEW)), roll_back(place.world.cluster(), "spicedb", force=True)):
        assert outcome.state is State.REFUSED
        assert "a restore of a backup is under way" in outcome.reason


def test_the_stop_is_noted_in_the_deployment(place: Place) -> None:
    place.fails[f"migrate {OLD}"] = SpiceDBError("no")
    place.go_back()
    note = json.loads(place.deployment["metadata"]["annotations"]["cdk8s-spicedb/stopped"])
    assert note["replicas"] == 2
