"""The ways in which a release reaches a cluster, each as its users go it."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import attrs
import yaml

from cdk8s_spicedb import Delivery, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.files.write import write_manifests

from .cluster import Namespace, Object, run, wait
from .helm import Outcome

_ARGO = "argocd.argoproj.io"


class Deliverer(ABC):
    """Brings a cluster to what props say, and tells how it went."""

    delivery: Delivery

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self._folder = namespace, folder

    def deliver(self, props: SpiceDBProps) -> Outcome:
        """Installs or upgrades, and waits until it is up or has failed."""
        start = time.monotonic()
        folder = self._folder / uuid.uuid4().hex
        ok, output = self._deliver(attrs.evolve(props, delivery=self.delivery), folder)
        return Outcome(ok, output, time.monotonic() - start)

    @abstractmethod
    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]: ...

    def _apply(self, manifests: Sequence[Object]) -> None:
        self.namespace.kubectl("apply", "--filename=-", text=yaml.safe_dump_all(manifests))

    def _ended(self, job: str, seconds: int = 90) -> bool:
        """Whether a Job came to its end well."""

        def end() -> str | None:
            found = self.namespace.get("job", job)
            conditions = found["status"].get("conditions", []) if found else []
            return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed")), None)

        return wait(f"the end of {job}", end, seconds) == "Complete"

    def _logs(self, job: str) -> str:
        return self.namespace.kubectl("logs", f"--selector=job-name={job}", "--tail=20", check=False)

    def _rolled_out(self, deployment: str) -> tuple[bool, str]:
        command = ("--namespace", self.namespace.name, "rollout", "status", f"deployment/{deployment}", "--timeout=90s")
        done = run("kubectl", *command, check=False)
        return done.returncode == 0, done.stdout + done.stderr


class HelmDeliverer(Deliverer):
    """A Helm program and a packaged chart."""

    delivery = Delivery.HELM

    def __init__(self, namespace: Namespace, folder: Path, program: str) -> None:
        super().__init__(namespace, folder)
        self._program = program

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_helm_chart(folder, props, version="1.2.3")
        packages = folder.parent / f"{folder.name}-package"
        run(self._program, "package", str(folder), "--destination", str(packages))
        package = str(packages / f"{props.name}-1.2.3.tgz")
        options = ("--install", "--wait", "--timeout=90s", "--namespace", self.namespace.name)
        done = run(self._program, "upgrade", "release", package, *options, check=False)
        return done.returncode == 0, done.stdout + done.stderr


class KubectlDeliverer(Deliverer):
    """``kubectl apply``, and what one waits for after it."""

    delivery = Delivery.KUBECTL

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_manifests(folder, props)
        manifests = list(yaml.safe_load_all((folder / f"{props.name}.k8s.yaml").read_text()))
        self._apply(manifests)
        for job in [manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "Job"]:
            if not self._ended(job):
                return False, self._logs(job)
        return self._rolled_out(props.name)


class ArgoCDDeliverer(Deliverer):
    """Argo CD's order of a sync, as its documentation has it: PreSync, Sync and PostSync, in each wave by wave.

    A phase begins when the one before it is healthy; a hook that fails ends the sync.
    """

    delivery = Delivery.ARGOCD

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_manifests(folder, props)
        manifests = list(yaml.safe_load_all((folder / f"{props.name}.k8s.yaml").read_text()))
        for phase in ("PreSync", "Sync", "PostSync"):
            chosen = [manifest for manifest in manifests if self._annotation(manifest, "hook", "Sync") == phase]
            for wave in sorted({int(self._annotation(manifest, "sync-wave", "0")) for manifest in chosen}):
                of_wave = [each for each in chosen if int(self._annotation(each, "sync-wave", "0")) == wave]
                ok, output = self._wave(of_wave)
                if not ok:
                    return False, output
            self._remove(chosen, "HookSucceeded")
        return True, ""

    def _wave(self, manifests: Sequence[Object]) -> tuple[bool, str]:
        self._remove(manifests, "BeforeHookCreation")
        self._apply(manifests)
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            if manifest["kind"] == "Job" and not self._ended(name):
                return False, self._logs(name)
            if manifest["kind"] == "Deployment":
                ok, output = self._rolled_out(name)
                if not ok:
                    return False, output
        return True, ""

    def _remove(self, manifests: Sequence[Object], policy: str) -> None:
        for manifest in manifests:
            if policy in self._annotation(manifest, "hook-delete-policy", "").split(","):
                what = f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"
                self.namespace.kubectl("delete", what, "--ignore-not-found")

    @staticmethod
    def _annotation(manifest: Object, key: str, default: str) -> str:
        value: str = manifest["metadata"].get("annotations", {}).get(f"{_ARGO}/{key}", default)
        return value
