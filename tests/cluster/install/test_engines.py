"""Engines other than PostgreSQL."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import attrs
import grpc
import pytest

from cdk8s_spicedb import (
    CleanupProps,
    CockroachDB,
    Datastore,
    MigrationProps,
    Pool,
    Spanner,
    SpiceDBProps,
    known_releases,
)
from cdk8s_spicedb.versions import version_order
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.command import Command
from tests.lab.databases import COCKROACHDB, image_can_be_pulled, spanner_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEWEST, OLD, ON_MARIADB, ON_POSTGRES, ON_SPANNER, on_postgres
from tests.synth import INTEGRITY, synth

ON_COCKROACHDB = CockroachDB(host=COCKROACHDB.name, database="defaultdb", user="root", sslmode="disable")
_TUNED: dict[str, Any] = {"read_only": True, "follower_read_delay": timedelta(seconds=5)}
_TUNED_COCKROACHDB = attrs.evolve(
    ON_COCKROACHDB,
    **_TUNED,
    read_pool=Pool(max_open=3, max_lifetime_jitter=timedelta(seconds=1)),
    gc_window=timedelta(hours=1),
    connection_balancing=False,
    relationship_integrity=INTEGRITY,
)
_ON_SPANNER = Spanner(project="p", instance="i", database="d", emulator_host="spanner:9010", **_TUNED)
_SPANNER_FILE = """
version: {version}
datastore: {{engine: spanner, project: spicedb, instance: spicedb, database: spicedb,
  emulatorHost: "spanner:9010"{more}}}
presharedKey: {{name: spicedb, key: preshared-key}}
server: {{resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{cpu: "2", memory: 512Mi}}}}}}
"""
_USAGE = re.compile(r"unknown flag|unknown command|invalid argument|Usage:")


def _move(helm: Helm, namespace: Namespace, address: str, to: SpiceDBProps, *, back_to: int | None = None) -> None:
    """Upgrades under load or, with the number of a Helm revision, rolls back.

    New servers become ready only after the migration, so an upgrade that succeeds has migrated.
    """
    with Load(f"{to.datastore.engine}, {'back ' if back_to else ''}to {to.version}", address, KEY) as load:
        moved = helm.rollback(back_to) if back_to else helm.upgrade(to)
    assert moved.ok, moved.output
    assert load.succeeded()
    assert namespace.versions() == {to.version}


def _releases(datastore: Datastore, *versions: str) -> Sequence[SpiceDBProps]:
    migration = MigrationProps(restart_policy="Never")
    return [on_postgres(version, datastore=datastore, migration=migration) for version in versions]


def _goes_through(helm: Helm, namespace: Namespace, path: Sequence[SpiceDBProps]) -> None:
    """Installs a release, and goes through others: to a newer one by an upgrade, to an earlier one by a rollback."""
    installed = helm.install(path[0])
    assert installed.ok, installed.output
    assert known_releases().engines[path[0].datastore.engine].heads[path[0].version] in installed.output
    with relay(namespace) as address:
        Client(address, KEY).write()
        for before, after in pairwise(path):
            newer = version_order(after.version) > version_order(before.version)
            _move(helm, namespace, address, after, back_to=None if newer else path.index(after) + 1)


def test_postgresql_upgrades_to_the_newest_release_under_load(helm: Helm, namespace: Namespace, postgres: None) -> None:
    _goes_through(helm, namespace, _releases(ON_POSTGRES, NEW, NEWEST, NEW))


def test_mysql_upgrades_under_load(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    _goes_through(helm, namespace, _releases(ON_MARIADB, OLD, NEWEST, OLD, NEW, NEWEST, NEW))


def test_cockroachdb_upgrades_under_load(helm: Helm, namespace: Namespace) -> None:
    if not image_can_be_pulled(namespace, COCKROACHDB.image):
        pytest.skip(f"this cluster cannot pull {COCKROACHDB.image}")
    COCKROACHDB.start(namespace)
    _goes_through(helm, namespace, _releases(ON_COCKROACHDB, OLD, NEW, OLD))


def _commands_say_what_they_cannot_ask(command: Command) -> None:
    command.file.write_text(_SPANNER_FILE.format(version=NEW, more=""))
    unknown = "the check does not support Spanner; its revision, sessions and sizes are not known"
    checked = command.run("check", "--file", str(command.file))
    assert checked.code == 0, checked.error
    assert unknown in " ".join(checked.output.split())
    asked = command.run("status", "--file", str(command.file), "--datastore")
    assert asked.code == 1
    assert unknown in " ".join(asked.error.split())


def test_spanner_upgrades_under_load_and_keeps_revisions_as_set(
    helm: Helm, namespace: Namespace, command: Command, spanner: None
) -> None:
    old, new = _releases(ON_SPANNER, OLD, NEW)
    installed = helm.install(old)
    assert installed.ok, installed.output
    assert spanner_revision(namespace) == "add-expiration-support"
    _commands_say_what_they_cannot_ask(command)
    with relay(namespace) as address:
        first, start = Client(address, KEY).write(), time.monotonic()
        _move(helm, namespace, address, new)
        command.file.write_text(_SPANNER_FILE.format(version=NEWEST, more=", gcWindow: 1m"))
        with Load(f"spanner, to {NEWEST} by the command", address, KEY) as load:
            upgraded = command.upgrade()
        assert upgraded.code == 0, upgraded.error
        assert load.succeeded()
        assert namespace.versions() == {NEWEST}
        assert spanner_revision(namespace) == "populate-schema-tables"
        time.sleep(max(0, 62 - (time.monotonic() - start)))
        with pytest.raises(grpc.RpcError, match="revision"):
            Client(address, KEY).check(at=first)
        _move(helm, namespace, address, old, back_to=1)
        namespace.wait_for_terminating_servers()  # One of the later release could still answer.
        assert Client(address, KEY).check(at=first), "for the servers of this release, revisions live for 24 hours"


_NOT_FOUND = r"no such host|server misbehaving"


@pytest.mark.parametrize(
    ("datastore", "migration", "server"),
    [
        pytest.param(_TUNED_COCKROACHDB, _NOT_FOUND, _NOT_FOUND, id="cockroachdb"),
        # Spanner's client retries: the migration until its timeout, the server forever without becoming ready.
        pytest.param(_ON_SPANNER, "unable to get current revision", "grpc server started serving", id="spanner"),
    ],
)
def test_programs_fail_only_because_the_database_is_missing(
    namespace: Namespace, datastore: Datastore, migration: str, server: str
) -> None:
    namespace.secret("database", {"integrity-1": "old", "integrity-2": "new"})
    settings = MigrationProps(restart_policy="Never", backoff_limit=0, migration_timeout=timedelta(seconds=5))
    # Without the trace level, the server logs an error but not its cause.
    server_props = attrs.evolve(on_postgres().server, log_level="trace")
    props = on_postgres(
        datastore=datastore, server=server_props, migration=settings, cleanup=CleanupProps(enabled=False)
    )
    manifests = synth(props)
    namespace.apply(*manifests.objects)
    for component, reason in (("migration", migration), ("server", server)):
        log = wait(f"the error in the log of the {component}", partial(_log_with, namespace, component, reason), 60)
        assert not _USAGE.search(log), log


def _log_with(namespace: Namespace, component: str, reason: str) -> str | None:
    selector = f"--selector=app.kubernetes.io/component={component}"
    log = namespace.kubectl("logs", selector, "--tail=-1", check=False)
    log += namespace.kubectl("logs", selector, "--tail=-1", "--previous", check=False)
    return log if re.search(reason, log, re.DOTALL) else None
