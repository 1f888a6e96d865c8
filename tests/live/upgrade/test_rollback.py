"""Rollbacks of a live release."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live import State
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.rollback import plan_rollback, roll_back
from tests.live.installed import props

from .program import MODES, NEW, OLD, QUICK, World, record_of, run, stopped, wanted
from .program import world as world


def test_rollback_goes_back_one_step_at_a_time(world: World) -> None:
    run(world, wanted())
    kube = world.cluster()
    with pytest.raises(SpiceDBError, match="add --file"):
        roll_back(kube, "spicedb").require_done()
    for number, mode in ((4, MODES[2]), (3, MODES[1]), (2, MODES[0])):
        back = roll_back(kube, "spicedb", props=wanted()).back
        assert back is not None
        assert (back.target.revision, back.target.schema_mode) == (str(number), mode) or len(world.history) > 5
        assert record_of(world).sound[-1].schema_mode == mode
    assert world.calls.count("schema in read-new-write-new") == 1
    last = roll_back(kube, "spicedb").back
    assert last is not None
    assert last.target.version == OLD
    assert record_of(world).next_step == 1


def test_rollback_of_a_stopped_step(world: World) -> None:
    world.fails["applied 1"] = StepError("it failed")
    stopped(run(world, wanted(None), attrs.evolve(QUICK, on_failure="stop")))
    back = plan_rollback(world.cluster(), "spicedb")
    assert back.target.version == OLD
    assert back.cautions[0].startswith("the datastore schema stays as it is")
    roll_back(world.cluster(), "spicedb").require_done()
    assert record_of(world).running is None


def test_rollback_to_servers_that_do_not_start_is_refused(world: World) -> None:
    world.deploy(props("v1.30.0"))
    run(world, props("v1.37.1"))
    kube = world.cluster()
    roll_back(kube, "spicedb").require_done()
    with pytest.raises(SpiceDBError, match=r"servers of v1\.30\.0 do not start on .*add --force"):
        roll_back(kube, "spicedb").require_done()
    roll_back(kube, "spicedb", force=True).require_done()


def test_rollback_that_fails_says_why(world: World) -> None:
    run(world, wanted(None))
    world.fails["roll back to 1"] = StepError("it failed", "details")
    with pytest.raises(SpiceDBError, match="the rollback failed: it failed\ndetails"):
        roll_back(world.cluster(), "spicedb").require_done()


def test_rollback_without_a_record_uses_the_history(world: World) -> None:
    world.deploy(props(NEW))
    back = plan_rollback(world.cluster(), "spicedb")
    assert (back.target.version, back.target.revision) == (OLD, "1")
    assert "no record of the upgrade" in back.cautions[1]
    assert roll_back(world.cluster(), "spicedb", confirm=lambda _: False).state is State.REFUSED


def test_api_server_that_never_returns_is_an_error(world: World) -> None:
    with world.api.unreachable(), pytest.raises(SpiceDBError, match="cannot reach the API server"):
        plan_rollback(world.cluster(), "spicedb")


def test_rollback_to_a_revision_that_is_gone_is_refused(world: World) -> None:
    """Helm and Kubernetes keep the last ten."""
    assert run(world, wanted(None)).state is State.DONE
    del world.history["1"]
    world.history["3"] = world.history["2"]
    outcome = roll_back(world.cluster(), "spicedb")
    assert outcome.state is State.REFUSED
    assert "the cluster no longer has revision 1 of spicedb" in outcome.reason
