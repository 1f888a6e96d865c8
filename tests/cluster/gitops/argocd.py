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

import yaml
from attrs import frozen

from tests.lab.cluster import Namespace, Object, run, wait
from tests.programs import ROOT

from .definitions import FREE, definition
from .git import Repository
from .processes import free_port, require_programs, running

_EXAMPLE = ROOT / "examples" / "argocd" / "application.yaml"
_GROUP = "argoproj.io"
_APPLICATIONS = f"applications.{_GROUP}"
_KINDS = {_APPLICATIONS: "Application", f"appprojects.{_GROUP}": "AppProject"}
_CLUSTER = "https://kubernetes.default.svc"
"""Address of the cluster in Applications. Here it stands for the cluster that KUBECONFIG names."""
FINALIZER = "resources-finalizer.argocd.argoproj.io"
"""With it, Argo CD deletes the objects of an Application with the Application."""
_RECONCILIATION_SECONDS = 10
"""Instead of two to three minutes, so that many reconciliations fit in a test."""


@frozen
class Operation:
    """A sync that has ended."""

    phase: str
    """``Succeeded``, ``Failed`` or ``Error``."""
    message: str
    revision: str
    results: Mapping[str, Object]
    """The result of each object, by kind and name."""

    @property
    def ok(self) -> bool:
        """Whether the sync succeeded."""
        return self.phase == "Succeeded"


@frozen
class State:
    """An Application as it was at one time."""

    found: Object

    @property
    def summary(self) -> tuple[str, str, str]:
        """The sync status, the health and the revision."""
        sync = self._status.get("sync", {})
        return sync.get("status", ""), self._status.get("health", {}).get("status", ""), sync.get("revision", "")

    @property
    def out_of_sync(self) -> Sequence[str]:
        """The objects that differ from the manifests."""
        resources = self._status.get("resources", [])
        return [f"{entry['kind']}/{entry['name']}" for entry in resources if entry.get("status") == "OutOfSync"]

    @property
    def conditions(self) -> Sequence[str]:
        """The errors and warnings of the Application."""
        return [condition["message"] for condition in self._status.get("conditions", [])]

    @property
    def reconciled_at(self) -> str:
        """The time of the last comparison."""
        return str(self._status.get("reconciledAt", ""))

    @property
    def started_at(self) -> str:
        """The time at which the last sync started. Empty if there is none."""
        return str(self._status.get("operationState", {}).get("startedAt", ""))

    @property
    def operation(self) -> Operation | None:
        """The last sync if it has ended, without another one that waits."""
        state = self._status.get("operationState", {})
        if state.get("phase") not in ("Succeeded", "Failed", "Error") or "operation" in self.found:
            return None
        result = state.get("syncResult", {})
        results = {f"{entry['kind']}/{entry['name']}": entry for entry in result.get("resources") or []}
        return Operation(state["phase"], state.get("message", ""), result.get("revision", ""), results)

    @property
    def _status(self) -> Object:
        status: Object = self.found.get("status", {})
        return status


@frozen
class Application:
    """An Argo CD Application."""

    name: str
    namespace: Namespace
    """Where the Application itself is."""

    def state(self) -> State:
        """The Application as it is now."""
        found = self.namespace.get(_APPLICATIONS, self.name)
        assert found, f"no Application {self.name}"
        return State(found)

    def sync(self, revision: str, seconds: float = 300) -> Operation:
        """Waits until the automated sync of a revision has ended with no more retries."""
        self.refresh()

        def ended() -> Operation | None:
            operation = self.state().operation
            return operation if operation and operation.revision == revision else None

        start = time.monotonic()
        operation = wait(f"the sync of {self.name} to {revision[:7]}", ended, seconds)
        print(f"{self.name}: sync {operation.phase} after {time.monotonic() - start:.1f} s: {operation.message}")
        return operation

    def wait_until_good(self, revision: str, seconds: float = 300) -> None:
        """Waits until the Application is Synced to a revision and Healthy."""
        good = ("Synced", "Healthy", revision)
        wait(f"{self.name} to be Synced and Healthy", lambda: self.state().summary == good, seconds)

    def wait_for_condition(self, text: str, seconds: float = 60) -> None:
        """Waits for a condition, which Argo CD writes in the reconciliation after the operation."""
        wait(f"{text!r} of {self.name}", lambda: any(text in each for each in self.state().conditions), seconds)

    def refresh(self) -> None:
        """Makes Argo CD look for new commits now, as the Refresh button does."""
        annotation = "argocd.argoproj.io/refresh=normal"
        self.namespace.kubectl("annotate", f"{_APPLICATIONS}/{self.name}", annotation, "--overwrite")

    def remove_finalizers(self) -> None:
        """Makes Argo CD keep the objects when the Application is deleted."""
        patch = '--patch={"metadata":{"finalizers":null}}'
        self.namespace.kubectl("patch", f"{_APPLICATIONS}/{self.name}", "--type=merge", patch)

    def delete(self, seconds: int = 120) -> None:
        """Deletes the Application, and waits until it is gone."""
        self.namespace.kubectl("delete", f"{_APPLICATIONS}/{self.name}", f"--timeout={seconds}s")


@frozen
class ArgoCD:
    """A running Argo CD, with its settings in a namespace of its own."""

    namespace: Namespace

    def states(self) -> Mapping[str, State]:
        """All Applications as they are now, by name."""
        found = self.namespace.list(_APPLICATIONS)
        return {application["metadata"]["name"]: State(application) for application in found}

    def application(
        self,
        name: str,
        repository: Repository,
        destination: Namespace,
        *,
        finalizers: Sequence[str] = (),
        **sync_policy: Any,
    ) -> Application:
        """Creates the Application of the example, for a repository and a namespace."""
        application = yaml.safe_load(_EXAMPLE.read_text())
        application["metadata"] |= {"name": name, "finalizers": list(finalizers)}
        application["spec"]["source"] |= {"repoURL": repository.address, "path": "."}
        application["spec"]["destination"]["namespace"] = destination.name
        application["spec"]["syncPolicy"] |= sync_policy
        self.namespace.apply(application)
        return Application(name, self.namespace)


def _settings(destinations: Sequence[Namespace]) -> list[Object]:
    """What Argo CD's own manifests create in its namespace, as far as its controller needs it."""
    part = {"app.kubernetes.io/part-of": "argocd"}
    cluster = {"server": _CLUSTER, "name": "in-cluster", "config": "{}"}
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
    for plural, kind in _KINDS.items():
        accepted = definition(plural, kind, "v1alpha1", FREE, status=False)
        # Another test may create it at the same moment. If the cluster has an Argo CD, its own definition stays.
        run("kubectl", "create", "--filename=-", text=json.dumps(accepted), check=False)
        run("kubectl", "wait", f"customresourcedefinitions/{plural}", "--for=condition=Established", "--timeout=30s")
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
    """Deletes the Applications that are left, without their objects. Finalizers would keep the namespace."""
    for name in ArgoCD(namespace).states():
        application = Application(name, namespace)
        application.remove_finalizers()
        application.delete()
