"""A SpiceDB schema that a newer release rejects, with the real programs."""

from __future__ import annotations

import textwrap
from typing import Any

from tests.lab.client import SCHEMA, Client, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.props import KEY, NEW

STRICTER = "v1.57.1"
"""The first release that finds every wildcard that a relation includes through another definition."""
WILDCARD = """
definition account {
    relation member: user
}
definition bill {
    relation reader: account#member
}
definition folder {
    relation reader: team#member
}
definition team {
    relation member: user | user:*
}
"""
REASON = "wildcard relations cannot be transitively included"


def findings(command: Command, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of the check, and what it found about the schema."""
    found = command.run("check", "--file", str(command.file), "--output", "json", *arguments)
    return found.code, [each for each in found.json["findings"] if each["subject"] == "SpiceDB schema"]


def test_a_schema_that_the_new_release_rejects_is_found_before_anything_changes(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    command.install(NEW)
    with relay(namespace) as address:
        client = Client(address, KEY)
        command.write(STRICTER)
        code, (none,) = findings(command)
        assert (code, none["level"], none["text"]) == (0, "ok", "the servers have none yet")

        client.write_schema(WILDCARD)  # v1.56.0 accepts it.
        code, (warning,) = findings(command)
        assert (code, warning["level"]) == (0, "warning")
        assert warning["text"].startswith(f"{STRICTER} rejects the schema of the servers: for relation `reader`: ")
        assert REASON in warning["text"]

        command.write(STRICTER, server="schemaMode: read-new-write-new")
        code, (failure,) = findings(command)
        assert (code, failure["level"]) == (1, "failure")
        assert "which it has to write" in failure["text"]
        refused = command.run("upgrade", "--file", str(command.file), "--yes", "--no-pull-images", "--observe=0")
        assert refused.code == 1
        assert "Nothing was changed" in refused.error
        assert namespace.versions() == {NEW}

        client.write_schema()
        code, (accepted,) = findings(command)
        assert (code, accepted["text"]) == (0, f"{STRICTER} accepts the schema of the servers")

    for text, level in ((SCHEMA + WILDCARD, "failure"), (SCHEMA, "ok")):
        command.write(STRICTER, more=f"schema:\n  text: |\n{textwrap.indent(text, '    ')}")
        code, (finding,) = findings(command)
        assert (code, finding["level"]) == (int(level == "failure"), level)
        assert "the schema of the file" in finding["text"]
    code, found = findings(command, "--no-schema")
    assert (code, found) == (0, [])
    left = [pod["metadata"] for pod in namespace.list("pods", instance="spicedb", component="schema")]
    assert [pod["name"] for pod in left if "deletionTimestamp" not in pod] == []
