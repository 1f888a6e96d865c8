"""The README of an upgrade: what to run and to check, and how to roll back."""

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
from cdk8s_spicedb.helm.upgrade import runbook, step_names
from tests.synth import POSTGRES

PROPS = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def plan_of(
    current: str, target: str, datastore: type[Datastore] = PostgreSQL, schema_mode: str | None = None
) -> UpgradePlan:
    return plan_upgrade(datastore, current, target, schema_mode=schema_mode)


def sections(text: str) -> dict[str, str]:
    """The text of each section, by heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (plan_of("v1.52.0", "v1.56.0"), ["1-v1.56.0"]),
        (
            plan_of("v1.13.0", "v1.15.0"),
            [
                "1-v1.14.0-add-xid-columns",
                "2-v1.14.0-add-xid-constraints",
                "3-v1.14.0-drop-id-constraints",
                "4-v1.14.0",
                "5-v1.15.0",
            ],
        ),
        (
            plan_of("v1.52.0", "v1.56.0", schema_mode="read-new-write-both"),
            ["1-v1.56.0", "2-v1.56.0-read-legacy-write-both", "3-v1.56.0-read-new-write-both"],
        ),
        (plan_of("v1.56.0", "v1.56.0"), []),
    ],
)
def test_step_names_begin_with_their_number(plan: UpgradePlan, names: list[str]) -> None:
    assert step_names(plan) == names


def test_names_of_ten_steps_sort() -> None:
    names = step_names(plan_of("v1.13.0", "v1.56.0", schema_mode="read-new-write-new"))
    assert len(names) == 10
    assert names == sorted(names)
    assert names[0].startswith("01-")


def test_each_step_says_what_to_run_and_check_and_how_to_roll_back() -> None:
    plan = plan_of("v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both")
    found = sections(runbook(plan, PROPS))
    assert list(found) == [
        "Before you begin",
        "1. v1.56.0",
        "2. v1.56.0-read-legacy-write-both",
        "Roll back further",
        "If a step fails",
    ]
    for number, name in enumerate(step_names(plan), 1):
        text = found[f"{number}. {name[2:]}"]
        assert "--for delete" in text
        run, check, rollback = (
            text.index(part) for part in (f'helm upgrade "$RELEASE" ./{name} ', "rollout status", "helm rollback")
        )
        assert run < check < rollback
        assert "A rollback runs no migration" in text
    assert "Migrates to `populate-schema-tables`." in found["1. v1.56.0"]
    assert "has nothing to do" in found["2. v1.56.0-read-legacy-write-both"]
    assert "`--experimental-schema-mode=read-legacy-write-both`" in found["2. v1.56.0-read-legacy-write-both"]
    assert "write the schema again" not in found["2. v1.56.0-read-legacy-write-both"]
    assert "write the schema again" in runbook(plan_of("v1.52.0", "v1.56.0", schema_mode="read-new-write-both"), PROPS)
    assert "kubectl logs job/spicedb-migration" in found["If a step fails"]


def test_a_step_that_helm_cannot_undo_has_no_rollback_command() -> None:
    first, *others = list(sections(runbook(plan_of("v1.13.0", "v1.14.0"), PROPS)).values())[1:5]
    assert "**A rollback of this step does not work.**\nServers of v1.13.0 do not start on `add-xid-columns`" in first
    assert "helm rollback" not in first
    assert all("helm rollback" in text for text in others)


def test_a_rollback_to_an_unknown_schema_is_unknown() -> None:
    text = runbook(plan_of("v1.52.0", "v1.99.0"), PROPS)
    assert "Migrates to `head`." in text
    assert "It is not known whether servers of v1.52.0 start on the newer datastore schema" in text
    assert "**Warning**: v1.99.0 is not among the releases" in text


def test_steps_contain_phases_cautions_and_allowed_migrations() -> None:
    text = runbook(plan_of("v1.21.0", "v1.52.0", Spanner), PROPS)
    assert "`--datastore-migration-phase=write-changelog-read-stream`" in text
    assert "Servers also start on `populate-schema-tables`, for a rollback to this step." in text
    assert "**Before this step**: backfill-xid-add-indices: " in runbook(plan_of("v1.13.0", "v1.14.0"), PROPS)


def test_commands_use_the_names_and_timeouts_of_the_props() -> None:
    props = SpiceDBProps(
        name="authz", version="v1.56.0", datastore=POSTGRES, migration=MigrationProps(active_deadline_seconds=7200)
    )
    text = runbook(plan_of("v1.52.0", "v1.56.0"), props)
    assert text.startswith(f"<!-- {MARK} -->\n# Upgrade authz from SpiceDB v1.52.0 to v1.56.0 on postgres\n")
    assert "export RELEASE=authz" in text
    assert "deployment/authz " in text
    assert "job/authz-migration " in text
    assert "--timeout 121m" in text


def test_the_memory_engine_needs_no_backup() -> None:
    text = runbook(plan_of("v1.52.0", "v1.56.0", Memory), SpiceDBProps(version="v1.56.0", datastore=Memory()))
    assert "backup" not in text
    assert "stores nothing permanently" in text


def test_readme_of_a_plan_without_steps() -> None:
    text = runbook(plan_of("v1.56.0", "v1.56.0"), PROPS)
    title = "# Upgrade spicedb from SpiceDB v1.56.0 to v1.56.0 on postgres"
    assert text == f"<!-- {MARK} -->\n{title}\n\nThere is nothing to do.\n"


@pytest.mark.parametrize(("mode", "count"), [("read-new-write-both", 1), ("read-new-write-new", 2)])
def test_readme_says_when_to_write_the_schema_again(mode: str, count: int) -> None:
    text = runbook(plan_of("v1.56.0", "v1.56.0", schema_mode=mode), PROPS)
    assert text.count("write the schema again") == count


def test_a_plan_of_one_step_has_no_section_about_further_rollbacks() -> None:
    assert "Roll back further" not in runbook(plan_of("v1.52.0", "v1.56.0"), PROPS)


def test_rollback_commands_name_a_revision() -> None:
    """Without a revision, Helm rolls back to the revision before, which may be a failed attempt."""
    text = runbook(plan_of("v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both"), PROPS)
    rollbacks = re.findall(r"^    helm rollback .*$", text, re.MULTILINE)
    assert rollbacks
    assert all('"$RELEASE" REVISION ' in line for line in rollbacks)
    assert "last revision that was deployed before this upgrade" in text
    assert "last deployed revision of the chart spicedb-1.0.0" in text


def test_rollbacks_follow_the_allowed_migrations_of_the_props() -> None:
    none_allowed = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(allowed_migrations=()))
    assert "Servers also start on" in runbook(plan_of("v1.51.1", "v1.52.0"), PROPS)
    assert "Servers also start on" not in runbook(plan_of("v1.51.1", "v1.52.0"), none_allowed)
    assert "A rollback of this step does not work" not in runbook(plan_of("v1.52.0", "v1.56.0"), PROPS)
    assert "A rollback of this step does not work" in runbook(plan_of("v1.52.0", "v1.56.0"), none_allowed)


def test_readme_of_charts_that_do_not_migrate() -> None:
    props = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, migration=MigrationProps(enabled=False))
    text = runbook(plan_of("v1.52.0", "v1.56.0"), props)
    assert "Migrate the datastore to `populate-schema-tables` yourself" in text
    assert "Each step first migrates" not in text
    assert "job/" not in text
    assert "backup" in text


def test_readme_never_shows_none_as_a_revision() -> None:
    modes = plan_of("v1.99.0", "v1.99.0", schema_mode="read-legacy-write-both")
    memory = SpiceDBProps(version="v1.56.0", datastore=Memory())
    assert "None" not in runbook(modes, PROPS) + runbook(plan_of("v1.52.0", "v1.56.0", Memory), memory)


def test_check_waits_as_long_as_servers_may_drain() -> None:
    slow = ServerProps(termination_grace_period_seconds=1200)
    text = runbook(plan_of("v1.52.0", "v1.56.0"), SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=slow))
    assert "--for delete --timeout 1260s" in text
