"""Upgrades that back up before a step without a sure way back."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import Cluster, Preflight, Progress, State
from cdk8s_spicedb.live.observe import require
from cdk8s_spicedb.live.rehearsed import note_rehearsal
from cdk8s_spicedb.live.target import plan_to
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.rollback import roll_back
from cdk8s_spicedb.live.upgrade.upgrade import UpgradeOptions
from cdk8s_spicedb.plans.plan import UpgradeStep
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
    assert (outcome.state, outcome.reason) == (State.REFUSED, "no space left")
    assert not any(call.startswith("apply") for call in world.calls)
    assert not world.api.has("configmaps", "spicedb-upgrade")


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
