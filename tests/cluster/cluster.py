"""A namespace of a live cluster, through kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]
RUN = "cdk8s-spicedb/run"
"""The label of namespaces that says which run of the tests they belong to."""


def run(*command: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a program; a failure shows what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done


def wait(what: str, attempt: Callable[[], T | None], seconds: float = 60) -> T:
    """The first answer of ``attempt`` that is neither None nor False."""
    end = time.monotonic() + seconds
    while True:
        answer = attempt()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def moment(stamp: str) -> datetime:
    """A Kubernetes timestamp."""
    return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")


class Namespace:
    """One namespace and what is asked of it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return run("kubectl", "--namespace", self.name, *arguments, text=text, check=check).stdout

    def create(self, run_label: str) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted", RUN: run_label}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})
        account = "serviceaccount/default"
        wait("the default ServiceAccount", lambda: self.kubectl("get", account, "--ignore-not-found") or None)

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")

    def apply(self, *objects: Object) -> None:
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename=-", text=json.dumps(document))

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(values)})

    def list(self, kinds: str, **labels: str) -> Sequence[Object]:
        selector = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
        items: list[Object] = json.loads(self.kubectl("get", kinds, f"--selector={selector}", "--output=json"))["items"]
        return items

    def get(self, kind: str, name: str) -> Object | None:
        found = self.kubectl("get", kind, name, "--ignore-not-found", "--output=json")
        return json.loads(found) if found else None

    def servers(self, name: str = "spicedb") -> Sequence[Object]:
        """The server pods that are not on their way out."""
        pods = self.list("pods", instance=name, component="server")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def metrics(self, pod: Object) -> str:
        """What a server tells Prometheus."""
        path = f"/api/v1/namespaces/{self.name}/pods/{pod['metadata']['name']}:9090/proxy/metrics"
        return self.kubectl("get", "--raw", path)

    def settled(self) -> None:
        """Waits until no server is on its way out; while it drains, it serves as before."""
        gone = "{.items[?(@.metadata.deletionTimestamp)].metadata.name}"
        pods = ("get", "pods", "--selector=app.kubernetes.io/component=server", f"--output=jsonpath={gone}")
        wait("the end of servers that leave", lambda: not self.kubectl(*pods))

    def ready(self, selector: str, seconds: int = 60) -> None:
        """Waits until the pods are there and ready."""
        wait(f"pods {selector}", lambda: self.kubectl("get", "pods", f"--selector={selector}", "--output=name") or None)
        self.kubectl("wait", "pods", f"--selector={selector}", "--for=condition=Ready", f"--timeout={seconds}s")

    def can(self, account: str, verb: str, what: str) -> bool:
        """Whether a ServiceAccount may do something."""
        user = f"system:serviceaccount:{self.name}:{account}"
        return self.kubectl("auth", "can-i", verb, what, f"--as={user}", check=False).strip().startswith("yes")

    def diagnosis(self) -> str:
        """What one would look at first when something went wrong."""
        shown = [
            self.kubectl("get", "all,secrets,roles", "--output=wide", check=False),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False),
            self.kubectl("logs", "--selector=app.kubernetes.io/name=spicedb", "--tail=15", "--prefix", check=False),
        ]
        return "\n".join(shown)

    def evict(self, pod: str) -> bool:
        """Whether a pod may go; it is on its way out then."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.name}}
        path = f"/api/v1/namespaces/{self.name}/pods/{pod}/eviction"
        command = ("kubectl", "create", "--raw", path, "--filename=-")
        return run(*command, text=json.dumps(eviction), check=False).returncode == 0

    @contextmanager
    def background(self, *arguments: str, program: str = "kubectl") -> Iterator[subprocess.Popen[str]]:
        """A program that works on the namespace meanwhile, and is over when the context is."""
        command, pipe = [program, "--namespace", self.name, *arguments], subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @contextmanager
    def forward(self, pod: str, port: int) -> Iterator[str]:
        """Forwards a local port to a pod's; gives the local address."""
        command = ["kubectl", "--namespace", self.name, "port-forward", f"pod/{pod}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().split()[2]
                assert process.poll() is None, "the port-forward ended early: what failed may have failed there"
            finally:
                process.terminate()


RESTRICTED_POD: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
