"""The plan from the release that runs to the one of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from ...delivery import misfit
from ...errors import InvalidProps, SpiceDBError
from ...manifests.jobs import migration_manifests
from ...manifests.objects import Manifest
from ...plans.plan import UpgradePlan, UpgradeStep
from ...plans.words import BACKUP, old_servers, rollback, step_of, time_sentences
from ...props import SpiceDBProps
from ...text import count, link
from ...versions import SCHEMA_MODES
from ..apierror import ClusterError
from ..cluster import Cluster
from ..instance import Observed, Running
from ..pods import is_terminating, job_state
from ..record import Record
from ..released import REMOVE_PIN, foreign_objects, helm_released, helm_releases, pinned_image
from ..target import props_at, start_or_continue
from ..workload import RolloutState, counts, rollout_of
from .finding import Finding, Level

_SUBJECT = "Plan"


@frozen(kw_only=True)
class Planned:
    """A plan, with what there is to say about it."""

    findings: Sequence[Finding]
    plan: UpgradePlan | None = None
    """The steps. None: nothing runs, or there is no plan."""
    done: int = 0
    """Number of steps that are done."""
    interrupted: bool = False
    """Whether a step or an install has begun, and is not done."""
    known: bool = True
    """Whether it is known what runs: you may have no right to ask."""
    installs: bool = False
    """Whether nothing runs yet, or its install is not finished."""

    @property
    def goes_on(self) -> str | None:
        """The command that continues what was interrupted. None: nothing was."""
        if not self.interrupted:
            return None
        return "install" if self.installs else "upgrade"

    @property
    def steps(self) -> Sequence[UpgradeStep]:
        """The steps that are not done."""
        return self.plan.steps[self.done :] if self.plan else ()

    @property
    def rewrites_schema(self) -> bool:
        """Whether the SpiceDB schema is written again before a step, or when the last schema mode is rolled back."""
        return any(step.rewrites_schema or step.schema_mode == [*SCHEMA_MODES][-1] for step in self.steps)


def planned(cluster: Cluster, props: SpiceDBProps, running: Running | None) -> Planned:
    """The plan that `upgrade` follows: of the upgrade that is under way, or a new one."""
    if running is None:
        finding = Finding.ok(_SUBJECT, f"install {props.version}: nothing runs yet")
        return Planned(findings=(finding,), installs=True)
    engine = running.engine
    if engine is not None and engine != props.datastore.engine:
        text = f"the servers use the engine {engine}, and the file says {props.datastore.engine}"
        fix = f"set the engine {engine} in the file, or install a second SpiceDB with another name for your data"
        return Planned(findings=(Finding.failure("Engine", text, fix),))
    if running.version is None:
        text = "the release of the servers is unknown: neither the tag of their image nor a label names it"
        fix = "find it in the log of a server, and see the steps with `cdk8s-spicedb plan`"
        return Planned(findings=(Finding.warning(_SUBJECT, text, fix),))
    try:
        record = start_or_continue(cluster, props, running, lambda: "")
    except ClusterError:
        raise
    except InvalidProps as error:
        words = {"target": "version", "schema_mode": "server.schemaMode", "current": "the release that runs"}
        found = []
        for each in error.problems:
            text = f"{words.get(each.field, each.field)} is {each.value}; allowed: {each.allowed}"
            found.append(Finding.failure(_SUBJECT, text, each.fix))
        return Planned(findings=found)
    except SpiceDBError as error:
        return Planned(findings=(Finding.failure(_SUBJECT, str(error), "see `cdk8s-spicedb status`"),))
    return planned_as(record, running)


def planned_as(record: Record, running: Running) -> Planned:
    """The plan of an upgrade with this record."""
    plan, done = record.plan, record.sound[-1].step
    findings = [*_summary(record, running)]
    for number, step in enumerate(plan.steps[done:], done + 1):
        subject = step_of(number, len(plan.steps)).capitalize()
        migrates = f"migrates to {step.revision or 'head'}" if step.migrates else "no migration"
        mode = f", schema mode {step.schema_mode}" if step.schema_mode else ""
        what = f"{step.version}, {migrates}{mode}; {rollback(step)}"
        if step.rolls_back:
            findings.append(Finding.ok(subject, what))
        else:
            known = f"{BACKUP}: only a restore leads back"
            fix = f"read the release notes of {step.version}, and {BACKUP}" if step.rolls_back is None else known
            findings.append(Finding.warning(subject, f"{what}: {old_servers(step, plan.before(number))}", fix))
        findings += (Finding.warning(subject, caution) for caution in step.cautions)
    return Planned(findings=findings, plan=plan, done=done, interrupted=record.running is not None)


def time_findings(planned: Planned) -> Iterator[Finding]:
    """How long the migrations that are left take for each million rows: for a check that does not ask the database."""
    for step in planned.steps:
        yield from (Finding.ok("Migrations", f"{step.version}: {text}") for text in time_sentences(step))


def step_images(props: SpiceDBProps, planned: Planned) -> tuple[list[str], list[Finding]]:
    """The image of each step that is left, and what is wrong with those that are unknown."""
    images, findings = [], []
    for step in planned.steps:
        assert planned.plan is not None
        try:
            images.append(props_at(props, planned.plan, step).full_image)
        except InvalidProps as error:
            problem = error.problems[0]
            text = f"the upgrade cannot know the image of {step.version}; allowed: {problem.allowed}"
            findings.append(Finding.failure("Images", text, problem.fix))
    return list(dict.fromkeys(images)), findings


def _summary(record: Record, running: Running) -> Iterator[Finding]:
    plan, done = record.plan, record.sound[-1].step
    steps = count(len(plan.steps), "step")
    by_commit = running.applier.applies_commits
    if by_commit and record.running == len(plan.steps) and not record.awaits(running):
        yield Finding.ok(_SUBJECT, f"{plan.current} to {plan.target}: the last step is applied")
    elif done or record.running is not None:
        text = f"the upgrade from {plan.current} to {plan.target} is not finished: {done} of {steps} done"
        fix = "go on with `cdk8s-spicedb upgrade`, or go back with `cdk8s-spicedb rollback`"
        if by_commit:
            fix = f"go on with `cdk8s-spicedb upgrade --write`, or go back with a commit: {link('upgrade/rollback')}"
        yield Finding.warning(_SUBJECT, text + (f". It stopped: {record.stopped}" if record.stopped else ""), fix)
    elif plan.current == plan.target:
        yield Finding.ok(_SUBJECT, f"{plan.current} runs already: an upgrade changes only settings, in {steps}")
    else:
        yield Finding.ok(_SUBJECT, f"{plan.current} to {plan.target} in {steps}")
    if running.migration_phase and not done:
        text = f"the servers run in the migration phase {running.migration_phase}, in the middle of another plan"
        yield Finding.warning(_SUBJECT, text, "finish that plan first: see `cdk8s-spicedb plan`")
    yield from (Finding.warning(_SUBJECT, warning) for warning in plan.warnings)


def running_servers(seen: Observed | None) -> int:
    """Number of servers that run, without those that terminate."""
    return sum(not is_terminating(pod) for pod in seen.servers) if seen and seen.deployment else 0


def server_findings(
    cluster: Cluster, props: SpiceDBProps, seen: Observed | None, *, goes_on: str | None = None
) -> Iterator[Finding]:
    """Findings about the servers, the program that applied them, and what is still under way.

    ``goes_on`` is the command that continues an interrupted install or upgrade. What was left unfinished is then not a
    failure. ``seen`` is None if you have no right to read what runs.
    """
    running = seen.running if seen else None
    if running is not None:
        yield _applier(props, running)
        if running.made_for:
            text = f"their image is {running.version}, but flags and the migration are those of {running.made_for}"
            fix = f"set version: {running.version} in the file, and remove the other program's image, as of kustomize"
            yield Finding.warning("Servers", text, fix)
        released = helm_released(cluster, running)
        pinned = pinned_image(released)
        if pinned is not None:
            text = f"it has the value {pinned}, which takes precedence over the file"
            yield Finding.failure(f"Helm release {running.applied_as}", text, REMOVE_PIN)
        others = ", ".join(foreign_objects(released, running.name))
        if others:
            text = f"it also has {others}, which an upgrade with this file alone would delete"
            fix = "upgrade it with the chart or app that has all its objects"
            yield Finding.failure(f"Helm release {running.applied_as}", text, fix)
    under_way = [
        *([_roll_out(cluster, seen.deployment, running)] if seen and seen.deployment and running else ()),
        *(_migration(cluster, props, seen) if seen else ()),
        *_helm_release(cluster, props, seen),
    ]
    for finding in under_way:
        if goes_on and finding.level is Level.FAILURE:
            yield Finding.warning(finding.subject, finding.text, f"continue with `cdk8s-spicedb {goes_on}`")
        else:
            yield finding


def _roll_out(cluster: Cluster, deployment: Manifest, running: Running) -> Finding:
    subject, place = f"Deployment {running.name}", f"deployment/{running.name} {cluster.options()}"
    look, rollout, servers = f"see `kubectl rollout status {place}`", rollout_of(deployment), counts(deployment)
    if rollout.state is RolloutState.PAUSED:
        return Finding.failure(subject, "is paused", f"run `kubectl rollout resume {place}`")
    if rollout.state is RolloutState.STUCK:
        text = f"its last roll-out failed: {rollout.message}".rstrip(": ")
        return Finding.failure(subject, text, f"roll back first, or repair it; {look}")
    if not servers.replaced:
        text = f"a roll-out is under way: {servers.updated} of {servers.wanted} servers are updated"
        return Finding.failure(subject, text, f"wait until it is done; {look}")
    if servers.available < servers.wanted:
        text = f"{servers.available} of {servers.wanted} servers are ready"
        fix = f"find out why with `kubectl describe pods {cluster.options()}`"
        return Finding.warning(subject, text, f"{fix}; an upgrade does not repair a server by itself")
    version = running.version or "an unknown release"
    return Finding.ok(subject, f"{servers.wanted} of {servers.wanted} servers are ready, and run {version}")


def _applier(props: SpiceDBProps, running: Running) -> Finding:
    subject, name = "Delivery", f"{running.applier.title} applied the release"
    if running.made_as:
        text = f"another program, such as kustomize, changed the name {running.made_as} to {running.name}"
        return Finding.failure(subject, text, f"set name: {running.name} in the file instead, and write it again")
    if not running.ours:
        fix = "either set another name in the file and move your clients to it, or delete the other release first"
        return Finding.failure(subject, f"{name}, and the release was not made by cdk8s-spicedb", fix)
    wrong = misfit(props.delivery, running.applier)
    if wrong is None:
        return Finding.ok(subject, f"{name}, as the file says")
    return (Finding.failure if wrong.certain else Finding.warning)(subject, wrong.text, wrong.fix)


def _migration(cluster: Cluster, props: SpiceDBProps, seen: Observed) -> Iterator[Finding]:
    if not props.migrates:
        return
    seen.need("jobs")
    place, own = cluster.options(), {each["metadata"]["name"] for each in migration_manifests(props)}
    for job in seen.jobs:
        name, state = job["metadata"]["name"], job_state(job)
        # With kubectl, older Jobs stay for a day. One of them matters only if this release needs it again.
        if state.failed and (job is seen.jobs[-1] or name in own):
            text = f"the last migration failed: {state.message}".rstrip(": ")
            fix = f"read its log with `kubectl logs job/{name} {place}`"
            if not props.migrates_first:
                fix += f", then delete it so that it can run again: `kubectl delete job {name} {place}`"
            yield Finding.warning(f"Job {name}", text, fix)
        elif job.get("status", {}).get("active"):
            fix = f"wait until it is done; see `kubectl logs job/{name} {place}`"
            yield Finding.failure(f"Job {name}", "a migration runs", fix)


def _helm_release(cluster: Cluster, props: SpiceDBProps, seen: Observed | None) -> Iterator[Finding]:
    """Whether Helm could change its release. Helm keeps the status of each revision in a label."""
    running = seen.running if seen else None
    if not props.delivery.is_chart or (running and not running.applier.keeps_history):
        return
    name = (running.applied_as if running else None) or props.name
    if seen and running:
        seen.need("helm")
    revisions = seen.helm if seen and running else helm_releases(cluster, name)
    if not revisions:
        return
    number, status = revisions[-1].revision, revisions[-1].status
    subject, place = f"Helm release {name}", cluster.options("--kube-context")
    good = [each.revision for each in revisions if each.status in ("deployed", "superseded")]
    back = f"`helm rollback {name} {good[-1]} {place}`" if good else f"`helm uninstall {name} {place}`"
    if status.startswith("pending") or status == "uninstalling":
        text = f"revision {number} is {status}: Helm is still working on it, or was interrupted"
        yield Finding.failure(subject, text, f"wait for Helm; if no Helm runs, use {back}")
    elif status == "failed":
        fix = f"find out why it failed: `helm status {name} {place}`. If its servers are bad, use {back}"
        yield Finding.warning(subject, f"revision {number} failed", fix)
    else:
        yield Finding.ok(subject, f"revision {number} is {status}")
