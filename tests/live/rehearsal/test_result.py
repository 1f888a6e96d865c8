"""How the result of a rehearsal is told."""

from __future__ import annotations

from typing import Any

import attrs

from cdk8s_spicedb.live.rehearsal.clients import Requests
from cdk8s_spicedb.live.rehearsal.result import Rehearsal, RehearsedStep, Way
from cdk8s_spicedb.live.rehearsal.watch import DatabaseUse, Locked
from cdk8s_spicedb.text import columns

OTHER = ["document#read: 1 of 10 answers are no instead of yes, such as document:1#read@user:2"]
STEP = RehearsedStep(
    number=1,
    version="v1.56.0",
    schema_mode=None,
    rolls_back=True,
    seconds=21,
    migration_seconds=4,
    database=DatabaseUse(
        bytes_before=10 << 20,
        bytes_after=25 << 20,
        bytes_peak=40 << 20,
        log_bytes=50 << 20,
        memory_bytes=200 << 20,
        locks=[
            Locked(table="relation_tuple", writes_seconds=2.44, reads_seconds=0.1),
            Locked(table="caveat", writes_seconds=0.2, reads_seconds=0),
        ],
    ),
    requests=Requests(asked=40, slowest_check=0.05, slowest_write=2.5),
    back=Way(ready=True, seconds=9.4),
)


def rehearsal(*steps: RehearsedStep, copied: int = 1000) -> Rehearsal:
    return Rehearsal(
        name="spicedb",
        namespace="authz",
        current="v1.52.0",
        target="v1.56.0",
        relationships=1000,
        copied=copied,
        questions=10,
        at="2026-01-01T00:00:00Z",
        steps=steps or (STEP,),
    )


def row(found: Rehearsal) -> list[str]:
    return list(list(found.rows())[1])


def test_no_problem() -> None:
    found = rehearsal()
    assert found.ok
    assert row(found) == ["1", "v1.56.0", "", "21 s", "4 s", "0.1 s", "2.5 s", "works, 9 s"]
    assert found.markdown().endswith("caveat 0.2 s |\n\nNo problem was found.")
    assert "with all 1,000 relationships and 10 questions" in found.summary()


def test_what_the_database_needed() -> None:
    locks = "relation_tuple 2.4 s (reads 0.1 s), caveat 0.2 s"
    _, measured = rehearsal().database_rows()
    assert measured == ("1", "+15 MiB", "+30 MiB", "50 MiB", "200 MiB", locks)
    _, unlocked = rehearsal(attrs.evolve(STEP, database=DatabaseUse(locks=[]))).database_rows()
    assert unlocked == ("1", *["not known"] * 4, "none")


def test_no_table_is_wider_than_a_terminal() -> None:
    assert all(len(line) <= 100 for table in rehearsal().tables() for line in columns(table))


def test_markdown_of_a_text_with_signs() -> None:
    found = rehearsal(attrs.evolve(STEP, back=Way(ready=True, reason="a | b\nc")))
    assert r"| failed: a \| b c |" in found.markdown()


def test_a_sample_gives_a_range() -> None:
    found = rehearsal(copied=100)
    assert row(found)[4] == "4 to 60 s"
    assert "with 100 of 1,000 relationships" in found.summary()


def test_each_problem_is_told() -> None:
    problems: dict[str, Any] = {
        "error": "the servers did not become ready",
        "schema_error": "wildcard",
        "differences": OTHER,
        "expired": ["document:1#reader@user:1"],
        "requests": Requests(failed=["deadline"], silent=True),
        "back": Way(ready=True, seconds=1, differences=OTHER, again="stuck"),
    }
    assert [list(rehearsal(attrs.evolve(STEP, **{name: value})).problems) for name, value in problems.items()] == [
        ["step 1, v1.56.0: the step fails: the servers did not become ready"],
        ["step 1, v1.56.0: v1.56.0 rejects the SpiceDB schema, so nobody can write it again: wildcard"],
        ["step 1, v1.56.0: document#read: 1 of 10 answers are no instead of yes, such as document:1#read@user:2"],
        ["step 1, v1.56.0: expired relationships still grant document:1#reader@user:1"],
        [
            "step 1, v1.56.0: no request was answered during the step",
            "step 1, v1.56.0: 1 request failed during the step, such as: deadline",
        ],
        [
            "step 1, v1.56.0: the step does not work a second time, after its rollback: stuck",
            "step 1, v1.56.0: after the rollback: document#read: 1 of 10 answers are no instead of yes, such as "
            "document:1#read@user:2",
        ],
    ]


def test_a_rollback_that_the_plan_rules_out_is_no_problem() -> None:
    step = attrs.evolve(STEP, rolls_back=False, back=Way(ready=False, reason="it stopped 3 times"))
    assert rehearsal(step).ok
    assert row(rehearsal(step))[-1] == "does not work: it stopped 3 times"
    assert not rehearsal(attrs.evolve(step, rolls_back=True)).ok, "the plan is wrong"


def test_a_rollback_that_fails_says_why() -> None:
    found = rehearsal(attrs.evolve(STEP, back=Way(ready=True, seconds=3, reason="stuck")))
    assert row(found)[-1] == "failed: stuck"
    assert list(found.problems) == ["step 1, v1.56.0: the rollback fails: stuck"]
    assert row(rehearsal(attrs.evolve(STEP, back=None)))[-1] == "not tried"
