"""The README of an upgrade: what to run, in which order, and no way back that is not there."""

from __future__ import annotations

import re

import pytest

from cdk8s_spicedb import (
    Datastore,
    Memory,
    MigrationProps,
    PostgreSQL,
    ServerProps,
    Spanner,
    SpiceDBProps,
    UpgradePlan,
    plan_upgrade,
)
from cdk8s_spicedb.files.folder import MARK
from cdk8s_spicedb.upgrades.runbook import runbook, step_names
from tests.synth import POSTGRES

PROPS = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def of(
    current: str, target: str, datastore: type[Datastore] = PostgreSQL, schema_mode: str | None = None
) -> UpgradePlan:
    return plan_upgrade(datastore, current, target, schema_mode=schema_mode)


def sections(text: str) -> dict[str, str]:
    """The text by its second-level headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (of("v1.52.0", "v1.56.0"), ["1-v1.56.0"]),
        (
            of("v1.13.0", "v1.15.0"),
            [
                "1-v1.14.0-add-xid-columns",
                "2-v1.14.0-add-xid-constraints",
                "3-v1.14.0-drop-id-constraints",
                "4-v1.14.0",
                "5-v1.15.0",
            ],
        ),
        (
            of("v1.52.0", "v1.56.0", schema_mode="read-new-write-both"),
            ["1-v1.56.0", "2-v1.56.0-read-legacy-write-both", "3-v1.56.0-read-new-write-both"],
        ),
        (of("v1.56.0", "v1.56.0"), []),
    ],
)
def test_steps_are_named_so_that_they_sort(plan: UpgradePlan, names: list[str]) -> None:
    assert step_names(plan) == names


def test_ten_steps_sort_as_well() -> None:
    names = step_names(of("v1.13.0", "v1.56.0", schema_mode="read-new-write-new"))
    assert len(names) == 10
    assert names == sorted(names)
    assert names[0].startswith("01-")


def test_every_step_says_what_to_run_what_to_check_and_how_to_go_back() -> None:
    plan = of("v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both")
    found = sections(runbook(plan, PROPS))
    assert list(found) == [
        "1. v1.56.0",
        "2. v1.56.0-read-legacy-write-both",
        "Going back further",
        "When a step fails",
    ]
    for name, text in zip(step_names(plan), found.values(), strict=False):
        assert "--for delete" in text
        run, check, back = (
            text.index(part) for part in (f'helm upgrade "$RELEASE" ./{name} ', "rollout status", "helm rollback")
        )
        assert run < check < back
        assert "hooks do not run on a rollback" in " ".join(text.split())
    assert "Migrates to `populate-schema-tables`." in found["1. v1.56.0"]
    assert "has nothing to do" in found["2. v1.56.0-read-legacy-write-both"]
    assert "`--experimental-schema-mode=read-legacy-write-both`" in found["2. v1.56.0-read-legacy-write-both"]
    assert "write the schema again" not in found["2. v1.56.0-read-legacy-write-both"]
    assert "write the schema again" in runbook(of("v1.52.0", "v1.56.0", schema_mode="read-new-write-both"), PROPS)
    assert "kubectl logs job/spicedb-migration" in found["When a step fails"]


def test_where_helm_cannot_go_back_it_is_not_told_to() -> None:
    found = list(sections(runbook(of("v1.13.0", "v1.14.0"), PROPS)).values())
    assert "No way back by Helm: v1.13.0 does not start on `add-xid-columns`" in found[0]
    assert "helm rollback" not in found[0]
    assert all("helm rollback" in text for text in found[1:4])


def test_what_is_not_known_is_not_promised() -> None:
    text = runbook(of("v1.52.0", "v1.99.0"), PROPS)
    assert "Migrates to `head`." in text
    assert "Whether v1.52.0 starts on the newer schema is not known" in text
    assert "**Note**: v1.99.0 is not among the releases" in text


def test_phases_cautions_and_revisions_for_a_rollback_are_there() -> None:
    text = runbook(of("v1.21.0", "v1.52.0", Spanner), PROPS)
    assert "`--datastore-migration-phase=write-changelog-read-stream`" in text
    assert "Servers also start on `populate-schema-tables`, for a rollback to this step." in text
    assert "**Before you begin**: backfill-xid-add-indices: " in runbook(of("v1.13.0", "v1.14.0"), PROPS)


def test_names_and_times_are_those_of_the_props() -> None:
    props = SpiceDBProps(
        name="authz", version="v1.56.0", datastore=POSTGRES, migration=MigrationProps(active_deadline_seconds=7200)
    )
    text = runbook(of("v1.52.0", "v1.56.0"), props)
    assert text.startswith(f"<!-- {MARK} -->\n# authz: SpiceDB v1.52.0 to v1.56.0 on postgres\n")
    assert "export RELEASE=authz" in text
    assert "deployment/authz " in text
    assert "job/authz-migration " in text
    assert "--timeout 121m" in text


def test_the_memory_engine_has_no_backup_to_make() -> None:
    text = runbook(of("v1.52.0", "v1.56.0", Memory), SpiceDBProps(version="v1.56.0", datastore=Memory()))
    assert "backup" not in text
    assert "keeps nothing" in text


def test_nothing_to_do_is_said() -> None:
    text = runbook(of("v1.56.0", "v1.56.0"), PROPS)
    assert text == f"<!-- {MARK} -->\n# spicedb: SpiceDB v1.56.0 to v1.56.0 on postgres\n\nThere is nothing to do.\n"


@pytest.mark.parametrize(("mode", "told"), [("read-new-write-both", 1), ("read-new-write-new", 2)])
def test_the_schema_is_written_again_on_the_way_there_and_on_the_way_back(mode: str, told: int) -> None:
    text = runbook(of("v1.56.0", "v1.56.0", schema_mode=mode), PROPS)
    assert text.count("write the schema again") == told


def test_one_step_needs_no_word_on_going_further() -> None:
    assert "Going back further" not in runbook(of("v1.52.0", "v1.56.0"), PROPS)


def test_a_rollback_names_its_revision() -> None:
    """By itself Helm goes to the revision before, which may be a failed attempt at the same step."""
    text = runbook(of("v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both"), PROPS)
    rollbacks = re.findall(r"^    helm rollback .*$", text, re.MULTILINE)
    assert rollbacks
    assert all('"$RELEASE" REVISION ' in line for line in rollbacks)
    assert "revision of what ran before" in text
    assert "revision of spicedb-1.0.0" in text


def test_it_tells_of_the_props_and_not_of_the_plan_alone() -> None:
    off = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(allowed_migrations=()))
    assert "Servers also start on" in runbook(of("v1.51.1", "v1.52.0"), PROPS)
    assert "Servers also start on" not in runbook(of("v1.51.1", "v1.52.0"), off)
    assert "No way back by Helm" not in runbook(of("v1.52.0", "v1.56.0"), PROPS)
    assert "No way back by Helm" in runbook(of("v1.52.0", "v1.56.0"), off)


def test_charts_that_do_not_migrate_are_not_said_to() -> None:
    alone = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, migration=MigrationProps(enabled=False))
    text = runbook(of("v1.52.0", "v1.56.0"), alone)
    assert "Migrate by yourself to `populate-schema-tables`." in text
    assert "Every step migrates" not in text
    assert "job/" not in text
    assert "backup" in text


def test_no_revision_is_called_none() -> None:
    modes = of("v1.99.0", "v1.99.0", schema_mode="read-legacy-write-both")
    memory = SpiceDBProps(version="v1.56.0", datastore=Memory())
    assert "None" not in runbook(modes, PROPS) + runbook(of("v1.52.0", "v1.56.0", Memory), memory)


def test_it_waits_as_long_as_servers_may_drain() -> None:
    slow = ServerProps(termination_grace_period_seconds=1200)
    text = runbook(of("v1.52.0", "v1.56.0"), SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=slow))
    assert "--for delete --timeout 1260s" in text
