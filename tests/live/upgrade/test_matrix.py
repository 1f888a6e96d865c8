"""The matrix of faults: each kind of fault at every call of an upgrade and of a rollback.

`make matrix` runs all of it, and prints the figures of docs/operate/faults.md. The other tests run a part: each change
and the first read of each kind, and the faults that were found this way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from cdk8s_spicedb.live import State
from tests.apiserver import CHANGES

from .faults import Call, Cell
from .helmprogram import Killed
from .scenarios import (
    BEFORE,
    FAILING_KUBECTL,
    SCENARIOS,
    Running,
    Scenario,
    calls_of,
    cells_of,
    judged,
    servers_of,
    use,
)

_PARTS = 12
_BY_NAME = {each.name: each for each in SCENARIOS}
_HELM, _KUBECTL = "upgrade with Helm", "upgrade with kubectl"
_FAILING, _BACK, _BACK_KUBECTL = "failing upgrade with Helm", "rollback with Helm", "rollback with kubectl"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def _run(scenario: Scenario, cells: Iterable[Cell]) -> Counter[str]:
    """Runs cells. Returns how many had each outcome. What does not hold is an error."""
    found, wrong = Counter[str](), list[str]()
    for cell in cells:
        result = judged(scenario, cell)
        found[result.state] += 1
        wrong += [f"{cell}, {result.state}: {each}" for each in result.wrong]
    assert not wrong, f"{len(wrong)} do not hold in {scenario.name}:\n" + "\n".join(wrong[:40])
    return found


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(_PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_every_fault_at_every_call(
    scenario: Scenario, part: int, record_property: Callable[[str, object], None]
) -> None:
    found = _run(scenario, cells_of(scenario)[part::_PARTS])
    record_property("matrix", [scenario.name, len(calls_of(scenario)), dict(found)])


# ---------------------------------------------------------------- in each run of the tests

_SOME = (("reset after", False), ("403", False), ("503", True))
_SOME_OF_PROGRAMS = (("killed halfway", False), ("fails after it has done everything", False), ("refused", True))


def _points(scenario: Scenario) -> list[Call]:
    """Each change, the first read of each kind, and each program."""
    seen, found = set[str](), list[Call]()
    for call in calls_of(scenario):
        kind = " ".join(call.what.split()[:2])
        changes = call.what.split()[0] in CHANGES and "leases" not in kind
        if changes or call.where == "program" or kind not in seen:
            found.append(call)
        seen.add(kind)
    return found


@pytest.mark.parametrize("name", [_HELM, _FAILING, _BACK, _BACK_KUBECTL])
def test_some_faults_at_some_calls(name: str) -> None:
    scenario = _BY_NAME[name]
    cells = []
    for number, call in enumerate(_points(scenario)):
        if call.where != "clock":
            kind, forever = (_SOME if call.where == "api" else _SOME_OF_PROGRAMS)[number % 3]
            cells.append(Cell(call, kind, forever))
    assert len(cells) > 10
    _run(scenario, cells)


def test_every_run_without_a_fault_is_the_same() -> None:
    for scenario in SCENARIOS:
        assert calls_of.__wrapped__(scenario) == calls_of(scenario)


def test_every_call_and_every_kind_of_fault_is_in_the_matrix() -> None:
    for scenario in SCENARIOS:
        cells = cells_of(scenario)
        assert {cell.call for cell in cells} == set(calls_of(scenario))
        assert len(cells) == len(set(cells))


@pytest.mark.parametrize(
    ("name", "where", "what", "number", "kind", "forever"),
    [
        # A rollback that was done, and not recorded, is not undone by the next one.
        (_BACK, "program", "helm rollback", 0, "fails after it has done everything", False),
        (_BACK, "program", "helm rollback", 0, "killed after", False),
        (_BACK_KUBECTL, "program", "kubectl rollout undo", 0, "interrupted after", False),
        (_BACK_KUBECTL, "program", "kubectl rollout undo", 0, "fails after it has done everything", False),
        (_BACK, "api", "delete leases spicedb-upgrade", 0, "killed before", False),
        (_BACK, "api", "update configmaps spicedb-upgrade", 1, "reset after", True),
        # A rollback that failed leaves no deployed revision.
        (_BACK, "program", "helm rollback", 0, "never ends", False),
        (_BACK, "clock", "pause", 0, "interrupted", False),
        # The revision that somebody else's Helm made at that moment is not ours.
        (_BACK, "program", "helm rollback", 0, "another operation", False),
        # The rollback of a failed step is ours also if it was killed, and has the number of what it removes.
        (_FAILING, "program", "helm rollback", 0, "killed at once", False),
        (_FAILING, "program", "helm upgrade", 0, "killed halfway", True),
        (_HELM, "program", "helm test", 0, "killed halfway", True),
        # A record that cannot be written does not say that the step was rolled back.
        (_FAILING, "api", "update leases spicedb-upgrade", 4, "403", True),
        # What is deleted last is deleted although the first attempt fails.
        (_HELM, "api", "delete leases spicedb-upgrade", 0, "503", False),
        (_HELM, "api", "delete leases spicedb-upgrade", 0, "interrupted before", False),
        (_HELM, "api", "delete configmaps spicedb-schema-again", 0, "410", False),
    ],
)
def test_faults_that_were_found(name: str, where: str, what: str, number: int, kind: str, forever: bool) -> None:
    call = Call(where, what, number)
    assert call in calls_of(_BY_NAME[name])
    _run(_BY_NAME[name], [Cell(call, kind, forever)])


def test_a_rollback_gives_the_older_servers_a_new_number_with_kubectl() -> None:
    """So what is recorded is not the number that they had before the rollback, which was killed after it was done."""
    process = Running.process = FAILING_KUBECTL.faulty(Cell(Call("program", "kubectl rollout undo", 0), "killed after"))
    with pytest.raises(Killed):
        FAILING_KUBECTL.act(process)
    Running.process = process.healed()
    outcome = FAILING_KUBECTL.act(Running.process)
    assert outcome.state is State.ROLLED_BACK, outcome.reason
    assert servers_of(process.api) == BEFORE


def test_without_a_fault_nothing_is_wrong() -> None:
    for scenario in SCENARIOS:
        result = judged(scenario, None)
        assert (result.state.partition(",")[0], result.wrong) == (scenario.usual.value, [])
