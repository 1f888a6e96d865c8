"""Engines other than PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import CleanupProps, CockroachDB, Datastore, MigrationProps, Pool, Spanner
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.databases import COCKROACHDB, image_can_be_pulled
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, ON_MARIADB, on_postgres
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
_USAGE = re.compile(r"unknown flag|unknown command|invalid argument|Usage:")


def _upgrades_and_rolls_back(helm: Helm, namespace: Namespace, datastore: Datastore, heads: tuple[str, str]) -> None:
    """Upgrades between two releases with different heads, and rolls back, under load."""
    first = helm.install(on_postgres(OLD, datastore=datastore, migration=MigrationProps(restart_policy="Never")))
    assert first.ok, first.output
    assert heads[0] in first.output
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load(f"an upgrade on {datastore.engine}", address, KEY) as load:
            second = helm.upgrade(on_postgres(NEW, datastore=datastore))
        assert second.ok, second.output
        assert heads[1] in second.output
        assert load.succeeded()
        with Load(f"a rollback on {datastore.engine}", address, KEY) as load:
            back = helm.rollback(1)
        assert back.ok, back.output
        assert load.succeeded()


def test_mysql_upgrades_under_load(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    heads = ("add_expiration_to_relation_tuple", "identifiers_case_sensitive")
    _upgrades_and_rolls_back(helm, namespace, ON_MARIADB, heads)


def test_cockroachdb_upgrades_under_load(helm: Helm, namespace: Namespace) -> None:
    if not image_can_be_pulled(namespace, COCKROACHDB.image):
        pytest.skip(f"this cluster cannot pull {COCKROACHDB.image}")
    COCKROACHDB.start(namespace)
    _upgrades_and_rolls_back(helm, namespace, ON_COCKROACHDB, ("add-expiration-support", "populate-schema-tables"))


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
