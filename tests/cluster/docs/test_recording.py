"""The recording of an upgrade in the documentation shows what the command does. ``UPDATE_DOCS=1`` records it again.

A step fails for a reason that no check can see: the new servers get a container that does not start. The command rolls
the step back. With a corrected file, the upgrade succeeds. Clients lose no check.
"""

from __future__ import annotations

import os
import re

from cdk8s_spicedb.versions import known_releases
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.props import KEY, OLD
from tests.programs import ROOT
from tools.recording import Terminal, draw

_RECORDING = ROOT / "docs" / "upgrade" / "recording.svg"
_TITLE = "cdk8s-spicedb upgrade: a step fails and is rolled back; with a corrected file, the upgrade succeeds"
_OPTIONS = ("--observe", "3s")
_WRONG, _RIGHT = "eu-west", "eu-west-1"
_PROXY = """extraContainers:
- name: proxy
  image: docker.io/library/busybox:1.37
  env: [{{name: REGION, value: {region}}}]
  command: [sh, -c, 'case $REGION in *-*-*) sleep 1d;; *) echo "unknown region $REGION"; exit 1;; esac']
  securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
  resources: {{limits: {{memory: 16Mi}}}}
"""
"""A container that the new servers need, and that does not start in the wrong region."""


def test_the_recording_shows_what_the_command_does(command: Command, namespace: Namespace, postgres: None) -> None:
    def seen(text: str) -> str:
        text = re.sub(r"context \S+ \(https?://[^)]*\)", "context production (https://10.0.0.1:6443)", text)
        return text.replace(namespace.name, "authz")

    command.install(OLD)
    file = command.write(known_releases().newest, server=_PROXY.format(region=_WRONG))
    terminal = Terminal(seen)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("the upgrade that is recorded", address, KEY) as load:
            assert _upgrade(terminal, command) == 3, terminal.printed
            correct = ["sed", "-i", f"s/{_WRONG}/{_RIGHT}/", str(file)]
            terminal.run(correct, shown=" ".join((*correct[:-1], file.name)), types={})
            assert _upgrade(terminal, command) == 0, terminal.printed
        assert load.succeeded()
    drawn = draw(terminal.frames, _TITLE)
    if "UPDATE_DOCS" in os.environ:
        _RECORDING.write_text(drawn)
    assert _sentences(drawn) == _sentences(_RECORDING.read_text())


def _upgrade(terminal: Terminal, command: Command) -> int:
    program = command.line("upgrade", "--file", str(command.file), *_OPTIONS)
    shown = f"cdk8s-spicedb upgrade --namespace authz {' '.join(_OPTIONS)}"
    return terminal.run(program, shown=shown, types={"[y/N] ": "y\n"})


def _sentences(recording: str) -> set[str]:
    """What a recording says, without the progress that it may show or not, and without what depends on the nodes."""
    lines = re.findall(r"<text [^>]*>(.*)</text>", recording)
    texts = {re.sub(r"<[^>]*>", " ", line) for line in lines}
    masked = {" ".join(re.sub(r"-[a-z0-9]{8,10}(-[a-z0-9]{5})?\b|\d+", "N", text).split()) for text in texts}
    left_out = r"N s in total|^. (step N of N|prepare) |^warning Nodes|^started$|fix: add nodes"
    return {text for text in masked if not re.search(left_out, text)}
