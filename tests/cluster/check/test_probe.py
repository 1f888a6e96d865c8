"""What the programs of releases say about themselves."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import MigrationProps, ServerProps
from cdk8s_spicedb.live import Cluster, Probe, probe
from tests.lab.client import SCHEMA
from tests.lab.cluster import Namespace
from tests.lab.props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

BOGUS = ["--bogus=1", "--grpc-shutdown-grace-period=soon", "--other=2"]


def probed(namespace: Namespace, version: str, schema: str | None = None, **fields: Any) -> Probe:
    return probe(Cluster.connect(namespace=namespace.name), on_postgres(version, **fields), schema)


@pytest.mark.parametrize(("version", "head"), [(OLD, OLD_HEAD), (NEW, NEW_HEAD)])
def test_a_program_that_takes_everything(namespace: Namespace, version: str, head: str) -> None:
    found = probed(namespace, version, SCHEMA)
    assert (found.head, list(found.wrong_flags), found.rejection, found.unknown) == (head, [], None, [])


def test_a_program_names_all_arguments_that_it_does_not_take(namespace: Namespace) -> None:
    migration = MigrationProps(extra_args=["--of-nobody=1"])
    found = probed(namespace, NEW, "definition x { wrong", server=ServerProps(extra_args=BOGUS), migration=migration)
    wrong = " ".join(found.wrong_flags)
    assert "unknown flag: --bogus" in wrong
    assert "unknown flag: --other" in wrong
    assert "unknown flag: --of-nobody" in wrong
    assert 'invalid argument "soon" for "--grpc-shutdown-grace-period" flag' in wrong
    assert found.rejection
    assert namespace.list("pods") == []
