"""The README beside the charts of an upgrade: what to run, what to check in between, how to go back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from attrs import evolve

from ..files.folder import MARK
from ..labels import Component, selector_text
from ..props import SpiceDBProps
from .steps import UpgradePlan, UpgradeStep


def step_names(plan: UpgradePlan) -> list[str]:
    """The name of each step's folder: its number first, so that they sort."""
    width = len(str(len(plan.steps)))
    return [f"{number:0{width}}-{'-'.join(_marks(step))}" for number, step in enumerate(plan.steps, 1)]


def _marks(step: UpgradeStep) -> Iterator[str]:
    yield step.version
    if step.target_migration is not None:
        yield step.target_migration
    if step.schema_mode is not None and not step.migrates:
        yield step.schema_mode


def runbook(plan: UpgradePlan, props: SpiceDBProps) -> str:
    """The README's text, Markdown."""
    plan = evolve(plan, steps=tuple(_as_rendered(plan, props)))
    title = f"<!-- {MARK} -->\n# {props.name}: SpiceDB {plan.current} to {plan.target} on {plan.engine}\n"
    if not plan.steps:
        return f"{title}\nThere is nothing to do.\n"
    parts = [_opening(plan, props), _steps(plan, props), _further_back(plan, props), _failure(props)]
    return "\n".join([title, *chain.from_iterable(parts)])


def _as_rendered(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[UpgradeStep]:
    """The steps with what the props' own choice of allowed migrations makes of them."""
    chosen, known = props.server.allowed_migrations, props.releases.engines.get(plan.engine)
    version, phase = plan.current, None
    for step in plan.steps:
        back = step.rolls_back
        if chosen is not None and known is not None and back is not None and step.migrates:
            back = step.revision in {*known.starts_on(version, phase), *chosen}
        yield evolve(step, allowed_migrations=props.at(step).allowed_migrations, rolls_back=back)
        version, phase = step.version, step.datastore_migration_phase


def _opening(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    yield "Each folder here is a Helm chart. Install them over the running release in their order, each when the one"
    yield "before it is checked, and all of them: a plan that was begun is not planned anew."
    if props.migrates:
        yield "Every step migrates the datastore first; then its servers replace those before them, one at a time.\n"
    elif props.datastore.migrates:
        yield "The charts do not migrate (`MigrationProps.enabled`): migrate to a step's revision before you run it.\n"
    else:
        yield ""
    yield from (f"- **Note**: {warning}." for warning in plan.warnings)
    if plan.warnings:
        yield ""
    yield "In this folder, say once which release it is, and in which namespace:\n"
    yield f"    export RELEASE={props.name} NAMESPACE=default\n"
    yield "Have a backup of the datastore: a schema only goes forward.\n" if props.datastore.migrates else ""


def _steps(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    before = plan.current
    for number, (name, step) in enumerate(zip(step_names(plan), plan.steps, strict=True), 1):
        yield f"## {number}. {name.split('-', 1)[1]}\n"
        yield f"{step.why[0].upper()}{step.why[1:]}.\n"
        yield from _facts(step, props)
        yield from (f"- **Before you begin**: {caution}." for caution in step.cautions)
        yield "\nRun:\n"
        yield f'    helm upgrade "$RELEASE" ./{name} --namespace "$NAMESPACE" {_wait(props)}\n'
        yield "Before the next step, see that all servers run it and are ready, and that none from before is left;"
        yield "while it drains, it serves as before:\n"
        yield from _settled(props)
        yield from _way_back(step, before, props, number)
        before = step.version


def _settled(props: SpiceDBProps) -> Iterator[str]:
    """Waits until the servers are those of the step, and alone."""
    patience = props.server.termination_seconds + 60
    leaving = "{range .items[?(@.metadata.deletionTimestamp)]}pod/{.metadata.name} {end}"
    yield f'    kubectl rollout status deployment/{props.name} --namespace "$NAMESPACE" --timeout 60s'
    yield '    kubectl get pods --namespace "$NAMESPACE" \\'
    yield f"      --selector {selector_text(props.name, Component.SERVER)} \\"
    yield f"      --output jsonpath='{leaving}' |"
    yield f'      xargs -r kubectl wait --namespace "$NAMESPACE" --for delete --timeout {patience}s'
    yield f'    kubectl get deployment {props.name} --namespace "$NAMESPACE" --output wide\n'


def _facts(step: UpgradeStep, props: SpiceDBProps) -> Iterator[str]:
    if step.migrates:
        yield f"- {'Migrates' if props.migrates else 'Migrate by yourself'} to `{step.revision or 'head'}`."
    elif props.migrates:
        at = f" at `{step.revision}`" if step.revision else ""
        yield f"- The schema stays{at}; the migration runs and has nothing to do."
    if step.datastore_migration_phase is not None:
        yield f"- Servers run with `--datastore-migration-phase={step.datastore_migration_phase}`."
    if step.schema_mode is not None:
        yield f"- Servers run with `--experimental-schema-mode={step.schema_mode}`."
    if step.allowed_migrations:
        yield f"- Servers also start on `{'`, `'.join(step.allowed_migrations)}`, for a rollback to this step."


def _way_back(step: UpgradeStep, before: str, props: SpiceDBProps, number: int) -> Iterator[str]:
    if step.rolls_back is False:
        yield f"No way back by Helm: {before} does not start on `{step.revision}`, and no migration goes back. Should"
        yield "it be needed, restore the backup, then roll back.\n"
        return
    chart = f"{props.name}-{number - 1}.0.0" if number > 1 else "what ran before"
    yield "To go back from it (nothing migrates: hooks do not run on a rollback, and the schema stays), name the"
    yield f"revision of {chart} that was deployed last; Helm by itself takes the one before, a failed attempt too:\n"
    yield '    helm history "$RELEASE" --namespace "$NAMESPACE"'
    yield f'    helm rollback "$RELEASE" REVISION --namespace "$NAMESPACE" {_wait(props)}\n'
    if number == 1 and step.migrates and step.rolls_back:
        yield f"It turns ready where those servers were told `--datastore-allowed-migrations={step.revision}`, as this"
        yield "package tells the ones that it renders.\n"
    if step.rolls_back is None:
        yield f"Whether {before} starts on the newer schema is not known: try it where it does no harm.\n"


def _further_back(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    if len(plan.steps) == 1:
        return
    yield "## Going back further\n"
    yield "One step at a time, in the same way, and no further than the steps above say. The number of a step is its"
    yield "chart's version in the history.\n"
    if any(step.schema_mode == "read-new-write-new" for step in plan.steps):
        yield "From `read-new-write-new` go to `read-new-write-both`, and write the schema again there when no server"
        yield "from before is left: the old tables miss what was written since. Then go on.\n"


def _failure(props: SpiceDBProps) -> Iterator[str]:
    yield "## When a step fails\n"
    yield "When Helm was killed and now says `another operation … is in progress`, go back to the revision that was"
    yield "deployed last, as above, and run the step again.\n"
    if not props.migrates:
        return
    yield "Helm's own output ends with the migration's log; the servers before it go on serving. What is left of it:\n"
    yield f'    kubectl describe job {props.name}-migration --namespace "$NAMESPACE"'
    yield f'    kubectl logs job/{props.name}-migration --namespace "$NAMESPACE"\n'
    yield "Mend the reason and run the same step again: a migration goes on where it stopped."
    yield ""


def _wait(props: SpiceDBProps) -> str:
    return f"--wait --timeout {props.migration.helm_timeout}"
