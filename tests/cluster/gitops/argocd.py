"""Argo CD's controller and repository server, as programs beside the cluster, and its Applications."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from ..cluster import Namespace, Object, run, wait
from .git import BRANCH, Repository
from .processes import free_port, require_programs, running

_GROUP = "argoproj.io"
CLUSTER = "https://kubernetes.default.svc"
"""Address of the cluster in Applications. Here it stands for the cluster that KUBECONFIG names."""
FINALIZER = "resources-finalizer.argocd.argoproj.io"
"""With it, Argo CD deletes the objects of an Application with the Application."""
_RECONCILIATION_SECONDS = 10
"""Instead of two to three minutes, so that many reconciliations fit in a test."""


def _resource_definition(kind: str, plural: str) -> Object:
    """A CustomResourceDefinition that accepts everything. Argo CD's own ones are much larger, and check more."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {"group": _GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


@frozen
class Operation:
    """The end of a sync."""

    phase: str
    """``Succeeded``, ``Failed`` or ``Error``."""
    message: str
    results: Mapping[str, Object]
    """The results of the objects by kind and name."""
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the sync succeeded."""
        return self.phase == "Succeeded"

    def hooks(self) -> Mapping[str, str]:
        """The phases that the hooks reached, by kind and name."""
        return {name: result["hookPhase"] for name, result in self.results.items() if result.get("hookType")}


@frozen
class Application:
    """An Argo CD Application."""

    name: str
    namespace: Namespace
    """Where the Application itself is."""

    def state(self) -> Object:
        """The Application as it is now."""
        found = self.namespace.get(f"applications.{_GROUP}", self.name)
        assert found, f"no Application {self.name}"
        return found

    def exists(self) -> bool:
        """Whether the Application still exists."""
        return self.namespace.get(f"applications.{_GROUP}", self.name) is not None

    def sync(self, revision: str, seconds: float = 300) -> Operation:
        """Waits until the automated sync of a revision has ended with no more retries."""
        start = time.monotonic()
        self.refresh()
        state = wait(f"the sync of {self.name} to {revision[:7]}", lambda: self._ended(revision), seconds)
        results = {f"{result['kind']}/{result['name']}": result for result in state["syncResult"].get("resources", [])}
        return Operation(state["phase"], state.get("message", ""), results, time.monotonic() - start)

    def wait_until_good(self, revision: str, seconds: float = 300) -> None:
        """Waits until the Application is Synced to a revision and Healthy."""
        wait(
            f"{self.name} to be Synced and Healthy", lambda: self.summary() == ("Synced", "Healthy", revision), seconds
        )

    def summary(self) -> tuple[str, str, str]:
        """The sync status, the health and the revision."""
        status = self.state().get("status", {})
        sync = status.get("sync", {})
        return sync.get("status", ""), status.get("health", {}).get("status", ""), sync.get("revision", "")

    def out_of_sync(self) -> list[str]:
        """The objects that differ from the manifests."""
        resources = self.state().get("status", {}).get("resources", [])
        return [f"{entry['kind']}/{entry['name']}" for entry in resources if entry.get("status") == "OutOfSync"]

    def conditions(self) -> list[str]:
        """The messages of the Application's conditions: errors and warnings."""
        return [condition["message"] for condition in self.state().get("status", {}).get("conditions", [])]

    def history(self) -> Sequence[str]:
        """The revisions of all syncs that succeeded, oldest first."""
        return [entry["revision"] for entry in self.state().get("status", {}).get("history", [])]

    def reconciled_at(self) -> str:
        """The time of the last comparison."""
        at: str = self.state().get("status", {}).get("reconciledAt", "")
        return at

    def started_at(self) -> str:
        """The time at which the last sync started."""
        at: str = self.state()["status"]["operationState"]["startedAt"]
        return at

    def refresh(self) -> None:
        """Makes Argo CD look for new commits now, as the Refresh button does."""
        annotation = "argocd.argoproj.io/refresh=normal"
        self.namespace.kubectl("annotate", f"applications.{_GROUP}/{self.name}", annotation, "--overwrite")

    def delete(self, seconds: int = 120) -> None:
        """Deletes the Application, and waits until it is gone."""
        self.namespace.kubectl("delete", f"applications.{_GROUP}/{self.name}", f"--timeout={seconds}s")

    def _ended(self, revision: str) -> Any:
        state = self.state()
        operation = state.get("status", {}).get("operationState", {})
        ended = operation.get("phase") in ("Succeeded", "Failed", "Error") and "operation" not in state
        return operation if ended and operation.get("syncResult", {}).get("revision") == revision else None


@frozen
class ArgoCD:
    """A running Argo CD, with its settings in a namespace of its own."""

    namespace: Namespace

    def application(
        self,
        name: str,
        repository: Repository,
        destination: Namespace,
        *,
        path: str = ".",
        finalizers: Sequence[str] = (),
        **sync_policy: Any,
    ) -> Application:
        """Creates an Application that syncs a folder of a repository to a namespace."""
        spec = {
            "project": "default",
            "source": {"repoURL": repository.address, "targetRevision": BRANCH, "path": path},
            "destination": {"server": CLUSTER, "namespace": destination.name},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, **sync_policy},
        }
        metadata = {"name": name, "finalizers": list(finalizers)}
        application = {"apiVersion": f"{_GROUP}/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec}
        self.namespace.apply(application)
        return Application(name, self.namespace)


def _settings(destinations: Sequence[Namespace]) -> list[Object]:
    """What Argo CD's own manifests create in its namespace, as far as its controller needs it."""
    part = {"app.kubernetes.io/part-of": "argocd"}
    cluster = {"server": CLUSTER, "name": "in-cluster", "config": "{}"}
    namespaces = ",".join(namespace.name for namespace in destinations)
    everywhere = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    return [
        *(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": part}}
            for name in ("argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm")
        ),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "argocd-secret", "labels": part},
            "stringData": {"server.secretkey": uuid.uuid4().hex},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cluster", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": {**cluster, "namespaces": namespaces},
        },
        {
            "apiVersion": f"{_GROUP}/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default"},
            "spec": everywhere,
        },
    ]


@contextmanager
def argo_cd(namespace: Namespace, destinations: Sequence[Namespace], folder: Path) -> Iterator[ArgoCD]:
    """Runs Argo CD until the context ends, then deletes its Applications without their objects.

    ``namespace`` is for its settings and Applications. It can apply objects in ``destinations`` only. The two
    CustomResourceDefinitions stay in the cluster, because tests that run at the same time use them.
    """
    require_programs("argocd", "redis-server", "git")
    definitions = [
        _resource_definition("Application", "applications"),
        _resource_definition("AppProject", "appprojects"),
    ]
    for definition in definitions:
        name = definition["metadata"]["name"]
        if not namespace.get("customresourcedefinitions", name):
            run("kubectl", "apply", "--filename=-", text=json.dumps(definition))
        run("kubectl", "wait", f"customresourcedefinitions/{name}", "--for=condition=Established", "--timeout=30s")
    namespace.apply(*_settings(destinations))
    try:
        with _programs(namespace, folder):
            yield ArgoCD(namespace)
    finally:
        _delete_applications(namespace)


@contextmanager
def _programs(namespace: Namespace, folder: Path) -> Iterator[None]:
    """Runs Redis, the repository server and the controller. Each of them needs the one before."""
    redis, repository, *metrics = (free_port() for _ in range(4))
    options = {
        "argocd-repo-server": (
            f"--port={repository}",
            "--address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            "--disable-tls",
            f"--revision-cache-expiration={_RECONCILIATION_SECONDS}s",
        ),
        "argocd-application-controller": (
            f"--namespace={namespace.name}",
            f"--repo-server=127.0.0.1:{repository}",
            "--repo-server-plaintext",
            f"--app-resync={_RECONCILIATION_SECONDS}",
            "--app-resync-jitter=0",
        ),
    }
    # Not in the folder of the test, because paths of sockets are limited to about 100 characters.
    with TemporaryDirectory(prefix="argocd-") as temporary, ExitStack() as stack:
        redis_options = ("--bind", "127.0.0.1", "--port", str(redis), "--save", "", "--appendonly", "no")
        stack.enter_context(running("redis-server", *redis_options, folder=folder)).wait_for_port(redis)
        for (name, arguments), port in zip(options.items(), metrics, strict=True):
            common = (f"--redis=127.0.0.1:{redis}", f"--metrics-port={port}", "--logformat=text")
            environment = {**_environment(Path(temporary)), "ARGOCD_BINARY_NAME": name}
            program = running("argocd", *common, *arguments, folder=folder, name=name, env=environment)
            stack.enter_context(program).wait_for_port(port)
        yield


def _environment(folder: Path) -> Mapping[str, str]:
    """Variables that keep two Argo CDs on one machine apart, and make them use the cluster that KUBECONFIG names."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    # Argo CD 3 comes with Helm 3.
    helm = shutil.which("helm3") or shutil.which("helm")
    if helm and not (programs / "helm").exists():
        (programs / "helm").symlink_to(helm)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "ARGOCD_ASK_PASS_SOCK": str(folder / "askpass.sock"),
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(folder),
        "ARGOCD_SSH_DATA_PATH": str(folder),
        "ARGOCD_APP_CONF_PATH": str(folder),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
    }


def _delete_applications(namespace: Namespace) -> None:
    """Deletes the Applications that a failed test left, without their objects. Finalizers would keep the namespace."""
    for name in namespace.kubectl("get", f"applications.{_GROUP}", "--output=name").split():
        namespace.kubectl("patch", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}', check=False)
        namespace.kubectl("delete", name, "--ignore-not-found", "--wait=false")
