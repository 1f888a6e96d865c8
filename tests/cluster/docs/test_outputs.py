"""The outputs in the documentation are those of the commands. ``UPDATE_DOCS=1`` writes them to the page."""

from __future__ import annotations

import os
import re
import shlex

import pytest

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.props import KEY, NEW, OLD
from tests.programs import ROOT

PAGE = ROOT / "docs" / "operate" / "commands.md"
_BLOCK = re.compile(r"^```console\n\$ cdk8s-spicedb (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_PROGRESS = re.compile(r"^ *[\d.]+ s  ((?:step \d of \d: )?[a-z ]+): .*$")


def _masked(text: str) -> set[str]:
    """The lines without what differs between runs: names of pods, numbers, and how often progress was reported."""
    lines = set()
    for line in text.splitlines():
        # A server that starts slowly leaves an event, and the cluster may have one node.
        if re.match(r"  Warnings |\w+ +Nodes | +fix: (add nodes|run `kubectl rollout restart`)", line):
            continue
        line = _PROGRESS.sub(r"\1", line)
        line = re.sub(r"-[a-z0-9]{8,10}(-[a-z0-9]{5})?\b", "-HASH", line)
        lines.add(" ".join(re.sub(r"\d+", "N", line).split()))
    return lines - {""}


def _shown(text: str, namespace: Namespace) -> str:
    """The output as the page shows it."""
    text = re.sub(r"context \S+ \(https?://[^)]*\)", "context production (https://10.0.0.1:6443)", text)
    # In a column, the shorter name needs the same width.
    text = re.sub(f"{namespace.name}(?=  )", "authz".ljust(len(namespace.name)), text)
    return "".join(f"{line.rstrip()}\n" for line in text.replace(namespace.name, "authz").splitlines())


def test_outputs_on_the_page_are_current(
    command: Command, namespace: Namespace, postgres: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.install(OLD)
    command.write(NEW)
    monkeypatch.chdir(command.file.parent)
    page, update = PAGE.read_text(), "UPDATE_DOCS" in os.environ
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("the commands of the documentation", address, KEY, writes=True) as load:
            for line, expected in _BLOCK.findall(page):
                arguments = [word for word in shlex.split(line) if word not in ("--namespace", "authz")]
                result = command.run(*arguments)
                assert result.code == 0, result.error
                shown = _shown(result.output, namespace)
                if update:
                    before = f"$ cdk8s-spicedb {line}\n{expected}```"
                    page = page.replace(before, f"$ cdk8s-spicedb {line}\n{shown}```")
                else:
                    assert _masked(expected) == _masked(shown), line
        assert load.succeeded()
    PAGE.write_text(page)
