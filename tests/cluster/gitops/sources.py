"""A SpiceDB that Flux applies from a Git repository, or installs from a registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from attrs import frozen

from cdk8s_spicedb import Delivery, SpiceDBProps
from tests.lab.cluster import Object, wait
from tests.programs import ROOT

from .flux import HELM_RELEASE, KUSTOMIZATION, OCI_REPOSITORY, Flux, Status
from .git import Repository
from .registry import Registry
from .written import manifests

NAME = "spicedb"
_INTERVALS = {"interval": "10s", "retryInterval": "5s"}


def example(file: str) -> list[Object]:
    """The objects of Flux in a file of the example, without their namespace."""
    objects = list(yaml.safe_load_all((ROOT / "examples" / "flux" / file).read_text()))
    for manifest in objects:
        assert manifest["metadata"].pop("namespace") == "authz"
    return objects


@contextmanager
def timed(title: str) -> Iterator[None]:
    """Prints how long something takes."""
    start = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - start:.1f} s")


@frozen
class Committed:
    """A SpiceDB that Flux applies from a Git repository."""

    flux: Flux
    repository: Repository

    def start(self, props: SpiceDBProps, **spec: object) -> Status:
        """Commits the manifests, and creates the example's objects for them."""
        revision = self.push(props)
        source, kustomization = example("manifests.yaml")
        source["spec"] |= {"url": self.repository.address, "interval": "2s"}
        kustomization["spec"] |= {**_INTERVALS, "targetNamespace": self.flux.namespace.name, **spec}
        self.flux.apply(source)
        self.flux.apply(kustomization)
        with timed("the first reconciliation"):
            return self.wait(revision)

    def commit(self, props: SpiceDBProps, ready: str = "True") -> Status:
        """Commits other manifests, and waits for Flux's verdict on them."""
        return self.wait(self.push(props), ready)

    def wait(self, revision: str, ready: str = "True") -> Status:
        """Waits for Flux's verdict on a revision."""
        return self.flux.wait(KUSTOMIZATION, NAME, revision, ready)

    def push(self, props: SpiceDBProps) -> str:
        """Commits manifests, and returns the revision."""
        files = {f"examples/flux/dist/{name}": text for name, text in manifests(props, Delivery.KUBECTL).items()}
        return self.repository.commit(files, f"SpiceDB {props.version}")


@frozen
class Released:
    """A SpiceDB that Flux installs from a registry."""

    flux: Flux
    registry: Registry
    folder: Path
    name: str = "spicedb"

    def start(self, props: SpiceDBProps, version: str, **spec: object) -> Status:
        """Pushes a chart, and creates the example's objects for it."""
        self.push(props, version)
        source, release = example("chart.yaml")
        source["spec"] |= {"url": f"{self.registry.address}/{self.name}", "insecure": True, "interval": "2s"}
        source["metadata"]["name"] = release["metadata"]["name"] = release["spec"]["chartRef"]["name"] = self.name
        source["spec"]["ref"] = {"tag": version}
        release["spec"] |= {"interval": "10s", **spec}
        self.flux.apply(source)
        self.flux.apply(release)
        with timed("the first release"):
            return self.wait(version)

    def push(self, props: SpiceDBProps, version: str) -> None:
        """Pushes a chart to the registry."""
        self.folder.mkdir(exist_ok=True)
        self.registry.push_chart(props, version, self.folder)

    def deliver(self, props: SpiceDBProps, version: str, ready: str = "True") -> Status:
        """Pushes another chart and uses it, and waits for Flux's verdict on it."""
        self.push(props, version)
        return self.use(version, ready)

    def use(self, version: str, ready: str = "True", **spec: object) -> Status:
        """Uses a version of the chart, with other fields of the HelmRelease, and waits for Flux's verdict."""
        if spec:
            self.flux.patch(HELM_RELEASE, self.name, spec)
        self.flux.patch(OCI_REPOSITORY, self.name, {"ref": {"tag": version}})
        return self.wait(version, ready)

    def delete(self) -> None:
        """Deletes the HelmRelease, and waits until Flux has uninstalled the chart."""
        self.flux.namespace.kubectl("delete", HELM_RELEASE, self.name, "--timeout=180s")

    def failed(self) -> str:
        """Waits until Flux has rolled back and stopped. Returns why the release failed."""

        def stopped() -> bool:
            found = self.flux.conditions(HELM_RELEASE, self.name)
            return found.get("Stalled", {}).get("status") == "True" and "Remediated" in found

        wait("Flux to stop", stopped, 300)
        message: str = self.flux.conditions(HELM_RELEASE, self.name)["Released"]["message"]
        return message

    def wait(self, version: str, ready: str = "True", seconds: float = 240) -> Status:
        """Waits for Flux's verdict on a version of the chart."""
        return self.flux.wait(HELM_RELEASE, self.name, f"{version}+", ready, seconds)


def say(status: Status) -> None:
    """Prints a status, for the documentation."""
    print(f"{status.ready} {status.reason}: {status.message}")
