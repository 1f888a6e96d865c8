"""The deliveries of a release, each with the commands that its users run."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import attrs

from cdk8s_spicedb import Delivery, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.files.folder import write_manifests
from tests import fast_yaml

from .cluster import Namespace, Object, run, wait
from .helm import Outcome

_ARGO = "argocd.argoproj.io"


class Deliverer(ABC):
    """Applies a release to a cluster, and reports the outcome."""

    delivery: Delivery

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self._folder = namespace, folder

    def deliver(self, props: SpiceDBProps) -> Outcome:
        """Installs or upgrades, and waits until the release is ready or has failed."""
        start = time.monotonic()
        folder = self._folder / uuid.uuid4().hex
        ok, output = self._deliver(attrs.evolve(props, delivery=self.delivery), folder)
        return Outcome(ok, output, time.monotonic() - start)

    @abstractmethod
    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]: ...

    def _apply(self, manifests: Sequence[Object]) -> None:
        self.namespace.kubectl("apply", "--filename=-", text=fast_yaml.dump_all(manifests))

    def _job_succeeds(self, job: str, seconds: int = 90) -> bool:
        """Waits for the end of a Job, and returns whether it succeeded."""

        def final_condition() -> str | None:
            found = self.namespace.get("job", job)
            conditions = found["status"].get("conditions", []) if found else []
            return next(
                (condition["type"] for condition in conditions if condition["type"] in ("Complete", "Failed")), None
            )

        return wait(f"Job {job} to finish", final_condition, seconds) == "Complete"

    def _logs(self, job: str) -> str:
        return self.namespace.kubectl("logs", f"--selector=job-name={job}", "--tail=20", check=False)

    def _wait_for_roll_out(self, deployment: str) -> tuple[bool, str]:
        command = ("--namespace", self.namespace.name, "rollout", "status", f"deployment/{deployment}", "--timeout=90s")
        result = run("kubectl", *command, check=False)
        return result.returncode == 0, result.stdout + result.stderr


class HelmDeliverer(Deliverer):
    """Installs a packaged chart with a Helm program."""

    delivery = Delivery.HELM

    def __init__(self, namespace: Namespace, folder: Path, program: str, *options: str) -> None:
        super().__init__(namespace, folder)
        self._program, self._options = program, options

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_helm_chart(folder, attrs.evolve(props, hook_logs=True), version="1.2.3")
        packages = folder.parent / f"{folder.name}-package"
        run(self._program, "package", str(folder), "--destination", str(packages))
        package = str(packages / f"{props.name}-1.2.3.tgz")
        options = ("--install", "--wait", "--timeout=90s", "--namespace", self.namespace.name, *self._options)
        result = run(self._program, "upgrade", "release", package, *options, check=False)
        return result.returncode == 0, result.stdout + result.stderr


class KubectlDeliverer(Deliverer):
    """Runs ``kubectl apply``, then waits for the Job and the Deployment."""

    delivery = Delivery.KUBECTL

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_manifests(folder, props)
        manifests = list(fast_yaml.load_all((folder / f"{props.name}.k8s.yaml").read_text()))
        self._apply(manifests)
        for job in [manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "Job"]:
            if not self._job_succeeds(job):
                return False, self._logs(job)
        return self._wait_for_roll_out(props.name)


class ArgoCDDeliverer(Deliverer):
    """Applies manifests in the order of an Argo CD sync: the phases PreSync, Sync and PostSync, each in waves.

    A phase starts when the previous one is healthy. A failed hook ends the sync.
    """

    delivery = Delivery.ARGOCD

    def _deliver(self, props: SpiceDBProps, folder: Path) -> tuple[bool, str]:
        write_manifests(folder, props)
        manifests = list(fast_yaml.load_all((folder / f"{props.name}.k8s.yaml").read_text()))
        for phase in ("PreSync", "Sync", "PostSync"):
            of_phase = [manifest for manifest in manifests if self._annotation(manifest, "hook", "Sync") == phase]
            for wave in sorted({int(self._annotation(manifest, "sync-wave", "0")) for manifest in of_phase}):
                of_wave = [
                    manifest for manifest in of_phase if int(self._annotation(manifest, "sync-wave", "0")) == wave
                ]
                ok, output = self._apply_wave(of_wave)
                if not ok:
                    return False, output
            self._delete_hooks(of_phase, "HookSucceeded")
        return True, ""

    def _apply_wave(self, manifests: Sequence[Object]) -> tuple[bool, str]:
        self._delete_hooks(manifests, "BeforeHookCreation")
        self._apply(manifests)
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            if manifest["kind"] == "Job" and not self._job_succeeds(name):
                return False, self._logs(name)
            if manifest["kind"] == "Deployment":
                ok, output = self._wait_for_roll_out(name)
                if not ok:
                    return False, output
        return True, ""

    def _delete_hooks(self, manifests: Sequence[Object], policy: str) -> None:
        for manifest in manifests:
            if policy in self._annotation(manifest, "hook-delete-policy", "").split(","):
                resource = f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"
                self.namespace.kubectl("delete", resource, "--ignore-not-found")

    @staticmethod
    def _annotation(manifest: Object, key: str, default: str) -> str:
        value: str = manifest["metadata"].get("annotations", {}).get(f"{_ARGO}/{key}", default)
        return value
