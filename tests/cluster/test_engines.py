"""The engines other than PostgreSQL, as far as a cluster can have them."""

from __future__ import annotations

import re

import attrs
import pytest

from cdk8s_spicedb import CockroachDB, Datastore, MigrationProps, MySQL, SecretKey, Spanner, SpiceDBProps
from tests.synth import synth

from .client import Client, Load, relay
from .cluster import Namespace, wait
from .conftest import KEY
from .databases import COCKROACHDB, DATABASE, MARIADB, USER, image_can_be_pulled
from .helm import Helm
from .props import NEW, OLD, on_postgres

ON_MARIADB = MySQL(
    host=MARIADB.name, database=DATABASE, user=USER, password=SecretKey("spicedb", "password"), tls="false"
)
ON_COCKROACHDB = CockroachDB(host=COCKROACHDB.name, database="defaultdb", user="root", sslmode="disable")
_ON_SPANNER = Spanner(project="p", instance="i", database="d", emulator_host="spanner:9010")
_USAGE = re.compile(r"unknown flag|unknown command|invalid argument|Usage:")


def test_mysql_upgrades_under_load(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    first = helm.install(on_postgres(OLD, datastore=ON_MARIADB, migration=MigrationProps(restart_policy="Never")))
    assert first.ok, first.output
    assert "add_expiration_to_relation_tuple" in first.output
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load(address, KEY) as load:
            second = helm.upgrade(on_postgres(NEW, datastore=ON_MARIADB))
        assert second.ok, second.output
        assert "identifiers_case_sensitive" in second.output
        assert load.checks > 50
        assert load.failures == []
        with Load(address, KEY) as load:
            back = helm.rollback(1)
        assert back.ok, back.output
        assert load.failures == []


def test_cockroachdb_installs_and_upgrades(helm: Helm, namespace: Namespace) -> None:
    if not image_can_be_pulled(namespace, COCKROACHDB.image):
        pytest.skip(f"this cluster cannot pull {COCKROACHDB.image}")
    COCKROACHDB.start(namespace)
    assert helm.install(on_postgres(OLD, datastore=ON_COCKROACHDB)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        upgrade = helm.upgrade(on_postgres(NEW, datastore=ON_COCKROACHDB))
        assert upgrade.ok, upgrade.output
        assert Client(address, KEY).check()


@pytest.mark.parametrize(
    ("datastore", "reason"),
    [
        pytest.param(ON_COCKROACHDB, r"cockroachdb.*(no such host|server misbehaving)", id="cockroachdb"),
        pytest.param(_ON_SPANNER, r"spanner.*(no such host|server misbehaving|zero addresses)", id="spanner"),
    ],
)
def test_an_absent_database_is_all_that_stops_the_programs(
    namespace: Namespace, datastore: Datastore, reason: str
) -> None:
    for obj in _server_and_migration(on_postgres(datastore=datastore)):
        namespace.apply(obj)
    for component in ("migration", "server"):
        log = wait(f"the {component}'s reason", lambda c=component: _log_with(namespace, c, reason), 90)  # type: ignore[misc]
        assert not _USAGE.search(log), log


def _server_and_migration(props: SpiceDBProps) -> list[dict[str, object]]:
    small = attrs.evolve(props, migration=MigrationProps(restart_policy="Never", backoff_limit=0))
    return [obj for obj in synth(small).objects if not obj["metadata"]["name"].endswith("cleanup")]


def _log_with(namespace: Namespace, component: str, reason: str) -> str | None:
    selector = f"--selector=app.kubernetes.io/component={component}"
    log = namespace.kubectl("logs", selector, "--tail=-1", check=False)
    log += namespace.kubectl("logs", selector, "--tail=-1", "--previous", check=False)
    return log if re.search(reason, log, re.DOTALL) else None
