"""The text of ``cdk8s-spicedb status``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from rich.console import Group
from rich.text import Text

from ..delivery import Applier
from ..live.status import Status, Summary
from ..live.workload import Migration, MigrationState, RolloutState
from ..text import columns, count

_GOOD, _BAD, _BUSY, _FAINT = "green", "bold red", "yellow", "dim"
_COLUMN = 15
_MOST_WARNINGS = 5
_LONGEST = 400
_DAYS = 30

Line = tuple[str, str, str]
"""Heading, text and style."""


def table(found: Sequence[Summary]) -> Text:
    """Several SpiceDBs, one in each line."""
    headings = ("NAMESPACE", "NAME", "VERSION", "ENGINE", "READY", "STATE", "APPLIED BY")
    lines = columns([headings, *(_row(each) for each in found)])
    styles = ["bold", *("" if each.healthy else _BAD for each in found)]
    text = Text("\n", no_wrap=True).join(Text(line, style) for line, style in zip(lines, styles, strict=True))
    text.no_wrap, text.overflow = True, "ignore"
    return text


def _row(each: Summary) -> tuple[str, ...]:
    applier = _applier(each.applier, each.applied_as)
    ready = f"{each.ready}/{each.replicas}"
    return each.namespace, each.name, each.version or "?", each.engine or "?", ready, each.state, applier


def line(found: Status) -> str:
    """One SpiceDB in one line, for a log."""
    parts = [f"{found.ready} of {found.replicas} ready", *_rollout_words(found)]
    versions = sorted({pod.version or "?" for pod in found.pods})
    parts.append(" and ".join(versions) or "no servers")
    if found.migration and found.migration.state is not MigrationState.NONE:
        parts.append(f"migration {found.migration.state.value}")
    parts += [f"{pod.name}: {pod.reason}" for pod in found.pods if pod.reason and not pod.terminating]
    if found.upgrade:
        parts.append(found.upgrade)
    return "; ".join(["healthy" if found.healthy else "not healthy", *parts])


def _rollout_words(found: Status) -> Iterator[str]:
    if found.rollout:
        yield f"roll-out {found.rollout.state.value}"
    draining = sum(pod.terminating for pod in found.pods)
    if draining:
        yield f"{draining} draining"


def details(found: Status, width: int | None = None) -> Group:
    """One SpiceDB. ``width`` is that of a terminal, whose lines wrap."""
    head = Text(f"{found.name} in namespace {found.namespace}: ", "bold")
    head.append("healthy" if found.healthy else "not healthy", _GOOD if found.healthy else _BAD)
    lines = [_line(*each, width) for each in _lines(found)]
    return Group(head, *lines)


def _line(heading: str, text: str, style: str, width: int | None) -> Text:
    if width is not None:
        indent = " " * (_COLUMN + 2)
        text = f"\n{indent}".join(textwrap.wrap(text, max(width - len(indent), 40), break_on_hyphens=False))
    return Text.assemble((f"  {heading:<{_COLUMN}}", "bold"), (text, style))


def _lines(found: Status) -> Iterator[Line]:
    yield from _under("Problems", found.problems, _BAD)
    if found.version or found.engine:
        yield "Runs", f"SpiceDB {found.version or '(unknown version)'} on {found.engine or 'an unknown engine'}", ""
    yield "Applied by", _applied_by(found), ""
    yield from _servers(found)
    if found.migration is not None:
        yield from _migration(found.migration)
    yield from _settings(found)
    if found.upgrade:
        yield "Upgrade", found.upgrade, _BUSY
    yield from _drift(found)
    yield from _certificates(found)
    yield from _warnings(found)
    yield from _under("Unknown", found.unknown, _BUSY)


def _under(heading: str, texts: Sequence[str], style: str) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield heading if number == 0 else "", _short(text), style


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
    yield "Servers", f"{found.ready} of {found.replicas} ready", _GOOD if good else _BAD
    state = found.rollout.state
    style = {RolloutState.DONE: _GOOD, RolloutState.STUCK: _BAD}.get(state, _BUSY)
    message = f": {found.rollout.message}" if state is not RolloutState.DONE and found.rollout.message else ""
    yield "Roll-out", f"{state.value}{_short(message)}", style
    for number, pod in enumerate(found.pods):
        word = "draining" if pod.terminating else "ready" if pod.ready else "not ready"
        restarts = f", {count(pod.restarts, 'restart')}" if pod.restarts else ""
        reason = f": {_short(pod.reason)}" if pod.reason and not pod.terminating else ""
        text = f"{pod.name}  {pod.version or '?'}  {word}{restarts}, {age(pod.started)} old{reason}"
        yield "" if number else "Pods", text, "" if pod.ready else _BUSY if pod.terminating else _BAD


def _migration(migration: Migration) -> Iterator[Line]:
    if migration.state is MigrationState.NONE:
        yield "Migration", "no Job found: the clean-up deletes it after it succeeds", _FAINT
        return
    style = {MigrationState.FAILED: _BAD, MigrationState.SUCCEEDED: _GOOD}.get(migration.state, _BUSY)
    when = f", {age(migration.ended or migration.started or '')} ago" if migration.started else ""
    target = f" to {migration.target} of {migration.version}" if migration.target else ""
    yield "Migration", f"{migration.state.value}{target} (Job {migration.job}{when})", style
    if migration.reason:
        yield "", _short(migration.reason), style
    yield from (("", f"log: {_short(each)}", _FAINT) for each in migration.log)


def _settings(found: Status) -> Iterator[Line]:
    if found.schema_mode:
        yield "Schema mode", found.schema_mode, ""
    if found.migration_phase:
        yield "Phase", f"datastore migration phase {found.migration_phase}", ""
    if found.allowed_migrations:
        yield "Also starts on", ", ".join(found.allowed_migrations), _FAINT
    if found.revision:
        yield "Datastore", f"at revision {found.revision}", ""


def _drift(found: Status) -> Iterator[Line]:
    if found.drift is None:
        yield "Drift", "not compared; add --drift", _FAINT
    elif not found.drift.known:
        yield "Drift", f"unknown: {found.drift.reason}", _BUSY
    elif not found.drift.objects:
        yield "Drift", "none: the objects are as released", _GOOD
    else:
        for number, each in enumerate(found.drift.objects):
            yield "" if number else "Drift", f"{each.kind} {each.name} {each.change.value} since the release", _BUSY
            for field in each.fields if each.change.value == "changed" else ():
                yield "", _short(f"  {field.path}: {value(field.before)} -> {value(field.after)}"), _BUSY


def _certificates(found: Status) -> Iterator[Line]:
    if found.certificates is None:
        if found.rollout:
            yield "Certificates", "not read; add --certificates", _FAINT
        return
    if not found.certificates:
        yield "Certificates", "none", _FAINT
    for number, each in enumerate(found.certificates):
        place, heading = f"{each.secret}/{each.key}", "" if number else "Certificates"
        if each.days is None:
            yield heading, f"{place}: {each.reason}", _BUSY
        else:
            style = _BAD if each.days < 0 else _BUSY if each.days < _DAYS else _GOOD
            yield heading, f"{place}: expires {each.ends}, in {each.days} days ({each.subject})", style


def _warnings(found: Status) -> Iterator[Line]:
    for number, each in enumerate(found.warnings[:_MOST_WARNINGS]):
        times = f" ({each.count} times)" if each.count > 1 else ""
        text = _short(f"{each.subject}: {each.reason}: {each.message}")
        yield "" if number else "Warnings", f"{age(each.last)} ago, {text}{times}", _BUSY
    more = len(found.warnings) - _MOST_WARNINGS
    if more > 0:
        yield "", f"and {more} more in the last hour; see --output json", _FAINT


def value(part: Any) -> str:
    """A value in a line of text."""
    return "(not set)" if part is None else part if isinstance(part, str) and part else str(part) or "(set)"


def age(moment: str) -> str:
    """The time since a moment, in the largest unit."""
    if not moment:
        return "?"
    seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"
