"""Releases without hooks, through kubectl's own program."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ...errors import SpiceDBError
from ...files.yaml import dump
from ...labels import COMPONENT, Component
from ...manifests import release_manifests
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..cluster import DEPLOYMENT, JOB, REPLICA_SET, Cluster
from ..instance import revision_of, selector_of, version_of
from ..workload import drain_seconds, settled
from .deliver import Deliverer, StepError, finished, job_log, progress, run

_LOG_LINES = 20
_POLL_SECONDS = 0.5


class KubectlDeliverer(Deliverer):
    """Runs ``kubectl apply --server-side``: first the migration, then the rest."""

    def revision(self) -> str:
        """See `Deliverer.revision`."""
        deployment = self.cluster.get(DEPLOYMENT, self.running.name)
        return revision_of(deployment) if deployment else ""

    def earlier(self) -> tuple[str, str | None] | None:
        """See `Deliverer.earlier`."""
        sets = self.cluster.find(REPLICA_SET, labels=selector_of(self.running))
        older = {int(revision_of(each)): each for each in sets if revision_of(each) != self.running.revision}
        if not older:
            return None
        number = max(older)
        template = older[number]["spec"]["template"]
        return str(number), version_of(template, template["spec"]["containers"][0]["image"])

    def recover(self, process: str | None) -> None:
        """See `Deliverer.recover`. There is nothing to do: what is applied again does not change."""

    def apply(self, props: SpiceDBProps, label: str, number: int, on_start: Callable[[int], None]) -> None:
        """See `Deliverer.apply`."""
        manifests = release_manifests(props)
        first = [each for each in manifests if _component(each) is Component.MIGRATION]
        self._apply(first)
        self._wait_for_jobs(first)
        watch = self.watcher()
        rest = [each for each in manifests if _component(each) is not Component.MIGRATION]
        self._apply(rest)
        self._wait_for_servers(props, watch)
        self._wait_for_jobs(rest)

    def _apply(self, manifests: list[Manifest]) -> None:
        for job in (each for each in manifests if each["kind"] == "Job"):
            existing = self.cluster.get(JOB, job["metadata"]["name"])
            if existing and finished(existing) == "Failed":
                # A Job does not run again by itself.
                self.cluster.delete(JOB, job["metadata"]["name"])
        if not manifests:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "manifests.yaml"
            file.write_text(dump(*manifests), encoding="utf-8")
            # Takes over fields of an earlier `kubectl apply` without --server-side.
            _kubectl(self.cluster, "apply", "--server-side", "--force-conflicts", f"--filename={file}")

    def _wait_for_jobs(self, manifests: list[Manifest]) -> None:
        for job in (each for each in manifests if each["kind"] == "Job"):
            while True:
                found = self.cluster.get(JOB, job["metadata"]["name"])
                state = finished(found) if found else None
                if found and state == "Failed":
                    log = job_log(self.cluster, found, _LOG_LINES)
                    raise StepError(f"the Job {job['metadata']['name']} failed", log)
                if state == "Complete":
                    break
                self.notify(progress(self.cluster, self.running))
                time.sleep(_POLL_SECONDS)

    def _wait_for_servers(self, props: SpiceDBProps, watch: Callable[[], str | None]) -> None:
        end = time.monotonic() + (drain_seconds(self.running) + 120) * max(props.max_replicas, 1)
        while True:
            broken, waits = watch(), settled(self.cluster, self.running)
            if waits is None:
                return
            if broken is not None or time.monotonic() > end:
                raise StepError(broken or f"the servers did not become ready: {waits}", self.explanation())
            time.sleep(_POLL_SECONDS)

    def roll_back(self, revision: str) -> None:
        """See `Deliverer.roll_back`. Only the servers return: other objects stay as they are."""
        name = f"deployment/{self.running.name}"
        _kubectl(self.cluster, "rollout", "undo", name, f"--to-revision={revision}")
        _kubectl(self.cluster, "rollout", "status", name, "--timeout=10m")

    def test(self) -> None:
        """See `Deliverer.test`."""
        raise SpiceDBError("only Helm runs permission tests")

    def roll_back_command(self, revision: str) -> str:
        """See `Deliverer.roll_back_command`."""
        name = f"deployment/{self.running.name}"
        return f"kubectl rollout undo {name} --to-revision={revision} --namespace {self.cluster.namespace}"


def _component(manifest: Manifest) -> Component:
    return Component(manifest["metadata"]["labels"][COMPONENT])


def _kubectl(cluster: Cluster, *arguments: str) -> None:
    context = ["--context", cluster.context] if cluster.context else []
    outcome = run(["kubectl", *arguments, "--namespace", cluster.namespace, *context])
    if not outcome.ok:
        raise StepError(f"kubectl {arguments[0]}: {outcome.error}", outcome.output)
