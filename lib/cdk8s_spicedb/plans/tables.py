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
    WAY_BACK,
    allowed,
    assumption,
    limit_sentence,
    old_servers,
    restore,
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
        yield f"\n{line}"
        if number:
            yield from _notes(plan, plan.steps[number - 1], width, indent=lines[0].index(_HEADINGS[1]))
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


def _row(number: int, step: UpgradeStep, code: str = "{}", head: str = "head", between: str = " ") -> tuple[str, ...]:
    """The cells of a step. ``code`` surrounds what is code in Markdown."""
    revision = (code.format(step.revision) if step.revision else head) if step.migrates else "-"
    flags = between.join(map(code.format, settings(step)))
    return str(number), step.version, revision, flags or "-", WAY_BACK[step.rolls_back]


def _notes(plan: UpgradePlan, step: UpgradeStep, width: int, indent: int) -> Iterator[str]:
    notes = [step.why, *time_sentences(step), *limit_sentence(step)]
    notes += [restore(plan)] if step.rolls_back is False else []
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
    steps = list(enumerate(plan.steps, 1))
    yield f"### SpiceDB {plan.current} → {plan.target} on {plan.engine}\n"
    if not steps:
        yield "Nothing to do."
    else:
        order = f"{len(steps)} steps, in this order. Each one is a rolling update: wait until it is done"
        summary = "One step" if len(steps) == 1 else order
        yield f"{summary}. [Release notes of {plan.target}]({_RELEASE}{plan.target}).\n"
        rows = (_row(number, step, code="`{}`", head="its head", between="<br>") for number, step in steps)
        for cells in (_MARKDOWN_HEADINGS, ["---"] * len(_MARKDOWN_HEADINGS), *rows):
            yield f"| {' | '.join(cells)} |"
        yield ""
        yield from _rollback(plan)
        times = [(number, text) for number, step in steps for text in (*time_sentences(step), *limit_sentence(step))]
        yield from _list("How long the migrations take, and who waits", times)
        if times and plan.relationships:
            yield f"\n{_sentence(assumption(plan))}"
        yield from _list("Before you begin", [(number, text) for number, step in steps for text in step.cautions])
    for warning in plan.warnings:
        yield f"\n> [!WARNING]\n> {_sentence(warning)}"
    if steps:
        yield "\n<details><summary>Why each step</summary>\n"
        yield from (f"{number}. {_sentence(step.why)}" for number, step in steps)
        yield "\n</details>"


def _rollback(plan: UpgradePlan) -> Iterator[str]:
    """What cannot be undone."""
    risky = [(number, step) for number, step in enumerate(plan.steps, 1) if not step.rolls_back]
    for number, step in risky:
        verdict, reason = rollback(step, f"step {number}"), old_servers(step, plan.before(number), code=True)
        yield f"- **{sentence(verdict)[:-1]}:** {reason}."
    if risky:
        ways = [restore(plan)] if any(step.rolls_back is False for _, step in risky) else []
        yield f"\n{' '.join([f'**{sentence(BACKUP)}**', *map(sentence, ways)])}\n"
    if any(step.migrates for step in plan.steps):
        yield "A rollback changes the servers. The datastore schema stays as it is, because it only goes forward."
    else:
        yield "The datastore schema does not change."


def _list(heading: str, notes: Sequence[tuple[int, str]]) -> Iterator[str]:
    """What there is to say about steps, by their numbers."""
    if notes:
        yield f"\n**{heading}**\n"
        yield from (f"- Step {number}: {_sentence(text, capital=False)}" for number, text in notes)


def _sentence(text: str, *, capital: bool = True) -> str:
    """A sentence in which Markdown changes nothing but the names of revisions and settings, which become code."""
    text = re.sub(r"([\\<>|*\[\]])", r"\\\1", text)
    text = re.sub(r"(?<![\w`/-])(--[a-z][-a-z=]*|[a-z]+(?:_[a-z]+)+|migration\.[a-zA-Z]+)(?![\w`-])", r"`\1`", text)
    # A version stays as it is.
    first = text[0].upper() if capital and text[1].isalpha() else text[0]
    return f"{first}{text[1:].rstrip('.')}."
