"""A namespace of a live cluster, used through kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import httpx2
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import KubeConfig

T = TypeVar("T")
Object = dict[str, Any]
RUN_LABEL = "cdk8s-spicedb/run"
"""Label of all namespaces of one test run."""

_VERSIONS = {"pods": "v1", "serviceaccounts": "v1", "jobs": "batch/v1", "deployments": "apps/v1"}
"""The kinds that tests look at all the time, with their API versions."""
_GROUPS = {
    "argoproj.io": "v1alpha1",
    "helm.toolkit.fluxcd.io": "v2",
    "kustomize.toolkit.fluxcd.io": "v1",
    "source.toolkit.fluxcd.io": "v1",
}
"""The groups of GitOps tools, with their versions. Kinds of them have the form ``applications.argoproj.io``."""


def _version(kind: str) -> str | None:
    """The API version of a kind that is read without kubectl."""
    _, _, group = kind.partition(".")
    return f"{group}/{_GROUPS[group]}" if group in _GROUPS else _VERSIONS.get(kind)


def run(*command: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a program. If it fails, the error contains its output."""
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result


def wait(what: str, attempt: Callable[[], T | None], seconds: float = 180) -> T:
    """Calls ``attempt`` until its result is true, and returns that result. Empty results are not true."""
    end, pause = time.monotonic() + seconds, 0.2
    while True:
        result = attempt()
        if result:
            return result
        assert time.monotonic() < end, f"timed out after {seconds} s while waiting for {what}"
        # Each attempt usually starts kubectl, which costs more than the wait.
        time.sleep(pause)
        pause = min(pause * 1.5, 1)


def parse_time(timestamp: str) -> datetime:
    """Parses a Kubernetes timestamp."""
    return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ")


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready."""
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


@lru_cache
def _api(kubeconfig: str) -> httpx2.Client:
    """A client of the API server, for each value of KUBECONFIG.

    A start of kubectl takes a tenth of a second of a processor. The client keeps no connection, because tests interrupt
    connections.
    """
    config = KubeConfig.from_env().get()
    assert config is not None, kubeconfig
    client = client_adapter.Client(config, client_adapter.ConnectionParams(timeout=httpx2.Timeout(60)))
    client.headers["Connection"] = "close"
    return client


class Namespace:
    """One namespace of the cluster."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.databases = self
        """The namespace in which its PostgreSQL runs."""

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return run("kubectl", "--namespace", self.name, *arguments, text=text, check=check).stdout

    def create(self, run_label: str) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted", RUN_LABEL: run_label}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})
        wait("the default ServiceAccount", lambda: self.get("serviceaccount", "default"))

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")

    def apply(self, *objects: Object) -> None:
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename=-", text=json.dumps(document))

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(values)})

    def list(self, kinds: str, **labels: str) -> Sequence[Object]:
        """The objects of kinds, with labels of this package."""
        selector = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
        if all(map(_version, kinds.split(","))):
            return [found for kind in kinds.split(",") for found in self._find(kind, selector)]
        items: list[Object] = json.loads(self.kubectl("get", kinds, f"--selector={selector}", "--output=json"))["items"]
        return items

    def get(self, kind: str, name: str) -> Object | None:
        """One object, if there is one of that name."""
        plural = kind if "." in kind else f"{kind}s"
        if _version(plural):
            return self._read(plural, f"/{name}")
        found = self.kubectl("get", kind, name, "--ignore-not-found", "--output=json")
        return json.loads(found) if found else None

    def _find(self, kind: str, selector: str) -> Sequence[Object]:
        found = self._read(kind, labelSelector=selector)
        assert found is not None, f"no {kind} in this cluster"
        # Items do not repeat what the list says of all of them.
        common = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [{**common, **item} for item in found["items"]]

    def _read(self, kind: str, name: str = "", **parameters: str) -> Object | None:
        version, plural = _version(kind) or "", kind.partition(".")[0]
        path = f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{self.name}/{plural}{name}"
        response = _api(os.environ["KUBECONFIG"]).get(path, params=parameters)
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        found: Object = response.json()
        return found

    def servers(self, name: str = "spicedb") -> Sequence[Object]:
        """The server pods that are not terminating."""
        pods = self.list("pods", instance=name, component="server")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def versions(self, *, ready: bool = False) -> set[str]:
        """The SpiceDB releases of the servers, or only of those that are ready."""
        servers = [pod for pod in self.servers() if is_ready(pod) or not ready]
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in servers}

    def metrics(self, pod: Object) -> str:
        """The Prometheus metrics of a server."""
        path = f"/api/v1/namespaces/{self.name}/pods/{pod['metadata']['name']}:9090/proxy/metrics"
        return self.kubectl("get", "--raw", path)

    def wait_for_terminating_servers(self) -> None:
        """Waits until no server is terminating. A server that drains still serves."""

        def none_terminates() -> bool:
            return not any("deletionTimestamp" in pod["metadata"] for pod in self.list("pods", component="server"))

        wait("terminating servers to stop", none_terminates)

    def wait_until_ready(self, selector: str, seconds: int = 60) -> None:
        """Waits until there are pods, and all of them are ready. Terminating pods do not count."""

        def all_are_ready() -> bool:
            pods = [pod for pod in self._find("pods", selector) if "deletionTimestamp" not in pod["metadata"]]
            return bool(pods) and all(map(is_ready, pods))

        wait(f"pods {selector} to be ready", all_are_ready, seconds)

    def can(self, account: str, verb: str, resource: str) -> bool:
        """Whether a ServiceAccount has a permission."""
        user = f"system:serviceaccount:{self.name}:{account}"
        return self.kubectl("auth", "can-i", verb, resource, f"--as={user}", check=False).strip().startswith("yes")

    def diagnosis(self) -> str:
        """Objects, events and logs for the report of a failed test."""
        outputs = [
            self.kubectl("get", "all,secrets,roles", "--output=wide", check=False),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False),
            self.kubectl("logs", "--selector=app.kubernetes.io/name=spicedb", "--tail=15", "--prefix", check=False),
        ]
        # SpiceDB logs its whole configuration in one line.
        return "\n".join(line[:400] for line in "\n".join(outputs).splitlines())

    def evict(self, pod: str) -> bool:
        """Tries to evict a pod, and returns whether Kubernetes allows it."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.name}}
        path = f"/api/v1/namespaces/{self.name}/pods/{pod}/eviction"
        command = ("kubectl", "create", "--raw", path, "--filename=-")
        return run(*command, text=json.dumps(eviction), check=False).returncode == 0

    @contextmanager
    def background(self, *arguments: str, program: str = "kubectl") -> Iterator[subprocess.Popen[str]]:
        """Runs a program on the namespace. Kills it at the end of the context if it still runs."""
        command, pipe = [program, "--namespace", self.name, *arguments], subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @contextmanager
    def forward(self, pod: str, port: int) -> Iterator[str]:
        """Forwards a local port to a port of a pod, and yields the local address."""
        command = ["kubectl", "--namespace", self.name, "port-forward", f"pod/{pod}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().split()[2]
                assert process.poll() is None, "the port-forward ended early and may be the cause of a failure"
            finally:
                process.terminate()


RESTRICTED_POD: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
