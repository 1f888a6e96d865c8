"""The nodes of the cluster, which tests can kill."""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attrs import frozen

from .cluster import Namespace, Object, is_ready, run, wait

# The file `cgroup` of a process names its pod, with underscores if systemd runs the cgroups.
_SIGNAL = """
for process in /proc/[0-9]*; do
    if [ "$(cat $process/comm 2>/dev/null)" = spicedb ] && tr _ - <$process/cgroup | grep -q "$POD"; then
        kill -"$SIGNAL" "${process#/proc/}" && exit
    fi
done
exit 1
"""


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
    def without(self, *names: str, cut: bool = False) -> Iterator[None]:
        """Lets nodes lose their power or, with ``cut``, their network alone, until the context ends."""
        ends, begins = ("join", "cut") if cut else ("start", "kill")
        try:
            for name in names:
                run(*self.command, begins, name)
            yield
        finally:
            for name in names:
                run(*self.command, ends, name)
            wait("the nodes to be back", lambda: all(map(is_ready, _nodes())))

    def replace(self, name: str) -> None:
        """Replaces a drained node by a new one of the same name. The safe one stays as it is."""
        if name != self.safe:
            run(*self.command, "kill", name)
            run("kubectl", "delete", "node", name)
            run(*self.command, "start", name)
            wait("the new node", lambda: name in {node["metadata"]["name"] for node in _nodes() if is_ready(node)})
        run("kubectl", "uncordon", name)

    @contextmanager
    def hanging(self, namespace: Namespace) -> Iterator[None]:
        """Lets the server on the victim hang, until the context ends. The cluster must allow privileged pods in the
        namespace ``default``."""
        (pod,) = (pod for pod in namespace.servers() if pod["spec"].get("nodeName") == self.victim)
        try:
            self._signal(pod, "STOP")
            yield
        finally:
            self._signal(pod, "CONT")

    def _signal(self, pod: Object, signal: str) -> None:
        """Sends a signal to a server from outside its pod, in which nobody can stop the first process."""
        container = {
            "name": "signal",
            "image": "docker.io/library/busybox:1.37",
            "command": ["sh", "-c", _SIGNAL],
            "env": [{"name": "POD", "value": pod["metadata"]["uid"]}, {"name": "SIGNAL", "value": signal}],
            "securityContext": {"privileged": True},
        }
        spec = {"nodeName": self.victim, "hostPID": True, "restartPolicy": "Never", "containers": [container]}
        name, outside = f"signal-{uuid.uuid4().hex[:8]}", Namespace("default")
        outside.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        outside.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded")
        outside.kubectl("delete", "pod", name, "--wait=false")


def _nodes() -> Sequence[Object]:
    found: Sequence[Object] = json.loads(run("kubectl", "get", "nodes", "--output=json").stdout)["items"]
    return found
