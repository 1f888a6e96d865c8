"""Upgrades that back up before a step without a sure way back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Any

import attrs
import httpx2
import pytest

from cdk8s_spicedb import SpiceDBError, SpiceDBProps, UpgradeBackup
from cdk8s_spicedb.live import Activity, Cluster, Preflight, Progress, State
from cdk8s_spicedb.live.observe import require
from cdk8s_spicedb.live.poll import InterruptibleClock
from cdk8s_spicedb.live.rehearsed import note_rehearsal, settings_of
from cdk8s_spicedb.live.target import plan_to
from cdk8s_spicedb.live.upgrade.backup import make
from cdk8s_spicedb.live.upgrade.deliver import StepError, silent
from cdk8s_spicedb.live.upgrade.rollback import roll_back
from cdk8s_spicedb.live.upgrade.upgrade import UpgradeOptions
from cdk8s_spicedb.plans.plan import UpgradeStep
from tests.apikinds import BACKUP
from tests.apiserver import ApiServer, matches
from tests.live.installed import props

from .program import QUICK, Killed, World, done, record_of, run, stopped, wanted
from .program import world as world


def options(world: World) -> UpgradeOptions:
    """Options that note the backup among the calls."""

    def back_up(_: Cluster, name: str) -> str:
        world.calls.append(f"back up {name}")
        return "the backup /backups/it"

    return attrs.evolve(QUICK, back_up=back_up)


def test_backup_comes_before_the_step(world: World) -> None:
    world.deploy(props("v1.30.0"))
    events: list[Progress] = []
    record = done(run(world, props("v1.37.1"), options(world), report=events.append))
    unsure = [number for number, step in enumerate(record.plan.steps, 1) if not step.rolls_back]
    assert unsure
    calls = [call for call in world.calls if call.startswith(("back up", "apply "))]
    for number in unsure:
        assert calls[calls.index(f"apply {number}") - 1] == "back up spicedb"
    assert calls.count("back up spicedb") == len(unsure)
    assert "back up" in {event.activity for event in events}
    assert (record.backup or "").startswith("the backup /backups/it (20")


def test_step_that_rolls_back_needs_none(world: World) -> None:
    record = done(run(world, wanted(None), options(world)))
    assert all(step.rolls_back for step in record.plan.steps)
    assert "back up spicedb" not in world.calls
    assert record.backup is None


def test_stop_and_rollback_name_the_backup(world: World) -> None:
    world.deploy(props("v1.30.0"))
    first = next(number for number, step in enumerate(_plan(world), 1) if step.rolls_back is False)
    world.fails[f"applied {first}"] = StepError("it failed")
    error = stopped(run(world, props("v1.37.1"), options(world)))
    assert "to go back, restore the backup /backups/it (20" in str(error)
    with pytest.raises(SpiceDBError, match=r"Restore the backup /backups/it .* into an empty database. Then add"):
        roll_back(world.cluster(), "spicedb").require_done()


def _plan(world: World) -> Sequence[UpgradeStep]:
    running = require(world.cluster(), "spicedb").running
    assert running is not None
    return plan_to(props("v1.37.1"), running).steps


def test_step_that_has_begun_is_not_backed_up_again(world: World) -> None:
    world.deploy(props("v1.30.0"))
    world.fails["applied 1"] = Killed
    with pytest.raises(Killed):
        run(world, props("v1.37.1"), options(world))
    world.fails.clear()
    before = world.calls.count("back up spicedb")
    record = done(run(world, props("v1.37.1"), options(world)))
    others = [step for step in record.plan.steps[1:] if not step.rolls_back]
    assert world.calls.count("back up spicedb") == before + len(others)


def test_backup_that_fails_stops_before_the_step(world: World) -> None:
    def back_up(_: Cluster, name: str) -> str:
        raise SpiceDBError("no space left")

    world.deploy(props("v1.30.0"))
    outcome = run(world, props("v1.37.1"), attrs.evolve(QUICK, back_up=back_up))
    assert outcome.state is State.REFUSED
    assert outcome.reason == "the backup failed: no space left\nNothing was changed."
    assert not any(call.startswith("apply") for call in world.calls)
    assert not world.api.has("configmaps", "spicedb-upgrade")


# ---------------------------------------------------------------- the backup of the props


def with_backup(**settings: Any) -> SpiceDBProps:
    """A target that is reached by one step without a way back, with a backup of the props."""
    return props("v1.37.1", upgrade_backup=UpgradeBackup(**settings))


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_the_backup_of_the_props_takes_precedence(world: World, tmp_path: Path) -> None:
    world.deploy(props("v1.30.0"))
    file = tmp_path / "told"
    told = "$CDK8S_SPICEDB_NAMESPACE $CDK8S_SPICEDB_NAME [$CDK8S_SPICEDB_CONTEXT] $CDK8S_SPICEDB_STEP"
    settings = with_backup(command=shell(f'echo "{told}" >> {file}; echo one; echo s3://backups/it'))
    events: list[Progress] = []
    record = done(run(world, settings, options(world), report=events.append))
    assert file.read_text().splitlines() == [
        f"authz spicedb [] {number}" for number, step in enumerate(record.plan.steps, 1) if not step.rolls_back
    ]
    assert "back up spicedb" not in world.calls
    assert (record.backup or "").startswith("the backup s3://backups/it (20")
    texts = [event.text for event in events if event.activity is Activity.BACK_UP]
    assert texts[0].startswith("running `sh -c 'echo")
    assert texts[0].endswith("`, at most 3600 s")
    assert texts[1] == "made the backup s3://backups/it"


def test_a_program_without_output_is_named_itself(world: World) -> None:
    world.deploy(props("v1.30.0"))
    assert (done(run(world, with_backup(command=["true"]))).backup or "").startswith("the backup of `true` (20")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (shell("echo out; echo one >&2; echo password=hunter2 >&2; exit 3"), ": it failed\none\npassword=(hidden)"),
        (["no-such-program"], "cannot run no-such-program: No such file or directory; install it"),
    ],
)
def test_a_program_that_fails_stops_the_upgrade(world: World, command: list[str], reason: str) -> None:
    world.deploy(props("v1.30.0"))
    outcome = run(world, with_backup(command=command))
    assert outcome.state is State.REFUSED
    assert reason in outcome.reason
    assert outcome.reason.endswith("Nothing was changed.")
    assert not world.api.has("configmaps", "spicedb-upgrade")


def test_a_program_has_a_time_limit_and_ends_with_what_it_started(tmp_path: Path) -> None:
    pid, name = tmp_path / "pid", "spicedb"
    backup = UpgradeBackup(command=shell(f"sleep 60 & echo $! > {pid}; wait"), timeout_seconds=1)
    with pytest.raises(SpiceDBError, match="it has not ended within 1 s"):
        make(ApiServer().cluster(), name, backup, 1, silent)
    _require_ended(int(pid.read_text()))


def test_a_program_is_interrupted_with_the_upgrade(tmp_path: Path) -> None:
    pid, interrupted = tmp_path / "pid", Event()
    cluster = ApiServer().cluster(clock=InterruptibleClock(interrupted))
    Timer(0.5, interrupted.set).start()
    with pytest.raises(KeyboardInterrupt):
        make(cluster, "spicedb", UpgradeBackup(command=shell(f"echo $$ > {pid}; sleep 60")), 1, silent)
    _require_ended(int(pid.read_text()))


def _require_ended(pid: int) -> None:
    """Waits until a process has ended: after the signal, it can take a moment."""
    stat, late = Path(f"/proc/{pid}/stat"), time.monotonic() + 10
    while stat.exists() and stat.read_text().split()[2] != "Z":
        assert time.monotonic() < late
        time.sleep(0.05)


OBJECT = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Backup",
    "metadata": {"name": "before-upgrade"},
    "spec": {"cluster": {"name": "database"}},
}


def by_operator(world: World, *phases: str, **more: str) -> SpiceDBProps:
    """A target whose backup an operator makes, which sets one phase after another, each time somebody looks."""
    world.api.resources.append(BACKUP)
    left = list(phases)

    def act(_: object, backup: Any) -> None:
        if backup and left:
            backup["status"] = {"phase": left.pop(0), **more}

    world.api.on(matches("get", "backups"), act, before=True)
    wait = {"wait_for": ".status.phase=completed", "fail_on": ".status.phase=failed"}
    return with_backup(manifest=OBJECT, **wait, timeout_seconds=20)


def test_an_object_is_created_and_waited_for(world: World) -> None:
    world.deploy(props("v1.30.0"))
    events: list[Progress] = []
    record = done(run(world, by_operator(world, "started", "completed"), report=events.append))
    first, *_ = world.api.of("backups")
    name = first["metadata"]["name"]
    assert name.startswith("before-upgrade-")
    assert (first["metadata"]["namespace"], first["spec"]) == ("authz", OBJECT["spec"])
    assert len(world.api.of("backups")) == len([step for step in record.plan.steps if not step.rolls_back])
    texts = [event.text for event in events if event.activity is Activity.BACK_UP]
    assert texts[:3] == [
        f"Backup {name}: .status.phase is started",
        f"Backup {name}: .status.phase is completed",
        f"made the Backup {name}",
    ]
    assert (record.backup or "").startswith("the Backup before-upgrade-")


@pytest.mark.parametrize(
    ("phases", "reason"),
    [
        (["failed"], " has .status.phase=failed: no space left; see `kubectl describe backup before-upgrade-"),
        (["running"], " does not have .status.phase=completed after 20 s; see `kubectl describe backup"),
    ],
)
def test_an_object_that_fails_stops_the_upgrade(world: World, phases: list[str], reason: str) -> None:
    world.deploy(props("v1.30.0"))
    outcome = run(world, by_operator(world, *phases, error="no space left"))
    assert outcome.state is State.REFUSED
    assert reason in outcome.reason
    assert not any(call.startswith("apply") for call in world.calls)


def test_an_object_that_somebody_deletes_is_no_backup(world: World) -> None:
    world.deploy(props("v1.30.0"))
    settings = by_operator(world)
    world.api.on(matches("get", "backups"), lambda *_: world.api.remove("backups"), before=True)
    assert "somebody has deleted Backup before-upgrade-" in run(world, settings).reason


def test_an_object_is_created_once_if_only_the_answer_is_lost(world: World) -> None:
    world.deploy(props("v1.30.0"))
    settings = by_operator(world, "completed")

    def lose(*_: object) -> None:
        raise httpx2.ReadError("connection reset by peer")

    world.api.on(matches("create", "backups"), lose)
    run(world, settings, attrs.evolve(QUICK, most_steps=1))
    assert world.api.count("create", "backups") == len(world.api.of("backups")) == 1


def test_a_backup_does_not_change_what_is_rendered() -> None:
    settings = with_backup(command=["true"])
    assert settings_of(settings) == settings_of(props("v1.37.1"))


def test_nothing_to_back_up_is_no_backup(world: World) -> None:
    world.deploy(props("v1.30.0"))
    assert done(run(world, props("v1.37.1"), attrs.evolve(QUICK, back_up=lambda *_: None))).backup is None


# ---------------------------------------------------------------- parts, and rehearsals


def test_upgrade_in_parts(world: World) -> None:
    one = attrs.evolve(QUICK, most_steps=1)
    for number in range(1, 4):
        outcome = run(world, wanted(), one)
        assert outcome.state is State.PAUSED
        assert record_of(world).sound[-1].step == number
    assert run(world, wanted(), one).state is State.DONE


def unrehearsed(world: World, settings: SpiceDBProps) -> bool:
    """What the upgrade says before it changes anything."""
    found: list[Preflight] = []

    def confirm(preflight: Preflight) -> bool:
        found.append(preflight)
        return False

    run(world, settings, confirm=confirm)
    return found[0].unrehearsed


def test_an_unsure_upgrade_says_that_nobody_rehearsed_it(world: World) -> None:
    world.deploy(props("v1.30.0"))
    assert unrehearsed(world, props("v1.37.1"))
    note_rehearsal(world.cluster(), props("v1.37.1"))
    assert not unrehearsed(world, props("v1.37.1"))


def test_a_sure_upgrade_needs_no_rehearsal(world: World) -> None:
    assert not unrehearsed(world, wanted(None))
