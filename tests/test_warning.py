"""What deserves a word when it is rendered."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import (
    Datastore,
    Memory,
    MigrationPhase,
    MigrationProps,
    SpiceDBProps,
    SpiceDBWarning,
    known_releases,
)
from tests.synth import ENGINES, POSTGRES, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


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
    assert recwarn.list == []


def test_the_memory_engine_does_not_warn_of_versions(recwarn: pytest.WarningsRecorder) -> None:
    synth(SpiceDBProps(version="v9.1.0", datastore=Memory()))
    assert recwarn.list == []


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
    synth(attrs.evolve(BASE, migration=MigrationProps(target_migration="add-caveats")))
    assert recwarn.list == []


def test_each_warning_is_given_once() -> None:
    settings = MigrationProps(target_phase=MigrationPhase.WRITE)
    with pytest.warns(SpiceDBWarning) as caught:
        synth(attrs.evolve(BASE, version="v9.1.0", migration=settings))
    assert ["migrate --phase" in str(each.message) for each in caught] == [True, False]
