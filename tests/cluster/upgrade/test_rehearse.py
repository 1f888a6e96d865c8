"""Rehearsals of upgrades, beside a SpiceDB that serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.command import Command
from tests.lab.databases import POSTGRES, postgres_revision
from tests.lab.props import KEY, NEW, NEWEST, OLD, OLD_HEAD

SCHEMA = """
use expiration
definition user {}
definition group {
    relation member: user | group#member
}
definition document {
    relation reader: user | user with expiration | group#member
    permission read = reader
}
"""
WILDCARD = """
definition user {}
definition group {
    relation member: user:*
}
definition document {
    relation reader: group#member
    permission read = reader
}
"""


def rehearsals() -> list[str]:
    """The namespaces of rehearsals."""
    label = "--selector=cdk8s-spicedb/rehearsal"
    found = json.loads(run("kubectl", "get", "namespaces", label, "--output=json").stdout)["items"]
    return [each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]]


def rehearse(command: Command, *arguments: str) -> tuple[int, Any]:
    """The exit code, and the result."""
    image = f"--database-image={POSTGRES.image}"
    result = command.run("rehearse", f"--file={command.file}", image, "--output=json", *arguments, seconds=600)
    return result.code, result.json if result.code in (0, 3) else result.error


def test_rehearsal_tells_what_the_upgrade_does(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a rehearsal", address, KEY, writes=True) as load:
            command.write(NEW)
            code, found = rehearse(command)
        assert load.succeeded()
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    (step,) = found["steps"]
    assert (found["current"], step["version"]) == (OLD, NEW)
    assert found["copied"] == found["relationships"] > 0
    assert step["migrationSeconds"] is not None
    assert step["bytesAfter"] > step["bytesBefore"] > 0
    assert step["requests"] > 0
    assert step["differences"] == 0
    assert step["rollback"].startswith("works, "), step
    assert (namespace.versions(), postgres_revision(namespace)) == ({OLD}, OLD_HEAD), "nothing changed"
    assert rehearsals() == []


def test_rehearsal_of_several_steps_in_which_a_release_rejects_the_schema(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        Client(address, KEY).write_schema(text=WILDCARD)
    command.write(NEWEST, server="schemaMode: read-new-write-new")
    code, found = rehearse(command)
    assert code == 3
    assert any("rejects the SpiceDB schema" in problem for problem in found["problems"]), found
    assert rehearsals() == []


@pytest.mark.parametrize("sample", [20])
def test_rehearsal_of_a_sample(command: Command, namespace: Namespace, postgres: None, sample: int) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write_schema(text=SCHEMA)
        for number in range(100):
            client.write_reader(f"document-{number}", seconds=3600)
    command.write(NEW)
    code, found = rehearse(command, f"--sample={sample}")
    assert code == 0, found
    assert found["relationships"] == 100
    assert sample <= found["copied"] < 100
