"""Findings about the revision of a schema, and about the time that its migrations take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...releases import Estimate, Waits, duration, in_words
from ...upgrades.limit import short_limit
from ..finding import Finding
from .report import Question

REVISION = "Database revision"
_LONG_SECONDS = 5


def revision_findings(question: Question, revision: str | None) -> Iterator[Finding]:
    """What the revision means for the coming migrations."""
    known, target = question.releases.revisions, question.target
    if revision is None:
        yield Finding.ok(REVISION, "the database has no schema of SpiceDB; the migration creates it")
    elif revision not in known:
        yield Finding.failure(
            REVISION,
            f"{revision} is not known: it comes from a fork, or from a newer release that this package does not know",
            "use a newer version of this package, or describe the release in a file, and pass it with --releases",
        )
    elif target is None:
        text = f"{revision}; the migrations of {question.version} are not known"
        yield Finding.warning(REVISION, text, "describe the release in a file, and pass it with --releases")
    elif known.index(revision) > known.index(target):
        yield _ahead(question, revision, target)
    else:
        pending = len(question.pending(revision))
        yield Finding.ok(REVISION, f"{revision}; {pending} migrations to {target}" if pending else revision)


def _ahead(question: Question, revision: str, target: str) -> Finding:
    props, text = question.props, f"{revision} is newer than {target}, to which {question.version} migrates"
    step = question.steps[-1] if question.steps else None
    phase = step.datastore_migration_phase if step else props.server.datastore_migration_phase
    allowed = step.allowed_migrations if step else props.server.allowed_migrations
    starts = props.releases.starts_on(props.datastore.engine, question.version, phase) | set(allowed or ())
    if revision not in starts:
        fix = f"use a release of SpiceDB that knows {revision}: migrations cannot be undone"
        return Finding.failure(REVISION, f"{text}, and its servers do not start on it", fix)
    fix = "set migration.enabled to false, unless you go back with `helm rollback`, which does not migrate"
    if not props.migration.enabled:
        return Finding.ok(REVISION, f"{text}; its servers start on it")
    return Finding.warning(REVISION, f"{text}; its servers start on it, but its migration fails on it", fix)


def estimates(question: Question, revision: str | None, rows: Mapping[str, int]) -> Sequence[Estimate]:
    """How long the coming migrations should take."""
    pending = question.pending(revision)
    return question.releases.estimate(revision, pending[-1], rows) if pending else ()


def estimate_findings(
    question: Question, revision: str | None, found: Sequence[Estimate], sizes: Mapping[str, int]
) -> Iterator[Finding]:
    """How long each migration takes, and whether each Job ends in time. ``sizes`` are bytes with indexes, by table."""
    for estimate in found:
        if estimate.seconds >= _LONG_SECONDS:
            yield _long(estimate, sizes.get(estimate.table))
    short = [estimate for estimate in found if estimate.seconds < _LONG_SECONDS]
    if short:
        longest, names = max(estimate.seconds for estimate in short), ", ".join(each.revision for each in short)
        yield Finding.ok("Migrations", f"at most about {duration(longest)} each: {names}")
    for job in question.jobs(revision):
        yield from _late(question, job[-1], sum(estimate.seconds for estimate in found if estimate.revision in job))


def _long(estimate: Estimate, size: int | None) -> Finding:
    subject = f"Migration {estimate.revision}"
    text = in_words(estimate, detail=f"{bytes_text(size)} with indexes" if size else "")
    if estimate.waits is Waits.NOBODY:
        return Finding.ok(subject, text)
    return Finding.warning(subject, text, "migrate when there is little traffic, or change the table beforehand")


def _late(question: Question, revision: str, seconds: float) -> Iterator[Finding]:
    """Whether a Job could exceed its time limit."""
    short = short_limit(seconds, question.props.migration)
    if short:
        make = Finding.failure if short.exceeded else Finding.warning
        fix = short.fix("migration.activeDeadlineSeconds", "migration.migrationTimeout")
        yield make(f"Migration to {revision}", short.text, fix)


def bytes_text(size: float) -> str:
    """A number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
