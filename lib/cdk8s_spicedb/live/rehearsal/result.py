"""What a rehearsal found, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from ...text import count
from ..data.compare import Comparison
from .clients import Requests

_RANGE = 1.5
"""A step on the live data can take so much longer than the sample suggests."""


@frozen(kw_only=True)
class Way:
    """The way back from a step."""

    ready: bool
    """Whether the older servers became ready."""
    seconds: float = 0
    """How long the rollback took. 0: it was not tried, because the older servers would not become ready."""
    reason: str = ""
    """Why they did not become ready, or why the rollback failed."""
    answers: Comparison | None = None
    """How the answers after it differ from those before the upgrade."""
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
    seconds: float
    """How long the whole step took."""
    migration_seconds: float | None = None
    """How long the migration took. None: it is not known, such as of a step that failed."""
    bytes_before: int | None = None
    """Size of the database before the step. None: it is not known."""
    bytes_after: int | None = None
    """Size of the database after the step."""
    requests: Requests = field(factory=Requests)
    """What clients noticed."""
    answers: Comparison | None = None
    """How the answers after the step differ from those before the upgrade. None: the step failed."""
    expired: Sequence[str] = ()
    """What expired relationships still grant."""
    schema_error: str = ""
    """Why the release rejects the SpiceDB schema. Empty: it takes it."""
    back: Way | None = None
    """The way back. None: it was not tried."""
    error: str = ""
    """Why the step failed. Empty: it did not."""

    def problems(self) -> Iterator[str]:
        """What the live upgrade should not begin with."""
        if self.error:
            yield f"the step fails: {self.error}"
        if self.schema_error:
            yield f"{self.version} rejects the SpiceDB schema, so nobody can write it again: {self.schema_error}"
        if self.answers is not None:
            yield from self.answers.lines()
        if self.expired:
            yield f"expired relationships still grant {', '.join(self.expired)}"
        if self.answers is not None and self.answers.asked and not self.requests.asked:
            yield "no request was answered during the step"
        if self.requests.failed:
            failed = count(len(self.requests.failed), "request")
            yield f"{failed} failed during the step, such as: {self.requests.failed[0]}"
        if self.back is not None and self.back.reason and (self.back.ready or self.rolls_back):
            yield f"the rollback fails: {self.back.reason}"
        if self.back is not None and self.back.again:
            yield f"the step does not work a second time, after its rollback: {self.back.again}"
        if self.back is not None and self.back.answers is not None:
            yield from (f"after the rollback: {line}" for line in self.back.answers.lines())

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

    @property
    def whole(self) -> bool:
        """Whether the copy had all relationships, so that times are measured and not extrapolated."""
        return self.copied >= self.relationships

    @property
    def ok(self) -> bool:
        """Whether the rehearsal found no problem. A rollback that does not work is none if the plan says so."""
        return not any(True for step in self.steps for _ in step.problems())

    def migration(self, step: RehearsedStep) -> str:
        """How long the migration of a step takes on the live data."""
        if step.migration_seconds is None:
            return "not known"
        if self.whole or not self.copied:
            return f"{step.migration_seconds:.0f} s"
        longest = step.migration_seconds * self.relationships / self.copied * _RANGE
        return f"{step.migration_seconds:.0f} to {longest:.0f} s"

    def problems(self) -> Iterator[str]:
        """All problems, with their steps."""
        for step in self.steps:
            yield from (f"step {step.number}, {step.version}: {problem}" for problem in step.problems())

    def rows(self) -> Iterator[Sequence[str]]:
        """A table of the steps, with its headings."""
        yield HEADINGS
        for step in self.steps:
            grown = (
                f"{(step.bytes_after - step.bytes_before) / 2**20:+.0f} MiB"
                if step.bytes_before is not None and step.bytes_after is not None
                else "not known"
            )
            yield (
                str(step.number),
                step.version,
                step.schema_mode or "",
                f"{step.seconds:.0f} s",
                self.migration(step),
                grown,
                f"{step.requests.slowest_check:.1f} s",
                f"{step.requests.slowest_write:.1f} s",
                step.way_back(),
            )

    def summary(self) -> str:
        """What was rehearsed, in one sentence."""
        part = "all" if self.whole else f"{self.copied:,} of"
        return (
            f"Rehearsed {self.name} in {self.namespace}, SpiceDB {self.current} to {self.target}, with {part} "
            f"{self.relationships:,} relationships and {self.questions:,} questions."
        )

    def markdown(self) -> str:
        """The result for a pull request."""
        head, *rows = self.rows()
        table = [head, ["---"] * len(head), *rows]
        lines = [self.summary(), "", *(f"| {' | '.join(each)} |" for each in table), ""]
        found = [f"- {problem}" for problem in self.problems()]
        return "\n".join([*lines, *(found or ["No problem was found."])])


HEADINGS = (
    "Step",
    "Version",
    "Schema mode",
    "Time",
    "Migration",
    "Database",
    "Slowest check",
    "Slowest write",
    "Rollback",
)
