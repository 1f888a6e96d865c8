"""What a step means, in words."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import PostgreSQL, UpgradeStep, plan_upgrade
from cdk8s_spicedb.plans.words import allowed, old_servers, rollback, rolls_back, step_of

(STEP,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0").steps


def step(rolls_back: bool | None, revision: str | None = "head") -> UpgradeStep:
    return attrs.evolve(STEP, rolls_back=rolls_back, revision=revision)


@pytest.mark.parametrize(
    ("works", "verdict", "reason"),
    [
        (True, "a rollback works", "servers of v1.52.0 also start on head"),
        (False, "a rollback does not work", "servers of v1.52.0 do not start on head"),
        (None, "a rollback may not work", "it is not known whether servers of v1.52.0 start on head"),
    ],
)
def test_what_a_rollback_means(works: bool | None, verdict: str, reason: str) -> None:
    assert rollback(step(works)) == verdict
    assert rollback(step(works), "step 1") == verdict.replace("a rollback", "a rollback of step 1")
    assert old_servers(step(works), "v1.52.0") == reason
    assert old_servers(step(works), "v1.52.0", code=True) == reason.replace("head", "`head`")


def test_what_is_not_known_has_no_name() -> None:
    assert old_servers(step(False, None), None) == (
        "servers of the release before do not start on the newer datastore schema"
    )
    assert "`" not in old_servers(step(None, None), "v1.52.0", code=True)


@pytest.mark.parametrize(
    ("steps", "works"),
    [([], True), ([True, True], True), ([True, None], None), ([None, False, True], False)],
)
def test_a_rollback_of_several_steps_works_if_each_one_does(steps: list[bool | None], works: bool | None) -> None:
    assert rolls_back([step(each) for each in steps]) is works


def test_places_and_revisions() -> None:
    assert step_of(2, 3) == "step 2 of 3"
    two = attrs.evolve(STEP, allowed_migrations=("one", "two"))
    assert allowed(two) == "servers also start on one, two, for a rollback to this step"
    assert allowed(two, code=True) == "servers also start on `one`, `two`, for a rollback to this step"


def test_the_release_before_a_step() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.30.0", "v1.56.0")
    assert [plan.before(number) for number in range(1, len(plan.steps) + 1)] == [
        "v1.30.0",
        *(each.version for each in plan.steps[:-1]),
    ]
    assert len(plan.steps) > 1
