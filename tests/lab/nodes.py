"""The nodes of the cluster, which tests can kill."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import frozen

from .cluster import Object, is_ready, run, wait


@frozen
class Nodes:
    """The nodes. The variable ``NODES`` is the command that changes them, such as ``NODES kill NAME``."""

    command: Sequence[str]
    names: Sequence[str]

    @classmethod
    def find(cls) -> Nodes:
        """The nodes of the cluster. None can be killed if ``NODES`` is not set."""
        names = sorted(node["metadata"]["name"] for node in _nodes())
        return cls(shlex.split(os.environ.get("NODES", "")), names)

    @property
    def safe(self) -> str:
        """The node that no test kills, for databases and what connects clients."""
        return self.names[0]

    @property
    def victim(self) -> str:
        """The node that tests kill."""
        return self.names[-1]

    @contextmanager
    def without_the_victim(self, *, cut: bool = False) -> Iterator[None]:
        """Lets the victim lose its power or, with ``cut``, its network alone, until the context ends."""
        run(*self.command, "cut" if cut else "kill", self.victim)
        try:
            yield
        finally:
            run(*self.command, "join" if cut else "start", self.victim)
            wait("the node to be back", lambda: all(map(is_ready, _nodes())))


def _nodes() -> Sequence[Object]:
    found: Sequence[Object] = json.loads(run("kubectl", "get", "nodes", "--output=json").stdout)["items"]
    return found
