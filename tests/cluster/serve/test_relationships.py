"""Relationships that are loaded by SQL are those that servers read."""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs
import pytest

from cdk8s_spicedb import Datastore
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import MARIADB, POSTGRES, Database
from tests.lab.helm import Helm
from tests.lab.props import KEY, ON_MARIADB, ON_POSTGRES, on_postgres
from tests.lab.relationships import alice_reads, document, load_mariadb, load_postgres

_COUNT = 1000


@pytest.mark.parametrize(
    ("database", "datastore", "load"),
    [
        pytest.param(POSTGRES, ON_POSTGRES, load_postgres, id="postgres"),
        pytest.param(MARIADB, ON_MARIADB, load_mariadb, id="mariadb"),
    ],
)
def test_servers_see_loaded_relationships(
    helm: Helm,
    namespace: Namespace,
    database: Database,
    datastore: Datastore,
    load: Callable[[Namespace, int], None],
) -> None:
    # LAB_MARIADB_CLIENT_IMAGE names an image with the client, if that of the other tests has none.
    client_image = os.environ.get("LAB_MARIADB_CLIENT_IMAGE")
    if database is MARIADB and client_image:
        database = attrs.evolve(database, image=client_image)
    database.start(namespace)
    program = {"postgres": "psql", "mysql": "mariadb"}[datastore.engine]
    if run(
        "kubectl", f"--namespace={namespace.name}", "exec", database.name, "--", program, "-V", check=False
    ).returncode:
        pytest.skip(f"the image {database.image} has no {program}")
    assert helm.install(on_postgres(datastore=datastore)).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write_schema()
        load(namespace, _COUNT)
        answers = {number: client.check(document(number)) for number in (0, 1, 99, 100, 900, 999)}
    assert answers == {number: alice_reads(number) for number in answers}
