"""Upgrades in which one new server answers questions before clients reach the new servers."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import Cluster, State
from cdk8s_spicedb.live.data.compare import Comparison, Difference
from cdk8s_spicedb.live.data.questions import Question
from cdk8s_spicedb.live.upgrade import answers
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.deployment import hold, is_held, resume
from tests.controllers import run_controllers
from tests.live.installed import NEW

from .program import QUICK, World, done, run, stopped, wanted
from .program import world as world

ASKING = attrs.evolve(QUICK, questions=100)
QUESTION = Question("document:readme", "read", "user:anne")
BEFORE = answers.Answers([QUESTION], ["yes"], "a token")


@pytest.fixture
def found(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Difference]:
    """The differences that a comparison finds."""
    differences: list[Difference] = []
    run_controllers(world.api)

    def ask(_: Cluster, settings: SpiceDBProps, number: int) -> answers.Answers:
        world.call(f"ask {settings.name} {number}")
        return BEFORE

    def compare(cluster: Cluster, settings: SpiceDBProps, before: answers.Answers) -> Comparison:
        assert before is BEFORE
        assert is_held(cluster, "spicedb")
        assert world.api.get("deployments", "spicedb")["spec"]["paused"] is True
        world.call(f"compare {settings.version}")
        return Comparison(1, Counter(yes=1), list(differences))

    monkeypatch.setattr(answers, "ask", ask)
    monkeypatch.setattr(answers, "compare", compare)
    return differences


def calls(world: World, *words: str) -> list[str]:
    return [call for call in world.calls if call.split()[0] in words]


def is_paused(world: World) -> bool:
    return bool(world.api.get("deployments", "spicedb")["spec"].get("paused"))


def test_each_step_is_compared_before_its_servers_roll_out(world: World, found: list[Difference]) -> None:
    record = done(run(world, wanted(), ASKING))
    steps = len(record.plan.steps)
    assert steps > 1
    expected = [("ask spicedb 100", f"apply {number}", f"compare {NEW}") for number in range(1, steps + 1)]
    assert calls(world, "ask", "apply", "compare") == [call for step in expected for call in step]
    assert not is_paused(world)


def test_nothing_is_asked_by_default(world: World, found: list[Difference]) -> None:
    done(run(world, wanted(None)))
    assert calls(world, "ask", "compare") == []


def test_a_different_answer_rolls_back(world: World, found: list[Difference]) -> None:
    found.append(Difference(QUESTION, "yes", "no"))
    error = stopped(run(world, wanted(None), ASKING), State.ROLLED_BACK)
    assert error.reason == f"1 of 1 answers of a server of {NEW} differ"
    assert (
        error.details == "document#read: 1 of 1 answers are no instead of yes, such as document:readme#read@user:anne"
    )
    assert calls(world, "roll") == ["roll back to 1"]
    assert not is_paused(world)


def test_a_stop_leaves_the_servers_as_they_are_until_the_next_run(world: World, found: list[Difference]) -> None:
    found.append(Difference(QUESTION, "yes", "no"))
    error = stopped(run(world, wanted(None), attrs.evolve(ASKING, on_failure="stop")))
    assert "The Deployment is paused, so all servers are as before." in str(error)
    assert "cdk8s-spicedb rollback spicedb --namespace authz" in str(error), "kubectl and Helm would leave the pause"
    assert is_paused(world)
    found.clear()
    done(run(world, wanted(None), ASKING))
    assert calls(world, "apply") == ["apply 1"]
    assert len(calls(world, "compare")) == 2
    assert not is_paused(world)


def test_what_fails_before_the_servers_change_lets_them_go(world: World, found: list[Difference]) -> None:
    world.fails["apply 1"] = StepError("the migration failed")
    stopped(run(world, wanted(None), attrs.evolve(ASKING, on_failure="stop")))
    assert not is_paused(world)


@pytest.mark.parametrize("call", ["ask spicedb 100", f"compare {NEW}"])
def test_servers_that_cannot_be_asked(world: World, found: list[Difference], call: str) -> None:
    world.fails[call] = SpiceDBError("no answer")
    outcome = run(world, wanted(None), ASKING)
    expected = State.REFUSED if call.startswith("ask") else State.ROLLED_BACK
    assert (outcome.state, "no answer" in outcome.reason) == (expected, True)
    assert not is_paused(world)


def test_only_our_own_pause_ends(world: World) -> None:
    cluster = world.cluster()
    deployment = world.api.get("deployments", "spicedb")
    deployment["spec"]["paused"] = True
    resume(cluster, "spicedb")
    assert is_paused(world)
    hold(cluster, "spicedb")
    assert is_held(cluster, "spicedb")
    del world.api.get("deployments", "spicedb")["spec"]["paused"]
    assert not is_held(cluster, "spicedb"), "somebody has resumed it"
    hold(cluster, "spicedb")
    resume(cluster, "spicedb")
    assert not is_paused(world)
