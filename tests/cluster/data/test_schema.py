"""A changed SpiceDB schema, judged on a live SpiceDB before it is written."""

from __future__ import annotations

import json

from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.props import KEY, NEWEST

OLD = """
definition user {}
definition document {
    relation reader: user
    relation writer: user
    permission read = reader + writer
}
"""
NEW = """
definition user {}
definition document {
    relation reader: user
    relation owner: user
    permission read = owner
}
"""


def test_a_schema_that_loses_answers(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(NEWEST)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write_schema(text=OLD)
        for number in range(30):
            client.write_reader(f"document-{number}")
    command.write(NEWEST, more=f"schema: {{text: {json.dumps(NEW)}}}")
    found = command.run("diff", f"--file={command.file}", "--answers=1000", "--output=json")
    assert found.code == 0, found.error
    told = found.json["schema"]
    assert "removes document#writer@user: no live relationship uses it" in told
    assert any(line.startswith("document#read: 30 of ") and "are no instead of yes" in line for line in told), told
    with relay(namespace) as address:
        assert "writer" in Client(address, KEY).schema(), "nothing is written"
    pods = namespace.list("pods", component="schema")
    assert not [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
