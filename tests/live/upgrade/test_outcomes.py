"""What becomes of an upgrade when something goes wrong: one state, and one exit code. `test_matrix` has every call.

Exit code 1 says that nothing was changed. So after a change, no fault may lead to it, and none to an exception.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from cdk8s_spicedb.live import State
from cdk8s_spicedb.live.apierror import Forbidden, Unreachable
from cdk8s_spicedb.live.upgrade.deliver import Deliverer, StepError
from tests.apiserver import Request, matches
from tests.live.installed import props

from .program import OLD, QUICK, World, deliver_with, record_of, run, wanted


def made(monkeypatch: pytest.MonkeyPatch) -> World:
    """A new cluster, in which SpiceDB runs."""
    world = World()
    deliver_with(monkeypatch, world)
    world.deploy(props(OLD))
    world.api.requests.clear()
    return world


def is_change(request: Request) -> bool:
    """Whether a request changes more than the lock."""
    return matches("change")(request) and request.resource != "leases" and not request.dry_run


def has_changed(world: World) -> bool:
    """Whether anything changed in the cluster."""
    return bool(world.calls) or world.api.has("configmaps", "spicedb-upgrade")


# ---------------------------------------------------------------- faults with a name


def away(world: World) -> None:
    world.api.away = True


def lose_lease(world: World) -> None:
    lease = world.api.get("leases", "spicedb-upgrade")
    world.api.put("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": "somebody@elsewhere:1:abc"}})
    world.clock.seconds += 60


def lose_deployment(world: World) -> None:
    world.api.remove("deployments", "spicedb")


def refuse_record(world: World) -> None:
    world.api.deny("configmaps", "update")


@pytest.mark.parametrize(
    ("point", "fault", "state", "text"),
    [
        ("apply 1", away, State.DONE, ""),
        ("applied 1", away, State.STOPPED, "cannot reach the API server"),
        ("applied 1", lose_lease, State.STOPPED, "lost the Lease"),
        ("applied 2", lose_lease, State.STOPPED, "lost the Lease"),
        ("applied 1", lose_deployment, State.STOPPED, "there is no Deployment spicedb"),
        ("applied 1", refuse_record, State.STOPPED, "forbidden"),
        ("roll back to 1", away, State.STOPPED, "The rollback failed too: cannot reach the API server"),
        ("rolled back to 1", lose_deployment, State.STOPPED, "The rollback failed too: there is no Deployment"),
        ("roll back to 1", refuse_record, State.STOPPED, "The record of the upgrade could not be written"),
    ],
)
def test_a_fault_in_a_step(
    monkeypatch: pytest.MonkeyPatch, point: str, fault: Callable[[World], None], state: State, text: str
) -> None:
    world = made(monkeypatch)
    if point.startswith("roll"):
        world.fails["apply 1"] = StepError("it failed")
    if (point, fault) == ("apply 1", away):
        # It comes back while the upgrade waits for it.
        world.clock.on_sleep = lambda _: setattr(world.api, "away", False)

    def strike(_: Deliverer) -> None:
        fault(world)

    world.acts[point] = strike
    outcome = run(world, wanted(*(() if point == "applied 2" else (None,))))
    assert (outcome.state, text in outcome.reason) == (state, True), outcome.reason
    assert has_changed(world)


@pytest.mark.parametrize("call", ["apply 1", "applied 1", "test", "roll back to 1", "recover"])
@pytest.mark.parametrize(
    "error",
    [StepError("x"), Unreachable("x"), Forbidden("x", 403), ValueError("x"), KeyError("x"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_a_deliverer_may_raise_anything(monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException) -> None:
    world = made(monkeypatch)
    if call == "roll back to 1":
        world.fails["applied 1"] = StepError("it failed")
    elif call == "recover":
        world.fails["applied 1"] = ValueError("killed")
        run(world, wanted(None))
    world.fails[call] = error
    outcome = run(world, attrs.evolve(wanted(None), test=None))
    if call == "test":
        assert outcome.state is State.DONE, "the file has no permission test"
        return
    if isinstance(error, KeyboardInterrupt):
        assert outcome.state is State.INTERRUPTED
    elif isinstance(error, StepError) and call in ("apply 1", "applied 1"):
        assert outcome.state is State.ROLLED_BACK
    else:
        assert outcome.state is State.STOPPED
    assert outcome.state.exit_code != 1


def test_every_state_has_its_own_exit_code() -> None:
    assert {state: state.exit_code for state in State} == {
        State.DONE: 0,
        State.REFUSED: 1,
        State.ROLLED_BACK: 3,
        State.STOPPED: 4,
        State.PAUSED: 0,
        State.INTERRUPTED: 130,
    }


def test_what_is_refused_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(monkeypatch)
    outcome = run(world, wanted(None), QUICK, confirm=lambda _: False)
    assert (outcome.state, [each for each in world.api.requests if is_change(each)]) == (State.REFUSED, [])
    world.api.deny("deployments", "get")
    assert run(world, wanted(None)).state is State.REFUSED
    assert [each for each in world.api.requests if is_change(each)] == []
    assert record_missing(world)


def record_missing(world: World) -> bool:
    with pytest.raises(AssertionError):
        record_of(world)
    return True
