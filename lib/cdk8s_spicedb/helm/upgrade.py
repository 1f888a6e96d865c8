"""A written upgrade: a chart for each step, and a README that says what to run and check, and how to roll back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from os import PathLike
from pathlib import Path

from attrs import evolve

from ..errors import InvalidProps, Problem
from ..files.folder import MARK, write_files
from ..labels import Component, selector_text
from ..plans.plan import UpgradePlan, UpgradeStep
from ..plans.tables import settings
from ..plans.words import allowed, assumption, limit_sentence, old_servers, rollback, sentence, time_sentences
from ..props import SpiceDBProps
from ..versions import ALLOWED_MIGRATIONS, SCHEMA_MODES
from . import chart_files, require_helm


def step_names(plan: UpgradePlan) -> list[str]:
    """The names of the steps' folders. Each begins with the step's number, so that they sort."""
    width = len(str(len(plan.steps)))
    parts = [(each.version, each.target_migration, None if each.migrates else each.schema_mode) for each in plan.steps]
    return [f"{number:0{width}}-{'-'.join(filter(None, names))}" for number, names in enumerate(parts, 1)]


def runbook(plan: UpgradePlan, props: SpiceDBProps) -> str:
    """The text of the README, in Markdown."""
    plan = evolve(plan, steps=tuple(_rendered_steps(plan, props)))
    title = f"<!-- {MARK} -->\n# Upgrade {props.name} from SpiceDB {plan.current} to {plan.target} on {plan.engine}\n"
    if not plan.steps:
        return f"{title}\nThere is nothing to do.\n"
    parts = [_opening(plan, props), _steps(plan, props), _roll_back_further(plan), _failures(props)]
    return "\n".join([title, *chain.from_iterable(parts)])


def _rendered_steps(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[UpgradeStep]:
    """The steps with the allowed migrations that the props set, and what these mean for a rollback."""
    allowed, known = props.server.allowed_migrations, props.releases.engines.get(plan.engine)
    version, phase = plan.current, None
    for step in plan.steps:
        rolls_back = step.rolls_back
        if allowed is not None and known is not None and rolls_back is not None and step.migrates:
            rolls_back = step.revision in {*known.starts_on(version, phase), *allowed}
        yield evolve(step, allowed_migrations=props.at(step).allowed_migrations, rolls_back=rolls_back)
        version, phase = step.version, step.datastore_migration_phase


def _opening(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    yield "Each folder is the Helm chart of one step. Run all steps in their order, and check each one before you"
    yield "run the next. Do not make a new plan in the middle of the upgrade.\n"
    if props.migrates:
        yield "Each step first migrates the datastore, then replaces the servers in a rolling update.\n"
    elif props.datastore.migrates:
        yield "The charts do not migrate the datastore, because `MigrationProps.enabled` is False. Before you run a"
        yield "step, migrate the datastore yourself to the revision of that step.\n"
    if plan.relationships and any(step.estimates for step in plan.steps):
        yield f"{sentence(assumption(plan))}\n"
    yield from (f"**Warning**: {warning}.\n" for warning in plan.warnings)
    yield "## Before you begin\n"
    if props.datastore.migrates:
        yield "Make a backup of the datastore. SpiceDB cannot undo a migration.\n"
    yield "Open a shell in this folder. Set the name of your Helm release, and its namespace:\n"
    yield f"    export RELEASE={props.name} NAMESPACE=default\n"


def _steps(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    wait = f"--wait --timeout {props.migration.helm_timeout}"
    for number, (name, step) in enumerate(zip(step_names(plan), plan.steps, strict=True), 1):
        yield f"## {number}. {name.split('-', 1)[1]}\n"
        yield f"{sentence(step.why)}\n"
        limit = limit_sentence(step, props.migration) if props.migrates else ()
        notes = [*_facts(step, props), *map(sentence, (*time_sentences(step), *limit))]
        notes += [f"**Before this step**: {caution}." for caution in step.cautions]
        yield from (f"- {note}" for note in notes)
        yield "\n### Run\n" if notes else "### Run\n"
        yield f'    helm upgrade "$RELEASE" ./{name} --namespace "$NAMESPACE" {wait}\n'
        yield from _check(props)
        yield from _roll_back(step, plan.before(number), number, props, wait)


def _facts(step: UpgradeStep, props: SpiceDBProps) -> Iterator[str]:
    revision = f"`{step.revision or 'head'}`"
    if step.migrates and props.migrates:
        yield f"Migrates to {revision}."
    elif step.migrates:
        yield f"Migrate the datastore to {revision} yourself before you run the step."
    elif props.migrates:
        stays = f"stays at {revision}" if step.revision else "does not change"
        yield f"The datastore schema {stays}. The migration runs, but has nothing to do."
    yield from (f"Servers run with `{setting}`." for setting in settings(step))
    if step.allowed_migrations:
        yield sentence(allowed(step, code=True))


def _check(props: SpiceDBProps) -> Iterator[str]:
    """Commands that wait until all servers are ready and no older server is left."""
    seconds = props.server.termination_seconds + 60
    stopping = "{range .items[?(@.metadata.deletionTimestamp)]}pod/{.metadata.name} {end}"
    yield "### Check\n"
    yield "Wait until all servers are ready and no older server is left. An older server still serves, with its old"
    yield "settings, while it drains. The last command shows the image of the servers.\n"
    yield f'    kubectl rollout status deployment/{props.name} --namespace "$NAMESPACE" --timeout 60s'
    yield '    kubectl get pods --namespace "$NAMESPACE" \\'
    yield f"      --selector {selector_text(props.name, Component.SERVER)} \\"
    yield f"      --output jsonpath='{stopping}' |"
    yield f'      xargs -r kubectl wait --namespace "$NAMESPACE" --for delete --timeout {seconds}s'
    yield f'    kubectl get deployment {props.name} --namespace "$NAMESPACE" --output wide\n'


def _roll_back(step: UpgradeStep, before: str, number: int, props: SpiceDBProps, wait: str) -> Iterator[str]:
    revision = "the last revision that was deployed before this upgrade"
    if number > 1:
        revision = f"the last deployed revision of the chart {props.name}-{number - 1}.0.0"
    yield "### Roll back\n"
    if step.rolls_back is False:
        yield f"**{sentence(rollback(step, 'this step'))}**"
        yield sentence(old_servers(step, before, code=True))
        yield f"SpiceDB cannot migrate back. If you must go back, {props.datastore.restore}."
        yield f"Then roll back to {revision}.\n"
        return
    yield f"In the history, find {revision}, and roll back to it."
    yield "Always name the revision. If you name none, Helm takes the previous one, even if that was a failed attempt."
    yield "A rollback runs no migration, so the datastore schema stays as it is.\n"
    yield '    helm history "$RELEASE" --namespace "$NAMESPACE"'
    yield f'    helm rollback "$RELEASE" REVISION --namespace "$NAMESPACE" {wait}\n'
    if number == 1 and step.migrates and step.rolls_back:
        yield "The servers of that revision become ready on the newer schema if they run with"
        yield f"`--{ALLOWED_MIGRATIONS}={step.revision}`. cdk8s-spicedb renders that argument by default.\n"
    if step.rolls_back is None:
        yield sentence(old_servers(step, before, code=True))
        yield "Try the rollback in a test environment first.\n"


def _roll_back_further(plan: UpgradePlan) -> Iterator[str]:
    if len(plan.steps) == 1:
        return
    yield "## Roll back further\n"
    yield "Roll back one step at a time, as described for each step, and stop at a step whose rollback does not work."
    yield "In the history, the version of a chart begins with the number of its step.\n"
    if any(step.schema_mode == "read-new-write-new" for step in plan.steps):
        yield "From `read-new-write-new`, first roll back to `read-new-write-both`, and wait until no server in"
        yield "`read-new-write-new` is left. Then write the schema again, because the old tables do not contain the"
        yield "changes that were made in `read-new-write-new`. Then continue.\n"


def _failures(props: SpiceDBProps) -> Iterator[str]:
    yield "## If a step fails\n"
    if props.migrates:
        yield "If the migration fails, the old servers keep serving. Helm prints the log of the migration if its pods"
        yield "still exist. To see what is left of the migration:\n"
        yield f'    kubectl describe job {props.name}-migration --namespace "$NAMESPACE"'
        yield f'    kubectl logs job/{props.name}-migration --namespace "$NAMESPACE"\n'
        yield "Fix the cause, then run the same step again. The migration continues where it stopped.\n"
    yield "If Helm was killed and now reports `another operation … is in progress`, roll back to the revision that was"
    yield "deployed last. Then run the step again.\n"


def write_upgrade(folder: str | PathLike[str], props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Writes a Helm chart for each step of a plan, ``1-…``, ``2-…``, and a README that says what to run and check.

    The chart of a step has ``props`` with the changes of that step (`SpiceDBProps.at`). If anything fails, the folder
    stays as it is. Raises `InvalidProps` if the props are invalid at a step, or have another engine than the plan, and
    `SpiceDBError` if the folder cannot be written, or contains a file that this package did not write.
    """
    require_helm(props)
    engine, fix = props.datastore.engine, "plan the upgrade with the same datastore"
    if engine != plan.engine:
        problem = Problem("datastore", engine, f"{plan.engine}, as in the plan", fix)
        raise InvalidProps(type(props).__name__, [problem])
    steps = [props.at(step) for step in plan.steps]
    mode, first = props.server.schema_mode, next(iter(SCHEMA_MODES))
    last = plan.steps[-1].schema_mode if plan.steps else mode
    # In a mode that the plan does not reach, servers would skip modes and not find the whole schema.
    if mode is not None and mode != (last or first):
        fix = "pass schema_mode to plan_upgrade, and current_schema_mode if servers already run in a mode"
        problem = Problem("server.schema_mode", repr(mode), f"None, or the plan's last mode, {last or first}", fix)
        raise InvalidProps(type(props).__name__, [problem])

    files = {"README.md": runbook(plan, props)}
    for number, (name, step) in enumerate(zip(step_names(plan), steps, strict=True), 1):
        chart = chart_files(step, step.name, f"{number}.0.0")
        files.update({f"{name}/{path}": text for path, text in chart.items()})
    write_files(Path(folder), files.items())
