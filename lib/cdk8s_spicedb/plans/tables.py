"""The table that ``cdk8s-spicedb plan`` prints."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from ..props.flags import arguments
from ..props.server import MIGRATION_PHASE, SCHEMA_MODE
from ..text import columns, count
from .plan import UpgradePlan, UpgradeStep
from .words import (
    ASK,
    BACKUP,
    ROLLBACK,
    allowed,
    assumption,
    limit_sentence,
    old_servers,
    rollback,
    sentence,
    time_sentences,
)

_HEADINGS = ("#", "VERSION", "MIGRATES TO", "SERVERS RUN WITH", "ROLLBACK")


def table(plan: UpgradePlan, width: int = 100) -> str:
    """The steps of a plan in columns, each with its notes below, then the warnings. Wraps text at ``width``."""
    return "\n".join(_lines(plan, width))


def _lines(plan: UpgradePlan, width: int) -> Iterator[str]:
    steps = count(len(plan.steps), "step") if plan.steps else "nothing to do"
    yield f"{plan.engine} {plan.current} to {plan.target}: {steps}"
    lines = columns([_HEADINGS, *(_row(number, step) for number, step in enumerate(plan.steps, 1))])
    for number, line in enumerate(lines if plan.steps else []):
        yield ""
        yield line
        if number:
            yield from _notes(plan.steps[number - 1], width, indent=lines[0].index(_HEADINGS[1]))
    for warning in plan.warnings:
        yield ""
        yield from textwrap.wrap(f"Warning: {warning}.", width, subsequent_indent="  ", break_on_hyphens=False)
    if any(step.estimates for step in plan.steps):
        yield ""
        note = assumption(plan) if plan.relationships else ASK
        yield from textwrap.wrap(sentence(note), width, break_on_hyphens=False)


def settings(step: UpgradeStep) -> list[str]:
    """The arguments that servers need in a step."""
    return arguments({MIGRATION_PHASE: step.datastore_migration_phase, SCHEMA_MODE: step.schema_mode})


def _row(number: int, step: UpgradeStep) -> tuple[str, ...]:
    revision = (step.revision or "head") if step.migrates else "-"
    return str(number), step.version, revision, " ".join(settings(step)) or "-", ROLLBACK[step.rolls_back]


def _notes(step: UpgradeStep, width: int, indent: int) -> Iterator[str]:
    notes = [step.why, *time_sentences(step), *limit_sentence(step)]
    notes += [f"Before this step: {caution}" for caution in step.cautions]
    if step.allowed_migrations:
        notes.append(allowed(step))
    margin = " " * indent
    for note in notes:
        yield from textwrap.wrap(
            sentence(note), width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )


_MARKDOWN_HEADINGS = ("Step", "SpiceDB", "Migrates the datastore to", "Servers run with", "Rollback")
_RELEASE = "https://github.com/authzed/spicedb/releases/tag/"


def markdown(plan: UpgradePlan) -> str:
    """A heading, the table of steps, rollbacks, times, what to do before the steps, and the warnings."""
    return "\n".join(_markdown_lines(plan))


def _markdown_lines(plan: UpgradePlan) -> Iterator[str]:
    yield f"### SpiceDB {plan.current} → {plan.target} on {plan.engine}"
    yield ""
    if not plan.steps:
        yield "Nothing to do."
    else:
        yield f"{_count(plan.steps)}. [Release notes of {plan.target}]({_RELEASE}{plan.target})."
        yield ""
        yield _markdown_row(_MARKDOWN_HEADINGS)
        yield _markdown_row(["---"] * len(_MARKDOWN_HEADINGS))
        yield from (_markdown_row(_cells(number, step)) for number, step in enumerate(plan.steps, 1))
        yield ""
        yield from _rollback(plan)
        yield from _times(plan)
        yield from _before(plan.steps)
    for warning in plan.warnings:
        yield ""
        yield "> [!WARNING]"
        yield f"> {_sentence(warning)}"
    if plan.steps:
        yield ""
        yield "<details><summary>Why each step</summary>"
        yield ""
        yield from (f"{number}. {_sentence(step.why)}" for number, step in enumerate(plan.steps, 1))
        yield ""
        yield "</details>"


def _count(steps: Sequence[UpgradeStep]) -> str:
    if len(steps) == 1:
        return "One step"
    return f"{len(steps)} steps, in this order. Each one is a rolling update: wait until it is done"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(number: int, step: UpgradeStep) -> tuple[str, ...]:
    revision = (f"`{step.revision}`" if step.revision else "its head") if step.migrates else "-"
    flags = "<br>".join(f"`{flag}`" for flag in settings(step))
    return str(number), step.version, revision, flags or "-", ROLLBACK[step.rolls_back]


def _rollback(plan: UpgradePlan) -> Iterator[str]:
    """What cannot be undone."""
    risky = [(number, step) for number, step in enumerate(plan.steps, 1) if not step.rolls_back]
    for number, step in risky:
        verdict, reason = rollback(step, f"step {number}"), old_servers(step, plan.before(number), code=True)
        yield f"- **{sentence(verdict)[:-1]}:** {reason}."
    if risky:
        yield ""
        yield f"**{sentence(BACKUP)}**"
        yield ""
    if any(step.migrates for step in plan.steps):
        yield "A rollback changes the servers. The datastore schema stays as it is, because it only goes forward."
    else:
        yield "The datastore schema does not change."


def _times(plan: UpgradePlan) -> Iterator[str]:
    """How long the migrations take, and who waits."""
    steps = enumerate(plan.steps, 1)
    texts = [(number, text) for number, step in steps for text in (*time_sentences(step), *limit_sentence(step))]
    if texts:
        yield ""
        yield "**How long the migrations take, and who waits**"
        yield ""
        yield from (f"- Step {number}: {_sentence(text, capital=False)}" for number, text in texts)
        if plan.relationships:
            yield ""
            yield _sentence(assumption(plan))


def _before(steps: Sequence[UpgradeStep]) -> Iterator[str]:
    """What to know or to do before the steps."""
    cautions = [(number, caution) for number, step in enumerate(steps, 1) for caution in step.cautions]
    if cautions:
        yield ""
        yield "**Before you begin**"
        yield ""
        yield from (f"- Step {number}: {_sentence(caution, capital=False)}" for number, caution in cautions)


def _sentence(text: str, *, capital: bool = True) -> str:
    """A sentence in which Markdown changes nothing but the names of revisions and settings, which become code."""
    text = re.sub(r"([\\<>|*\[\]])", r"\\\1", text)
    text = re.sub(r"(?<![\w`/-])(--[a-z][-a-z=]*|[a-z]+(?:_[a-z]+)+)(?![\w`-])", r"`\1`", text)
    # A version stays as it is.
    first = text[0].upper() if capital and text[1].isalpha() else text[0]
    return f"{first}{text[1:].rstrip('.')}."
