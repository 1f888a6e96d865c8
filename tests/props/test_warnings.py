"""What deserves a word when it is rendered."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    AdvisoryWarning,
    Datastore,
    Memory,
    MigrationPhase,
    MigrationProps,
    PostgreSQL,
    ServerProps,
    SpiceDBProps,
    SpiceDBWarning,
    known_releases,
    plan_upgrade,
)
from tests.synth import ENGINES, POSTGRES, synth

BASE = SpiceDBProps(version="v1.57.1", datastore=POSTGRES)


def warned(recorded: pytest.WarningsRecorder) -> list[str]:
    """The warnings about anything but advisories."""
    return [str(each.message) for each in recorded.list if each.category is not AdvisoryWarning]


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_an_unknown_version_warns_of_what_is_not_checked(datastore: Datastore) -> None:
    with pytest.warns(SpiceDBWarning) as caught:
        synth(SpiceDBProps(version="v9.1.0", datastore=datastore))
    (warning,) = caught
    message = str(warning.message)
    assert "v9.1.0 is not among the releases" in message
    assert datastore.engine in message
    assert f"newest: {known_releases().newest}" in message
    assert "with_release" in message


def test_a_version_that_the_users_table_knows_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    synth(attrs.evolve(BASE, version="v9.1.0", releases=known_releases().with_release("v9.1.0", {})))
    assert warned(recwarn) == []


def test_the_memory_engine_does_not_warn_of_versions(recwarn: pytest.WarningsRecorder) -> None:
    synth(SpiceDBProps(version="v9.1.0", datastore=Memory()))
    assert warned(recwarn) == []


def test_a_phase_warns_that_no_release_takes_it_and_names_what_does() -> None:
    with pytest.warns(SpiceDBWarning) as caught:
        synth(attrs.evolve(BASE, migration=MigrationProps(target_phase=MigrationPhase.READ)))
    (warning,) = caught
    message = str(warning.message)
    assert warning.category is SpiceDBWarning
    assert "--phase=read" in message
    assert f"up to {known_releases().newest} " in message
    assert "schema_mode" in message
    assert "datastore_migration_phase" in message


def test_without_a_phase_nothing_warns(recwarn: pytest.WarningsRecorder) -> None:
    synth(attrs.evolve(BASE, migration=MigrationProps(target_migration="populate-schema-tables")))
    assert warned(recwarn) == []


def test_a_target_on_which_servers_do_not_start_warns() -> None:
    with pytest.warns(SpiceDBWarning, match=r"do not start on add-schema-tables.*start on populate-schema-tables"):
        synth(attrs.evolve(BASE, migration=MigrationProps(target_migration="add-schema-tables")))


@pytest.mark.parametrize(
    "changes",
    [
        {"server": ServerProps(allowed_migrations=["add-schema-tables"])},
        {"migration": MigrationProps(target_migration="head")},
        {"migration": MigrationProps(target_migration="add-schema-tables", enabled=False)},
        {"version": "v1.52.0", "migration": MigrationProps(target_migration="add-index-for-transaction-gc")},
    ],
)
def test_a_target_on_which_servers_start_does_not_warn(
    changes: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    target = MigrationProps(target_migration="add-schema-tables")
    synth(attrs.evolve(BASE, **{"migration": target, **changes}))
    assert warned(recwarn) == []


def test_a_step_of_a_plan_does_not_warn_of_its_target(recwarn: pytest.WarningsRecorder) -> None:
    for step in plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0").steps:
        synth(BASE.at(step))
    assert warned(recwarn) == []


def test_each_warning_is_given_once() -> None:
    settings = MigrationProps(target_phase=MigrationPhase.WRITE)
    with pytest.warns(SpiceDBWarning) as caught:
        synth(attrs.evolve(BASE, version="v9.1.0", migration=settings))
    assert ["migrate --phase" in str(each.message) for each in caught] == [True, False]


@pytest.mark.parametrize("tag", ["latest", "main", "1.57"])
def test_a_tag_that_is_not_the_version_warns(tag: str) -> None:
    with pytest.warns(SpiceDBWarning, match=f"the tag of the image, {tag}, is not v1.57.1: flags, migrations"):
        found = synth(attrs.evolve(BASE, image=f"registry.example.com/spicedb:{tag}"))
    assert found.container("Deployment")["image"] == f"registry.example.com/spicedb:{tag}"


@pytest.mark.parametrize("image", ["spicedb", "spicedb:v1.57.1-amd64", f"spicedb@sha256:{'0' * 64}"])
def test_a_tag_of_the_version_and_a_digest_do_not_warn(image: str, recwarn: pytest.WarningsRecorder) -> None:
    synth(attrs.evolve(BASE, image=image))
    assert recwarn.list == []


def test_flags_that_an_unknown_release_may_not_have() -> None:
    server = ServerProps(extra_args=["--of-a-fork=1", "--dispatch-max-depth=9"], env={"SPICEDB_OF_A_FORK": "secret"})
    migration = MigrationProps(extra_args=["--of-another"])
    with pytest.warns(SpiceDBWarning) as caught:
        synth(attrs.evolve(BASE, version="v9.1.0", server=server, migration=migration))
    found = [text for warning in caught if "which no known release has" in (text := str(warning.message))]
    assert [text.partition(", which")[0] for text in found] == [
        "spicedb: server.extra_args sets --of-a-fork",
        "spicedb: server.env sets --of-a-fork",
        "spicedb: migration.extra_args sets --of-another",
    ]
    assert "secret" not in "".join(found)
