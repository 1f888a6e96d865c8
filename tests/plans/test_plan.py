"""The steps of an upgrade, and the props of each step."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from cdk8s_spicedb import (
    InvalidProps,
    MigrationProps,
    PostgreSQL,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDBProps,
    UpgradePlan,
    UpgradeStep,
    plan_upgrade,
)
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.synth import POSTGRES, synth

MODES = list(SCHEMA_MODES)
SPANNER = Spanner(project="p", instance="i", database="d")
DIGEST = f"example.com/spicedb@sha256:{'0' * 64}"


def of(**fields: object) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **fields})  # type: ignore[arg-type]


def steps(current: str, target: str, *, schema_mode: str | None = None) -> list[UpgradeStep]:
    return list(plan_upgrade(PostgreSQL, current, target, schema_mode=schema_mode).steps)


@pytest.mark.parametrize("kind", [UpgradePlan, UpgradeStep])
def test_plans_and_steps_are_frozen_and_keyword_only(kind: type) -> None:
    assert attrs.inspect(kind).is_frozen
    assert all(field.kw_only for field in attrs.fields(kind))


# ---------------------------------------------------------------- props at a step


def test_props_of_each_step_render() -> None:
    props = of()
    for step in steps("v1.2.0", "v1.56.0", schema_mode="read-new-write-new"):
        at = props.at(step)
        assert list(problems(at)) == []
        server = synth(at).container("Deployment")
        job = synth(at).container("Job", "migration")
        assert server["image"] == job["image"] == f"ghcr.io/authzed/spicedb:{step.version}"
        assert job["command"] == ["spicedb", "migrate", step.target_migration or "head"]
        flags = {
            "--datastore-migration-phase": step.datastore_migration_phase,
            "--experimental-schema-mode": step.schema_mode,
        }
        for flag, value in flags.items():
            arguments = [argument for argument in server["args"] if argument.startswith(flag)]
            assert arguments == ([] if value is None else [f"{flag}={value}"])
        allowed = [argument for argument in server["args"] if argument.startswith("--datastore-allowed-migrations")]
        assert allowed == [f"--datastore-allowed-migrations={revision}" for revision in step.allowed_migrations]


def test_a_step_keeps_all_other_props() -> None:
    props = of(
        name="authz",
        labels={"team": "a"},
        server=ServerProps(replicas=5, log_level="warn"),
        migration=MigrationProps(backoff_limit=7),
    )
    (step,) = steps("v1.52.0", "v1.54.0")
    at = props.at(step)
    assert attrs.evolve(at, version="v1.56.0", server=props.server, migration=props.migration) == props
    assert attrs.evolve(at.server, allowed_migrations=None) == props.server
    assert at.migration == props.migration
    assert props.version == "v1.56.0"


def test_a_step_keeps_allowed_migrations_of_the_props() -> None:
    (step,) = steps("v1.51.1", "v1.52.0")
    assert step.allowed_migrations == ("populate-schema-tables",)
    assert of(server=ServerProps(allowed_migrations=())).at(step).allowed_migrations == ()
    assert of().at(step).allowed_migrations == ("populate-schema-tables",)


def test_a_plan_without_modes_keeps_the_schema_mode_if_the_release_has_it() -> None:
    props = of(server=ServerProps(schema_mode="read-new-write-new"))
    stop, target = steps("v1.37.0", "v1.56.0")
    assert stop.version == "v1.37.1"
    assert props.at(stop).server.schema_mode is None
    assert props.at(target).server.schema_mode == "read-new-write-new"


def test_a_drain_delay_is_left_out_of_steps_whose_release_has_none() -> None:
    props = of(version="v1.57.1", server=ServerProps(shutdown_drain_delay=timedelta(seconds=5)))
    stop, *_, target = steps("v1.35.3", "v1.57.1")
    assert props.at(stop).server.shutdown_drain_delay is None
    assert props.at(target).server.shutdown_drain_delay == timedelta(seconds=5)


def test_a_setting_is_left_out_of_steps_whose_release_ignores_it() -> None:
    window = timedelta(hours=1)
    props = of(version="v1.57.1", datastore=attrs.evolve(SPANNER, gc_window=window))
    stop, *_, target = plan_upgrade(Spanner, "v1.35.3", "v1.57.1").steps
    assert [props.at(step).datastore for step in (stop, target)] == [SPANNER, props.datastore]


def test_a_plan_with_modes_sets_the_schema_mode() -> None:
    props = of(server=ServerProps(schema_mode="read-new-write-new"))
    modes = [props.at(step).server.schema_mode for step in steps("v1.52.0", "v1.56.0", schema_mode=MODES[3])]
    assert modes == MODES


def test_a_step_without_a_phase_removes_the_phase_of_the_props() -> None:
    props = of(datastore=SPANNER, server=ServerProps(datastore_migration_phase="left-over"))
    (step,) = plan_upgrade(Spanner, "v1.40.0", "v1.56.0").steps
    assert props.at(step).server.datastore_migration_phase is None


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (None, None),
        ("example.com:5000/team/spicedb", "example.com:5000/team/spicedb"),
        ("example.com:5000/team/spicedb:v1.56.0", "example.com:5000/team/spicedb:v1.54.0"),
        ("example.com/spicedb:v1.56.0-amd64", "example.com/spicedb:v1.54.0-amd64"),
    ],
)
def test_the_tag_of_an_image_follows_the_version_of_the_step(image: str | None, expected: str | None) -> None:
    (step,) = steps("v1.52.0", "v1.54.0")
    at = of(image=image).at(step)
    assert at.image == expected
    assert list(problems(at)) == []


@pytest.mark.parametrize("image", [DIGEST, f"example.com/spicedb:v1.56.0@{DIGEST.partition('@')[2]}", "x/spicedb:prod"])
def test_an_image_that_does_not_name_its_version_is_rejected(image: str) -> None:
    (step,) = steps("v1.52.0", "v1.54.0")
    with pytest.raises(InvalidProps, match=r"no tag or one that begins with v1\.56\.0") as raised:
        of(image=image).at(step)
    assert [problem.field for problem in raised.value.problems] == ["image"]


def test_a_step_keeps_secret_keys() -> None:
    (step,) = steps("v1.52.0", "v1.54.0")
    assert of(preshared_key=SecretKey("s", "k")).at(step).preshared_key == SecretKey("s", "k")


def test_allowed_migrations_apply_only_to_releases_that_have_the_flag() -> None:
    props = of(server=ServerProps(allowed_migrations=("add-something",)))
    for step in steps("v1.35.3", "v1.56.0"):
        at = props.at(step)
        assert list(problems(at)) == []
        assert at.allowed_migrations == (("add-something",) if step.version == "v1.56.0" else ())


@pytest.mark.parametrize("field", ["image", "version", "datastore", "server", "migration", "releases"])
def test_a_step_rejects_props_of_a_wrong_type(field: str) -> None:
    (step,) = steps("v1.52.0", "v1.54.0")
    with pytest.raises(InvalidProps) as raised:
        of(**{field: 5}).at(step)
    assert field in [problem.field for problem in raised.value.problems]


def test_an_invalid_image_is_reported_with_other_problems() -> None:
    (step,) = steps("v1.52.0", "v1.54.0")
    with pytest.raises(InvalidProps) as raised:
        of(image="x/y:prod", server=ServerProps(replicas=0)).at(step)
    assert [problem.field for problem in raised.value.problems] == ["server.replicas", "image"]
