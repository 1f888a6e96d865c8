"""The text of ``cdk8s-spicedb status``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..delivery import Applier
from ..live.pods import Pod
from ..live.status import Status, Summary
from ..live.workload import Migration, MigrationState, RolloutState
from ..text import age, columns, count
from ..versions import by_weight
from .output import BAD, BUSY, FAINT, GOOD, styled, visible

if TYPE_CHECKING:
    from rich.text import Text

_COLUMN = 15
_MOST_WARNINGS = 5
_LONGEST = 400
_DAYS = 30

Line = tuple[str, str, str]
"""Heading, text and style."""


def table(found: Sequence[Summary]) -> list[Text]:
    """Several SpiceDBs, one in each line."""
    headings = ("NAMESPACE", "NAME", "VERSION", "ENGINE", "READY", "STATE", "APPLIED BY")
    lines = columns([headings, *map(_row, found)])
    styles = ["bold", *("" if each.healthy else BAD for each in found)]
    return [styled(line, style=style) for line, style in zip(lines, styles, strict=True)]


def _row(each: Summary) -> tuple[str, ...]:
    applier = _applier(each.applier, each.applied_as)
    ready = f"{each.ready}/{each.replicas}"
    return each.namespace, each.name, each.version or "?", each.engine or "?", ready, each.state, applier


_DRAINS, _LOST = "draining", "lost"


def _word(pod: Pod) -> str:
    """What a server does, in a word."""
    if pod.terminating:
        return _LOST if pod.lost else _DRAINS
    return "ready" if pod.ready else "not ready"


def line(found: Status) -> str:
    """One SpiceDB in one line, for a log."""
    parts = ["healthy" if found.healthy else "not healthy", f"{found.ready} of {found.replicas} ready"]
    if found.rollout:
        parts.append(f"roll-out {found.rollout.state.value}")
    words = [_word(pod) for pod in found.pods]
    parts += [f"{words.count(word)} {word}" for word in (_DRAINS, _LOST) if word in words]
    parts.append(" and ".join(sorted({pod.version or "?" for pod in found.pods})) or "no servers")
    if found.migration and found.migration.state is not MigrationState.NONE:
        parts.append(f"migration {found.migration.state.value}")
    parts += [f"{pod.name}: {pod.reason}" for pod in found.pods if pod.reason and _word(pod) != _DRAINS]
    if found.upgrade:
        parts.append(found.upgrade)
    return "; ".join(parts).replace("\n", " ")


def details(found: Status, width: int | None = None) -> list[Text]:
    """One SpiceDB. ``width`` is that of a terminal, whose lines wrap."""
    state = ("healthy", GOOD) if found.healthy else ("not healthy", BAD)
    head = styled((f"{found.name} in namespace {found.namespace}: ", "bold"), state)
    return [head, *_below(_lines(found), width)]


def _below(lines: Iterable[Line], width: int | None) -> Iterator[Text]:
    """Lines in two columns. Lines with the same heading share it."""
    last = ""
    for heading, text, style in lines:
        parts = [text]
        if width is not None:
            parts = textwrap.wrap(visible(text), max(width - _COLUMN - 2, 40), break_on_hyphens=False)
        for part in parts:
            yield styled((f"  {'' if heading == last else heading:<{_COLUMN}}", "bold"), (part, style))
            last = heading


def _lines(found: Status) -> Iterator[Line]:
    yield from (("Problems", _short(text), BAD) for text in found.problems)
    if found.version or found.engine:
        yield "Runs", _runs(found), ""
    yield from _known_faults(found)
    yield "Applied by", _applied_by(found), ""
    yield from _servers(found)
    if found.migration is not None:
        yield from _migration(found.migration)
    yield from _settings(found)
    if found.upgrade:
        yield "Upgrade", found.upgrade, BUSY
    if found.install:
        yield "Install", found.install, BUSY
    yield from _drift(found)
    yield from _certificates(found)
    yield from _warnings(found)
    yield from (("Unknown", _short(text), BUSY) for text in found.unknown)


def _runs(found: Status) -> str:
    """What serves, and what is to serve after the roll-out."""
    wanted = found.version or "(unknown version)"
    serving = {pod.version for pod in found.pods if pod.ready and not pod.terminating and pod.version}
    older = " and ".join(sorted(serving - {wanted}))
    text = f"SpiceDB {older or wanted} on {found.engine or 'an unknown engine'}"
    return f"{text}; the roll-out to {wanted} is not done" if older else text


def _known_faults(found: Status) -> Iterator[Line]:
    outstanding, others = by_weight(found.advisories)
    for each in outstanding:
        yield "Known faults", _short(f"{each.text}; {each.fix}"), BUSY
    if others:
        yield "Known faults", _short(f"of low severity, or only with some settings: {', '.join(others)}"), FAINT


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _applied_by(found: Status) -> str:
    text = _applier(found.applier, found.applied_as)
    if found.helm:
        release = "" if found.applier and found.applier.keeps_history else f", Helm release {found.helm.release}"
        text += f"{release}, revision {found.helm.revision} ({found.helm.status})"
    return text if found.ours else f"{text}; this package did not make it, so only part is known"


def _applier(applier: Applier | None, name: str | None) -> str:
    return applier.of(name) if applier else "nothing yet"


def _servers(found: Status) -> Iterator[Line]:
    if found.rollout is None:
        return
    good = found.ready >= found.replicas
    yield "Servers", f"{found.ready} of {found.replicas} ready", GOOD if good else BAD
    state = found.rollout.state
    style = {RolloutState.DONE: GOOD, RolloutState.STUCK: BAD}.get(state, BUSY)
    message = f": {found.rollout.message}" if state is not RolloutState.DONE and found.rollout.message else ""
    yield "Roll-out", f"{state.value}{_short(message)}", style
    for pod in found.pods:
        restarts = f", {count(pod.restarts, 'restart')}" if pod.restarts else ""
        reason = f": {_short(pod.reason)}" if pod.reason and _word(pod) != _DRAINS else ""
        text = f"{pod.name}  {pod.version or '?'}  {_word(pod)}{restarts}, {age(pod.started)} old{reason}"
        yield "Pods", text, "" if pod.ready else BUSY if pod.terminating else BAD


def _migration(migration: Migration) -> Iterator[Line]:
    if migration.state is MigrationState.NONE:
        yield "Migration", "no Job found: a Job is deleted some time after it succeeds", FAINT
        return
    style = {MigrationState.FAILED: BAD, MigrationState.SUCCEEDED: GOOD}.get(migration.state, BUSY)
    when = f", {age(migration.ended or migration.started or '')} ago" if migration.started else ""
    target = f" to {migration.target} of {migration.version}" if migration.target else ""
    yield "Migration", f"{migration.state.value}{target} (Job {migration.job}{when})", style
    if migration.reason:
        yield "Migration", _short(migration.reason), style
    yield from (("Migration", f"log: {_short(each)}", FAINT) for each in migration.log)


def _settings(found: Status) -> Iterator[Line]:
    if found.schema_mode:
        yield "Schema mode", found.schema_mode, ""
    if found.migration_phase:
        yield "Phase", f"datastore migration phase {found.migration_phase}", ""
    if found.allowed_migrations:
        yield "Also starts on", ", ".join(found.allowed_migrations), FAINT
    if found.revision:
        yield "Datastore", f"at revision {found.revision}", ""


def _drift(found: Status) -> Iterator[Line]:
    if found.drift is None:
        yield "Drift", "not compared; add --drift", FAINT
    elif not found.drift.known:
        yield "Drift", f"unknown: {found.drift.reason}", BUSY
    elif not found.drift.objects:
        yield "Drift", "none: the objects are as released", GOOD
    else:
        for each in found.drift.objects:
            yield "Drift", f"{each.kind} {each.name} {each.change.value} since the release", BUSY
            for field in each.fields if each.change.value == "changed" else ():
                yield "Drift", _short(f"  {field.path}: {_value(field.before)} -> {_value(field.after)}"), BUSY


def _certificates(found: Status) -> Iterator[Line]:
    if found.certificates is None:
        if found.rollout:
            yield "Certificates", "not read; add --certificates", FAINT
        return
    if not found.certificates:
        yield "Certificates", "none", FAINT
    for each in found.certificates:
        place = f"{each.secret}/{each.key}"
        if each.days is None:
            yield "Certificates", f"{place}: {each.reason}", BUSY
        else:
            style = BAD if each.days < 0 else BUSY if each.days < _DAYS else GOOD
            yield "Certificates", f"{place}: expires {each.ends}, in {each.days} days ({each.subject})", style


def _warnings(found: Status) -> Iterator[Line]:
    for each in found.warnings[:_MOST_WARNINGS]:
        times = f" ({each.count} times)" if each.count > 1 else ""
        text = _short(f"{each.subject}: {each.reason}: {each.message}")
        yield "Warnings", f"{age(each.last)} ago, {text}{times}", BUSY
    more = len(found.warnings) - _MOST_WARNINGS
    if more > 0:
        yield "Warnings", f"and {more} more in the last hour; see --output json", FAINT


def _value(part: Any) -> str:
    return "(not set)" if part is None else str(part) or "(set)"
