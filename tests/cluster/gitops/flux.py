"""Flux's controllers beside the cluster, and the objects that tell them what to apply."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.lab.cluster import Namespace, Object, run, wait

from .definitions import FREE, definition
from .processes import free_port, require_programs, running

CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
_SOURCE, _KUSTOMIZE, _HELM = (f"{group}.toolkit.fluxcd.io" for group in ("source", "kustomize", "helm"))
GIT_REPOSITORY = f"gitrepositories.{_SOURCE}"
OCI_REPOSITORY = f"ocirepositories.{_SOURCE}"
KUSTOMIZATION = f"kustomizations.{_KUSTOMIZE}"
HELM_RELEASE = f"helmreleases.{_HELM}"
_KINDS = {
    GIT_REPOSITORY: ("GitRepository", "v1"),
    OCI_REPOSITORY: ("OCIRepository", "v1"),
    f"helmrepositories.{_SOURCE}": ("HelmRepository", "v1"),
    f"helmcharts.{_SOURCE}": ("HelmChart", "v1"),
    f"buckets.{_SOURCE}": ("Bucket", "v1"),
    KUSTOMIZATION: ("Kustomization", "v1"),
    HELM_RELEASE: ("HelmRelease", "v2"),
}
"""All kinds that the controllers watch. They do not start if one is missing."""
_OWN = "cdk8s-spicedb/tests"
"""Label of the definitions that the tests create."""


@frozen
class Status:
    """What a controller says about an object."""

    ready: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str
    message: str
    revision: str
    """The revision that the controller tried last."""


class Flux:
    """The objects of Flux in one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def apply(self, manifest: Object) -> None:
        """Creates or changes an object of Flux."""
        self.namespace.kubectl("apply", "--filename=-", text=json.dumps(manifest))

    def patch(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        """Changes fields of an object's spec."""
        self.namespace.kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def request(self, kind: str, name: str, *annotations: str) -> None:
        """Asks a controller to look at an object now, as ``flux reconcile`` does, and waits until it has.

        Other annotations than ``requestedAt`` change what it does, such as ``resetAt``.
        """
        token = uuid.uuid4().hex
        values = [f"reconcile.fluxcd.io/{annotation}={token}" for annotation in ("requestedAt", *annotations)]
        self.namespace.kubectl("annotate", "--overwrite", kind, name, *values)

        def handled() -> bool:
            return bool(self.get(kind, name).get("status", {}).get("lastHandledReconcileAt") == token)

        wait(f"{kind}/{name} to be reconciled", handled, 180)

    def status(self, kind: str, name: str) -> Status:
        """The condition ``Ready`` of an object."""
        found = self.get(kind, name)
        status = found.get("status", {})
        ready = _conditions(found).get("Ready", {})
        current = ready.get("observedGeneration", 0) >= found["metadata"]["generation"]
        return Status(
            ready.get("status", "Unknown") if current else "Unknown",
            ready.get("reason", ""),
            ready.get("message", ""),
            status.get("lastAttemptedRevision", ""),
        )

    def wait(self, kind: str, name: str, revision: str, ready: str = "True", seconds: float = 180) -> Status:
        """Waits until an object is ready, or is not ready for good, at a revision."""

        def reached() -> Status | None:
            status = self.status(kind, name)
            return status if revision in status.revision and status.ready == ready else None

        try:
            return wait(f"{kind}/{name} at {revision} to be ready: {ready}", reached, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status(kind, name)}") from None

    def get(self, kind: str, name: str) -> Object:
        """An object of Flux, which must exist."""
        found = self.namespace.get(kind, name)
        assert found, f"no {kind} {name}"
        return found

    def conditions(self, kind: str, name: str) -> dict[str, Object]:
        """The conditions of an object, by their types."""
        return _conditions(self.get(kind, name))

    def history(self, name: str) -> list[Object]:
        """The Helm revisions that a HelmRelease knows, newest first."""
        found: list[Object] = self.get(HELM_RELEASE, name)["status"].get("history", [])
        return found

    def events(self, name: str) -> str:
        """The events of an object of Flux, oldest first."""
        selector = f"--field-selector=involvedObject.name={name}"
        columns = "--output=custom-columns=TYPE:.type,REASON:.reason,MESSAGE:.message"
        return self.namespace.kubectl("get", "events", selector, columns, "--sort-by=.lastTimestamp")


def _conditions(found: Object) -> dict[str, Object]:
    return {condition["type"]: condition for condition in found.get("status", {}).get("conditions", [])}


@contextmanager
def flux(namespace: Namespace, folder: Path) -> Iterator[Flux]:
    """Runs Flux's controllers for one namespace, until the context ends. Skips the test without their programs."""
    require_programs(*CONTROLLERS, "git")
    define_kinds()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "artifacts").mkdir()
    storage = f"127.0.0.1:{free_port()}"
    options = {
        "source-controller": (
            f"--storage-path={folder / 'artifacts'}",
            f"--storage-addr={storage}",
            f"--storage-adv-addr={storage}",
        )
    }
    with _finalizers_removed(namespace), ExitStack() as stack:
        for controller in CONTROLLERS:
            command = [
                controller,
                "--watch-all-namespaces=false",
                "--metrics-addr=0",
                f"--health-addr=127.0.0.1:{free_port()}",
                "--log-encoding=console",
                *options.get(controller, ()),
            ]
            # TMPDIR keeps what they unpack in the folder of the test.
            env = {"RUNTIME_NAMESPACE": namespace.name, "TMPDIR": str(folder)}
            stack.enter_context(running(*command, folder=folder, env=env))
        yield Flux(namespace)


@contextmanager
def _finalizers_removed(namespace: Namespace) -> Iterator[None]:
    """Removes at the end what would keep the namespace from being deleted when no controller runs."""
    try:
        yield
    finally:
        patch = json.dumps({"metadata": {"finalizers": None}})
        for name in namespace.kubectl("get", ",".join(_KINDS), "--output=name", check=False).split():
            namespace.kubectl("patch", name, "--type=merge", f"--patch={patch}", check=False)


def define_kinds() -> None:
    """Defines the kinds that the controllers watch. Skips the test in a cluster that has its own Flux.

    The definitions stay in the cluster, because other tests use them at the same time.
    """
    found = run("kubectl", "get", "crd", KUSTOMIZATION, "--ignore-not-found", "--output=json").stdout
    if found and _OWN not in json.loads(found)["metadata"].get("labels", {}):
        pytest.skip("Flux is installed in this cluster, and would apply the objects of the tests, too")
    for plural, (kind, version) in _KINDS.items():
        text = json.dumps(_definition(plural, kind, version))
        run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename=-", text=text)
    for plural in _KINDS:
        run("kubectl", "wait", "crd", plural, "--for=condition=Established", "--timeout=60s")


def _definition(plural: str, kind: str, version: str) -> Object:
    """A definition that accepts every field, with the only default that the controllers rely on."""
    timed = {**FREE, "properties": {"timeout": {"type": "string", "default": "60s"}}}
    spec = timed if kind in ("GitRepository", "OCIRepository", "Bucket") else FREE
    schema = {"type": "object", "properties": {"spec": spec, "status": FREE}}
    return definition(plural, kind, version, schema, labels={_OWN: ""}, status=True)
