"""A relationship that has expired, on MySQL: what an advisory says of it is true, and its fix helps."""

from __future__ import annotations

import time
from contextlib import ExitStack

import attrs

from cdk8s_spicedb import CleanupProps, MigrationProps, SchemaProps, ServerProps, SpiceDBProps
from cdk8s_spicedb.props.advisories import advisories_of
from tests.lab.client import SCHEMA, Client, relay
from tests.lab.cluster import Namespace
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEWEST, ON_MARIADB, on_postgres

_SCHEMA = "use expiration\n" + SCHEMA.replace("reader: user", "reader: user with expiration")
_EXPIRES, _ENDS = 8, 30
"""Seconds after the write. Servers without the fault share an answer for about 12 s, and then ask the database."""


def _spicedb(name: str, version: str, *, migrates: bool) -> SpiceDBProps:
    settings = {"migration": MigrationProps(enabled=migrates), "cleanup": CleanupProps(enabled=False)}
    return on_postgres(version, name=name, datastore=ON_MARIADB, server=ServerProps(replicas=1), **settings)


def _has_the_advisory(props: SpiceDBProps) -> bool:
    with_schema = attrs.evolve(props, schema=SchemaProps(text=_SCHEMA))
    return any(found.certain and found.advisory.id == "spicedb-3431" for found in advisories_of(with_schema))


def test_an_expired_relationship_grants_as_long_as_the_advisory_says(
    helm: Helm, namespace: Namespace, mariadb: None
) -> None:
    # Both use one database. Its schema is the same for both.
    before, after = _spicedb("before", NEW, migrates=True), _spicedb("after", NEWEST, migrates=False)
    assert _has_the_advisory(before)
    assert not _has_the_advisory(after)
    installed = helm.install(before, after)
    assert installed.ok, installed.output
    granted: dict[str, float] = {}
    with ExitStack() as stack:
        clients = {
            each.version: Client(stack.enter_context(relay(namespace, each.name)), KEY) for each in (before, after)
        }
        clients[NEW].write_schema(text=_SCHEMA)
        clients[NEW].write_reader("readme", seconds=_EXPIRES)
        start = time.monotonic()
        while (seconds := time.monotonic() - start) < _ENDS + 1:
            granted |= {version: seconds for version, client in clients.items() if client.check()}
            time.sleep(0.5)
    print("seconds after the write with the last yes:", granted)
    assert granted[NEW] >= _ENDS
    assert _EXPIRES - 1 < granted[NEWEST] < _ENDS
