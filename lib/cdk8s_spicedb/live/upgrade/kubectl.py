"""Releases without hooks, through kubectl's own program."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from ...errors import SpiceDBError
from ...files.yaml import dump
from ...labels import COMPONENT, POD_TEMPLATE_HASH, Component
from ...manifests import release_manifests
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..cluster import JOB, Kind
from ..instance import require_running, revision_of, version_of
from ..observe import observe
from ..pods import container_of, job_state
from ..poll import poll
from ..programs import QUERY_SECONDS, Ended, kubectl, run
from ..runs import job_log
from ..workload import MigrationState, migration_of, progress_of
from .deliver import Deliverer, StepError
from .deployment import resume, stopped

_LOG_LINES = 20
_APPLY_SECONDS, _STATUS_SECONDS = 300, 600
_LATE_SECONDS = 120
"""Maximum time from the deadline of a Job to its end. Kubernetes first stops its pods."""


class KubectlDeliverer(Deliverer):
    """Runs ``kubectl apply --server-side``: first the migration, then the rest."""

    def found_uid(self, kind: Kind, name: str) -> str | None:
        # With its group, because two groups can have kinds of the same name.
        resource = ".".join(filter(None, (kind.kind.lower(), kind.group)))
        ended = self._run("get", resource, name, "--output=jsonpath={.metadata.uid}")
        return ended.stdout.strip() or None

    def revision(self) -> str:
        return require_running(self.cluster, self.running.name).revision

    def revisions_kept(self) -> Collection[str]:
        return [revision_of(each) for each in self._replica_sets()]

    def _replica_sets(self) -> Sequence[Manifest]:
        seen = observe(self.cluster, self.running.name, rollout=True)
        seen.need("replica_sets")
        return seen.replica_sets

    def earlier(self) -> tuple[str, str | None] | None:
        older = [each for each in self._replica_sets() if revision_of(each) != self.running.revision]
        newest = max(older, key=lambda each: int(revision_of(each)), default=None)
        if newest is None:
            return None
        template = newest["spec"]["template"]
        return revision_of(newest), version_of(template, container_of(template)["image"])

    def recover(self) -> None:
        """See `Deliverer.recover`. There is nothing to do: what is applied again does not change."""

    def apply(self, props: SpiceDBProps, label: str, number: int) -> None:
        manifests = release_manifests(props)
        first = [each for each in manifests if _component(each) is Component.MIGRATION]
        self._apply(first)
        self._wait_for_jobs(props, first)
        rest = [each for each in manifests if _component(each) is not Component.MIGRATION]
        look = self.looks()
        self._apply(rest)
        if not self.is_held():
            self.wait_for_servers(props, look)
        # A backup that runs may keep the volume from the Job that opens it.
        self._wait_for_jobs(props, [each for each in rest if _component(each) is not Component.BACKUP])

    def _apply(self, manifests: list[Manifest]) -> None:
        for job in (each for each in manifests if each["kind"] == "Job"):
            existing = self.cluster.get(JOB, job["metadata"]["name"])
            if existing and job_state(existing).failed:
                # A Job does not run again by itself.
                self.cluster.delete(JOB, job["metadata"]["name"])
        if not manifests:
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "manifests.yaml"
                file.write_text(dump(*manifests), encoding="utf-8")
                # Takes over fields of an earlier `kubectl apply` without --server-side.
                self._run("apply", "--server-side", "--force-conflicts", f"--filename={file}", seconds=_APPLY_SECONDS)
        except OSError as error:
            text = f"cannot write temporary manifests: {error}; set TMPDIR to a folder with free space"
            raise StepError(text) from None

    def _wait_for_jobs(self, props: SpiceDBProps, manifests: list[Manifest]) -> None:
        """Waits until each Job has succeeded. Raises `StepError` if one fails, is deleted, or never ends."""
        seconds, clock = props.migration.active_deadline_seconds + _LATE_SECONDS, self.cluster.clock
        for name in (each["metadata"]["name"] for each in manifests if each["kind"] == "Job"):

            def look(name: str = name) -> Manifest | None:
                job = self.cluster.get(JOB, name)
                if job and _component(job) is Component.MIGRATION:
                    seen = observe(self.cluster, self.running.name)
                    if migration_of(seen).state is MigrationState.RUNNING:
                        self.notify(*progress_of(seen))
                return job

            job = poll(look, until=lambda job: job is None or not job_state(job).runs, seconds=seconds, clock=clock)
            if job is None:
                raise StepError(f"somebody deleted the Job {name} before it ended")
            state = job_state(job)
            if not state.succeeded:
                raise StepError(f"the Job {name} {state.ending(seconds)}", job_log(self.cluster, job, _LOG_LINES))

    def roll_back(self, revision: str) -> None:
        """See `Deliverer.roll_back`. Only the servers return: other objects stay as they are."""
        if not revision.isdecimal():
            raise StepError(f"{revision!r} is no revision of a Deployment; see `kubectl rollout history`")
        name = f"deployment/{self.running.name}"
        if self.is_held() or stopped(self.cluster, self.running.name):
            # kubectl refuses to roll back what is paused, and removes annotations.
            resume(self.cluster, self.running.name, template=self._template(revision))
        else:
            self._run("rollout", "undo", name, f"--to-revision={revision}")
        timeout = f"--timeout={_STATUS_SECONDS}s"
        self._run("rollout", "status", name, timeout, seconds=_STATUS_SECONDS + QUERY_SECONDS)

    def _template(self, revision: str) -> Manifest:
        """The pod template of a revision."""
        found = next((each for each in self._replica_sets() if revision_of(each) == revision), None)
        if found is None:
            raise StepError(f"the cluster no longer has revision {revision} of {self.running.name}")
        template: Manifest = found["spec"]["template"]
        labels = {key: value for key, value in template["metadata"]["labels"].items() if key != POD_TEMPLATE_HASH}
        return {**template, "metadata": {**template["metadata"], "labels": labels}}

    def test(self) -> None:
        raise SpiceDBError("only Helm runs permission tests")

    def _run(self, *arguments: str, seconds: float = QUERY_SECONDS) -> Ended:
        ended = run(kubectl(self.cluster, *arguments), self.cluster, seconds=seconds)
        if not ended.ok:
            raise StepError(f"kubectl {arguments[0]}: {ended.error}", ended.output)
        return ended

    def roll_back_command(self, revision: str) -> str:
        name = f"deployment/{self.running.name}"
        return f"kubectl rollout undo {name} --to-revision={revision} {self.cluster.options()}"


def _component(manifest: Manifest) -> Component:
    return Component(manifest["metadata"]["labels"][COMPONENT])
