"""The plan from the release that runs to the one of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from ...errors import InvalidProps, SpiceDBError
from ...props import SpiceDBProps
from ...upgrades.estimates import time_sentences
from ...upgrades.plan import UpgradePlan, UpgradeStep
from ..cluster import Cluster, ClusterError
from ..finding import Finding
from ..release.record import Record
from ..release.running import Running
from ..steps.target import props_at, start_or_continue

_SUBJECT = "Plan"


@frozen(kw_only=True)
class Planned:
    """A plan, with what there is to say about it."""

    findings: Sequence[Finding]
    plan: UpgradePlan | None
    """The steps. None: nothing runs, or there is no plan."""
    done: int = 0
    """Number of steps that are done."""
    interrupted: bool = False
    """Whether a step has begun, and is not done."""
    known: bool = True
    """Whether it is known what runs: you may have no right to ask."""
    installs: bool = False
    """Whether nothing runs yet."""

    @property
    def steps(self) -> Sequence[UpgradeStep]:
        """The steps that are not done."""
        return self.plan.steps[self.done :] if self.plan else ()


def planned(cluster: Cluster, props: SpiceDBProps, running: Running | None) -> Planned:
    """The plan that `upgrade` follows: of the upgrade that is under way, or a new one."""
    if running is None:
        finding = Finding.ok(_SUBJECT, f"install {props.version}: nothing runs yet")
        return Planned(findings=(finding,), plan=None, installs=True)
    problem = _not_planned(props, running)
    if problem:
        return Planned(findings=(problem,), plan=None)
    try:
        record = start_or_continue(cluster, props, running, lambda: "")
    except ClusterError:
        raise
    except InvalidProps as error:
        return Planned(findings=tuple(_invalid(error)), plan=None)
    except SpiceDBError as error:
        return Planned(findings=(Finding.failure(_SUBJECT, str(error), "see `cdk8s-spicedb status`"),), plan=None)
    done = record.sound[-1].step
    findings = [*_summary(record, running), *_steps(record.plan, done)]
    return Planned(findings=tuple(findings), plan=record.plan, done=done, interrupted=record.running is not None)


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


def _not_planned(props: SpiceDBProps, running: Running) -> Finding | None:
    if running.engine is not None and running.engine != props.datastore.engine:
        text = f"the servers use the engine {running.engine}, and the file says {props.datastore.engine}"
        fix = (
            f"set the engine {running.engine} in the file, or install a second SpiceDB with another name for your data"
        )
        return Finding.failure("Engine", text, fix)
    if running.version is None:
        text = "the release of the servers is unknown: neither the tag of their image nor a label names it"
        fix = "find it in the log of a server, and see the steps with `cdk8s-spicedb plan`"
        return Finding.warning(_SUBJECT, text, fix)
    return None


def _summary(record: Record, running: Running) -> Iterator[Finding]:
    plan, done = record.plan, record.sound[-1].step
    count = f"{len(plan.steps)} step{'s' if len(plan.steps) > 1 else ''}"
    if done or record.running is not None:
        text = f"the upgrade from {plan.current} to {plan.target} is not finished: {done} of {count} done"
        fix = "go on with `cdk8s-spicedb upgrade`, or go back with `cdk8s-spicedb rollback`"
        yield Finding.warning(_SUBJECT, text + (f". It stopped: {record.stopped}" if record.stopped else ""), fix)
    elif plan.current == plan.target:
        yield Finding.ok(_SUBJECT, f"{plan.current} runs already: an upgrade changes only settings, in {count}")
    else:
        yield Finding.ok(_SUBJECT, f"{plan.current} to {plan.target} in {count}")
    if running.migration_phase and not done:
        text = f"the servers run in the migration phase {running.migration_phase}, in the middle of another plan"
        yield Finding.warning(_SUBJECT, text, "finish that plan first: see `cdk8s-spicedb plan`")
    for warning in plan.warnings:
        yield Finding.warning(_SUBJECT, warning)


def _steps(plan: UpgradePlan, done: int) -> Iterator[Finding]:
    """Findings about each step that is left."""
    last = plan.steps[done - 1].version if done else plan.current
    for number, step in enumerate(plan.steps[done:], done + 1):
        yield from _step(f"Step {number} of {len(plan.steps)}", step, last)
        last = step.version


def _step(subject: str, step: UpgradeStep, last: str) -> Iterator[Finding]:
    what = f"{step.version}, " + (f"migrates to {step.revision or 'head'}" if step.migrates else "no migration")
    if step.schema_mode:
        what += f", schema mode {step.schema_mode}"
    if step.rolls_back:
        yield Finding.ok(subject, f"{what}; you can roll back")
    elif step.rolls_back is None:
        text = f"{what}; it is unknown whether servers of {last} start after it, which a rollback needs"
        yield Finding.warning(subject, text, f"read the release notes of {step.version}, and make a backup first")
    else:
        text = f"{what}; servers of {last} do not start after it, so you cannot roll back"
        yield Finding.warning(subject, text, "make a backup of the datastore first: only a restore leads back")
    for caution in step.cautions:
        yield Finding.warning(subject, caution)


def _invalid(error: InvalidProps) -> Iterator[Finding]:
    words = {"target": "version", "schema_mode": "server.schemaMode", "current": "the release that runs"}
    for problem in error.problems:
        field = words.get(problem.field, problem.field)
        yield Finding.failure(_SUBJECT, f"{field} is {problem.value}; allowed: {problem.allowed}", problem.fix)
