"""Settings of the migration that users add."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import MigrationProps, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.props import problems
from tests.synth import POSTGRES, environment, synth


def _props(**values: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **values})


def test_env_and_arguments_come_after_the_packages_own() -> None:
    token, extra = SecretKey("token", "key"), "--pprof-mutex-profile-rate=1"
    props = _props(migration=MigrationProps(env={"GOMAXPROCS": "2", "TOKEN": token}, extra_args=[extra]))
    job = synth(props).container("Job", "migration")
    assert job["args"][-1] == extra
    assert list(environment(job).items())[-2:] == [("GOMAXPROCS", "2"), ("TOKEN", ("token", "key"))]


def test_settings_of_the_servers_do_not_reach_the_migration() -> None:
    server = ServerProps(env={"GOMAXPROCS": "2"}, extra_args=["--dispatch-max-depth=100"])
    job = synth(_props(server=server)).container("Job", "migration")
    assert "GOMAXPROCS" not in environment(job)
    assert "--dispatch-max-depth=100" not in job["args"]


@pytest.mark.parametrize(
    ("migration", "field"),
    [
        (MigrationProps(extra_args=["--datastore-conn-uri=postgresql://u:hunter2@db/d"]), "migration.extra_args"),
        (MigrationProps(extra_args=["-v"]), "migration.extra_args"),
        (MigrationProps(env={"GO-MAX": "2"}), "migration.env"),
        (
            MigrationProps(env={"SPICEDB_DATASTORE_ENGINE": "memory"}),
            "migration.env[SPICEDB_DATASTORE_ENGINE]",
        ),
    ],
)
def test_they_are_checked_like_those_of_the_servers(migration: MigrationProps, field: str) -> None:
    [problem] = problems(_props(migration=migration))
    assert problem.field == field
    assert "hunter2" not in str(problem)
