"""The table that ``cdk8s-spicedb plan`` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .estimates import ASK, assumption, limit_sentence, sentence, time_sentences
from .plan import UpgradePlan, UpgradeStep

_HEADINGS = ("#", "VERSION", "MIGRATES TO", "SERVERS RUN WITH", "ROLLBACK")
_ROLLBACK = {True: "ready", False: "not ready", None: "unknown"}


def table(plan: UpgradePlan, width: int = 100) -> str:
    """The steps of a plan in columns, each with its notes below, then the warnings. Wraps text at ``width``."""
    return "\n".join(_lines(plan, width))


def _lines(plan: UpgradePlan, width: int) -> Iterator[str]:
    count = len(plan.steps)
    steps = f"{count} step{'s' if count > 1 else ''}" if count else "nothing to do"
    yield f"{plan.engine} {plan.current} to {plan.target}: {steps}"
    rows = [_HEADINGS, *(_row(number, step) for number, step in enumerate(plan.steps, 1))]
    columns = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for number, row in enumerate(rows if count else []):
        yield ""
        yield "  ".join(cell.ljust(column) for cell, column in zip(row, columns, strict=True)).rstrip()
        if number:
            yield from _notes(plan.steps[number - 1], width, indent=columns[0] + 2)
    for warning in plan.warnings:
        yield ""
        yield from textwrap.wrap(f"Warning: {warning}.", width, subsequent_indent="  ", break_on_hyphens=False)
    if any(step.estimates for step in plan.steps):
        yield ""
        note = assumption(plan) if plan.relationships else ASK
        yield from textwrap.wrap(sentence(note), width, break_on_hyphens=False)


def settings(step: UpgradeStep) -> list[str]:
    """The arguments that servers need in a step."""
    flags = {
        "datastore-migration-phase": step.datastore_migration_phase,
        "experimental-schema-mode": step.schema_mode,
    }
    return [f"--{flag}={value}" for flag, value in flags.items() if value is not None]


def _row(number: int, step: UpgradeStep) -> tuple[str, ...]:
    revision = (step.revision or "head") if step.migrates else "-"
    return str(number), step.version, revision, " ".join(settings(step)) or "-", _ROLLBACK[step.rolls_back]


def _notes(step: UpgradeStep, width: int, indent: int) -> Iterator[str]:
    notes = [step.why, *time_sentences(step), *limit_sentence(step)]
    notes += [f"Before this step: {caution}" for caution in step.cautions]
    if step.allowed_migrations:
        notes.append(f"Servers also start on {', '.join(step.allowed_migrations)}, for a rollback to this step")
    margin = " " * indent
    for note in notes:
        yield from textwrap.wrap(
            sentence(note), width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )
