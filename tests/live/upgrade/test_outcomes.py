"""What becomes of an upgrade whatever goes wrong: one state, and one exit code, for each fault at each call.

Exit code 1 says that nothing was changed. So after a change, no fault may lead to it, and none to an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import httpx2
import pytest

from cdk8s_spicedb.live import Outcome, State, roll_back
from cdk8s_spicedb.live.cluster import Forbidden, Unreachable
from cdk8s_spicedb.live.upgrade.deliver import Deliverer, StepError
from tests.apiserver import Request, matches
from tests.live.installed import props

from .program import NEW, OLD, PREPARE, QUICK, World, deliver_with, record_of, run, wanted

Fault = Any
_AWAY = httpx2.ConnectError("connection refused")
_FAULTS: dict[str, Fault] = {
    "away": _AWAY,
    "forbidden": 403,
    "garbled": httpx2.Response(200, text="<html>Please log in</html>"),
}


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


def image_of(world: World) -> str:
    """The image of the servers."""
    (container,) = world.api.get("deployments", "spicedb")["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def points(requests: list[Request]) -> list[int]:
    """The numbers of the requests that may fail: each change, and the first and the last read of each kind."""
    first: dict[object, int] = {}
    last: dict[object, int] = {}
    for number, each in enumerate(requests):
        kind = number if is_change(each) else (each.verb, each.resource, each.subresource, each.dry_run)
        first.setdefault(kind, number)
        last[kind] = number
    return sorted({*first.values(), *last.values()})


def upgraded(world: World) -> Outcome:
    return run(world, wanted(None))


def failing(world: World) -> None:
    """The step fails after it was applied, so that it is rolled back."""
    world.fails["applied 1"] = StepError("it failed")


def returned(world: World) -> Outcome:
    return roll_back(world.cluster(), "spicedb")


def already_upgraded(world: World) -> None:
    assert upgraded(world).state is State.DONE
    world.calls.clear()


@pytest.mark.parametrize(
    ("fault", "forever"),
    [(fault, False) for fault in _FAULTS] + [("away", True)],
    ids=lambda each: {True: "forever", False: "once"}.get(each, each),
)
@pytest.mark.parametrize(
    ("act", "prepare"),
    [(upgraded, lambda _: None), (upgraded, failing), (returned, already_upgraded)],
    ids=["upgrade", "failing upgrade", "rollback"],
)
def test_each_request_may_fail(
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[World], Outcome],
    prepare: Callable[[World], None],
    fault: str,
    forever: bool,
) -> None:
    # What the next step means is read before anything changes.
    monkeypatch.setattr(PREPARE.Prepared, "meaning", lambda _: ())
    without = made(monkeypatch)
    prepare(without)
    without.api.requests.clear()
    assert act(without).state is not State.REFUSED
    for number in points(without.api.requests):
        world = made(monkeypatch)
        prepare(world)
        world.calls.clear()
        world.api.requests.clear()
        at = iter(range(100_000))

        def is_hit(_: Request, number: int = number, at: Iterator[int] = at) -> bool:
            now = next(at)
            return now >= number if forever else now == number

        world.api.fail(is_hit, _FAULTS[fault], times=None)
        outcome = act(world)
        assert not (world.calls and outcome.state.exit_code == 1), f"exit code 1 after {world.calls}"
        assert (outcome.error is None) is (outcome.state is State.DONE)
        if outcome.state is State.DONE:
            assert image_of(world).endswith(NEW if act is upgraded else OLD)


# ---------------------------------------------------------------- faults with a name


def away(world: World) -> None:
    world.api.away = True


def lose_lease(world: World) -> None:
    world.api.get("leases", "spicedb-upgrade")["spec"]["holderIdentity"] = "somebody@elsewhere:1:abc"
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
        ("roll back to 1", refuse_record, State.ROLLED_BACK, "The record of the upgrade could not be written"),
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
