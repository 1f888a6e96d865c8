"""What a rehearsal found, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from ...text import count, some_of
from .clients import Requests
from .watch import DatabaseUse, Locked

_RANGE = 1.5
"""A step on the live data can take so much longer than the sample suggests."""
_SHOWN = 2
"""Locks in a table."""


@frozen(kw_only=True)
class Way:
    """The way back from a step."""

    ready: bool
    """Whether the older servers became ready."""
    seconds: float = 0
    """How long the rollback took. 0: it was not tried, because the older servers would not become ready."""
    reason: str = ""
    """Why they did not become ready, or why the rollback failed."""
    differences: Sequence[str] = ()
    """How the answers and lookups after it differ from those before the upgrade, in words."""
    again: str = ""
    """Why the step did not work a second time, after the rollback. Empty: it did."""


@frozen(kw_only=True)
class RehearsedStep:
    """What one step did."""

    number: int
    """Number of the step, from 1."""
    version: str
    """SpiceDB version of the step."""
    schema_mode: str | None
    """Schema mode of the step. None: SpiceDB's default."""
    rolls_back: bool | None
    """Whether the plan says that the older servers become ready after the step. None: it does not know."""
    head: str | None = None
    """Newest revision of the datastore that the program of the step knows. None: it did not say so."""
    expected_head: str | None = None
    """Newest revision of the datastore with which the step was planned. None: it is not known."""
    seconds: float = 0
    """How long the whole step took. 0: it was not begun."""
    migration_seconds: float | None = None
    """How long the migration took. None: it is not known, such as of a step that failed."""
    database: DatabaseUse = field(factory=DatabaseUse)
    """What the step needed of the database."""
    requests: Requests = field(factory=Requests)
    """What clients noticed."""
    differences: Sequence[str] = ()
    """How the answers and lookups after the step differ from those before the upgrade, in words."""
    expired: Sequence[str] = ()
    """What expired relationships still grant."""
    schema_error: str = ""
    """Why the release rejects the SpiceDB schema. Empty: it takes it."""
    back: Way | None = None
    """The way back. None: it was not tried."""
    error: str = ""
    """Why the step failed. Empty: it did not."""

    problems: Sequence[str] = field(init=False)
    """Reasons not to begin the live upgrade."""

    @problems.default
    def _found(self) -> Sequence[str]:
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        if self.error:
            yield f"the step fails: {self.error}"
        if self.head is not None and self.expected_head not in (None, self.head):
            yield f"the head of the program is {self.head}, but {self.expected_head} was planned"
        if self.schema_error:
            yield f"{self.version} rejects the SpiceDB schema, so nobody can write it again: {self.schema_error}"
        yield from self.differences
        if self.expired:
            yield f"expired relationships still grant {', '.join(self.expired)}"
        if self.requests.silent and not self.error:
            yield "no request was answered during the step"
        if self.requests.failed:
            failed = count(len(self.requests.failed), "request")
            yield f"{failed} failed during the step, such as: {self.requests.failed[0]}"
        if self.back is not None:
            yield from self._problems_of(self.back)

    def _problems_of(self, back: Way) -> Iterator[str]:
        if back.reason and (back.ready or self.rolls_back):
            yield f"the rollback fails: {back.reason}"
        if back.again:
            yield f"the step does not work a second time, after its rollback: {back.again}"
        yield from (f"after the rollback: {line}" for line in back.differences)

    @property
    def is_last(self) -> bool:
        """Whether the next step cannot begin, because this one did not end in order."""
        back = self.back
        return bool(self.error or (back and (back.again or (back.ready and back.reason))))

    def way_back(self) -> str:
        """The way back, in words."""
        if self.back is None:
            return "not tried"
        if not self.back.ready:
            return f"does not work: {self.back.reason}"
        return f"failed: {self.back.reason}" if self.back.reason else f"works, {self.back.seconds:.0f} s"


@frozen(kw_only=True)
class Rehearsal:
    """What a rehearsal found."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Namespace of the live release."""
    current: str
    """Version that runs."""
    target: str
    """Version of the last step."""
    relationships: int
    """Number of relationships of the live release."""
    copied: int
    """Number of those with which the upgrade was rehearsed."""
    questions: int
    """Number of questions that were asked after each step."""
    at: str
    """When it ended (ISO 8601)."""
    steps: Sequence[RehearsedStep]
    """The steps that were done, and the one that failed."""
    problems: Sequence[str] = field(init=False)
    """All problems, with their steps."""
    ok: bool = field(init=False)
    """Whether the rehearsal found no problem. A rollback that does not work is none if the plan says so."""

    @problems.default
    def _problems(self) -> Sequence[str]:
        return [f"step {each.number}, {each.version}: {problem}" for each in self.steps for problem in each.problems]

    @ok.default
    def _ok(self) -> bool:
        return not self.problems

    @property
    def whole(self) -> bool:
        """Whether the copy had all relationships, so that times are measured and not extrapolated."""
        return self.copied >= self.relationships

    def migration(self, step: RehearsedStep) -> str:
        """How long the migration of a step takes on the live data."""
        if step.migration_seconds is None:
            return _UNKNOWN
        if self.whole or not self.copied:
            return f"{step.migration_seconds:.0f} s"
        longest = step.migration_seconds * self.relationships / self.copied * _RANGE
        return f"{step.migration_seconds:.0f} to {longest:.0f} s"

    def rows(self) -> Iterator[Sequence[str]]:
        """A table of the steps, with its headings."""
        yield _HEADINGS
        for step in self.steps:
            yield (
                str(step.number),
                step.version,
                step.schema_mode or "",
                f"{step.seconds:.0f} s",
                self.migration(step),
                f"{step.requests.slowest_check:.1f} s",
                f"{step.requests.slowest_write:.1f} s",
                step.way_back(),
            )

    def database_rows(self) -> Iterator[Sequence[str]]:
        """A table of what the steps needed of the database, with its headings."""
        yield _DATABASE_HEADINGS
        for step in self.steps:
            use = step.database
            sizes = (_mebibytes(use.grown, sign="+"), _mebibytes(use.most, sign="+"))
            yield (str(step.number), *sizes, _mebibytes(use.log_bytes), _mebibytes(use.memory_bytes), _locks(use.locks))

    def tables(self) -> Iterator[list[Sequence[str]]]:
        """All tables, each with its headings."""
        yield list(self.rows())
        yield list(self.database_rows())

    def summary(self) -> str:
        """What was rehearsed, in one sentence."""
        part = "all" if self.whole else f"{self.copied:,} of"
        return (
            f"Rehearsed {self.name} in {self.namespace}, SpiceDB {self.current} to {self.target}, with {part} "
            f"{self.relationships:,} relationships and {self.questions:,} questions."
        )

    def markdown(self) -> str:
        """The result for a pull request."""
        found = [f"- {problem}" for problem in self.problems]
        tables = ["\n".join(_markdown(*table)) for table in self.tables()]
        return "\n\n".join([self.summary(), *tables, "\n".join(found or [NO_PROBLEM])])


def _markdown(head: Sequence[str], *rows: Sequence[str]) -> list[str]:
    lines = (head, ["---"] * len(head), *([_cell(each) for each in row] for row in rows))
    return [f"| {' | '.join(each)} |" for each in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _mebibytes(size: int | None, sign: str = "") -> str:
    return _UNKNOWN if size is None else f"{size / 2**20:{sign}.0f} MiB"


def _locks(found: Sequence[Locked] | None) -> str:
    return _UNKNOWN if found is None else some_of([*map(_locked, found)], _SHOWN) or "none"


def _locked(found: Locked) -> str:
    reads = f" (reads {found.reads_seconds:.1f} s)" if found.reads_seconds else ""
    return f"{found.table} {found.writes_seconds:.1f} s{reads}"


NO_PROBLEM = "No problem was found."
_UNKNOWN = "not known"
_HEADINGS = ("Step", "Version", "Schema mode", "Time", "Migration", "Slowest check", "Slowest write", "Rollback")
_DATABASE_HEADINGS = ("Step", "Database", "At most", "Log", "Memory", "Longest locks")
