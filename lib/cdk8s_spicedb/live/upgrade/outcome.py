"""The outcome of a change of a release, such as an upgrade, and its progress."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import frozen

from ...errors import SpiceDBError
from ..apierror import SHAPE, odd
from ..check.check import CheckReport
from ..check.finding import Level
from ..instance import Running
from ..record import Record, Sound

_DETAIL_LINES = 25
UNKNOWN = "It is not known how much of the step was applied. Run the same command again to continue from there."


class State(Enum):
    """The outcome of an install, an upgrade, a rollback or an uninstall."""

    DONE = "done"
    """It reached its target."""
    REFUSED = "refused"
    """It was refused, and changed nothing."""
    ROLLED_BACK = "rolled back"
    """A step failed and was rolled back. Steps before it stay."""
    STOPPED = "stopped"
    """It stopped in a step, which was not rolled back."""
    PAUSED = "paused"
    """It did as many steps as it should. If you run it again, it goes on."""
    INTERRUPTED = "interrupted"
    """Somebody interrupted it. If you run it again, it goes on where it stood."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command. Only `REFUSED` is 1, and 2 is wrong usage. See `Outcome.exit_code`."""
        return {"DONE": 0, "PAUSED": 0, "REFUSED": 1, "ROLLED_BACK": 3, "STOPPED": 4, "INTERRUPTED": 130}[self.name]


class StoppedError(SpiceDBError):
    """An install, an uninstall or a step of an upgrade failed after something may have changed.

    ``outcome`` says what is left, and how to go on. ``what`` is put before the reason in the text of the error.
    """

    def __init__(self, reason: str, details: str, outcome: str, *, what: str = "") -> None:
        self.reason, self.details = reason, details
        lines = "\n".join(f"    {line}" for line in details.strip().splitlines()[-_DETAIL_LINES:])
        super().__init__("\n".join(part for part in (f"{what}{reason}", lines, outcome) if part))


class UpgradeStoppedError(StoppedError):
    """An upgrade stopped at a step."""

    def __init__(self, step: int, reason: str, details: str, outcome: str, *, rolled_back: bool) -> None:
        self.step, self.rolled_back = step, rolled_back
        super().__init__(reason, details, outcome, what=f"step {step} stopped: ")


class CheckFailedError(SpiceDBError):
    """The check before an upgrade found a failure, so nothing was changed. ``report`` has all findings."""

    def __init__(self, report: CheckReport) -> None:
        self.report = report
        failures = (each.line() for each in report.findings if each.level is Level.FAILURE)
        super().__init__("\n".join(["the check failed, and nothing was changed:", *failures]))


def reason_of(error: Exception) -> str:
    """The text of an error, with its class if it is not one of this package."""
    return str(error) if isinstance(error, SpiceDBError) else f"{type(error).__name__}: {error}"


def unknown(step: int, error: Exception) -> UpgradeStoppedError:
    """The error that an upgrade ended in a step, and that it is not known how far it came."""
    return UpgradeStoppedError(step, reason_of(error), "", UNKNOWN, rolled_back=False)


@frozen(kw_only=True)
class Return:
    """A rollback, before it happens."""

    running: Running
    """What runs now."""
    target: Sound
    """The state to return to."""
    cautions: tuple[str, ...]
    """What is not restored, and what else to know."""
    blocked: str | None
    """Why the older servers would not become ready. None: they would, as far as it is known."""
    rewrites_schema: bool
    """Whether the SpiceDB schema is written again afterwards, which needs the props."""
    restores: str | None = None
    """The file with the backup that is restored. None: the data stays as it is."""


@frozen(kw_only=True)
class Outcome:
    """The outcome of an install, an upgrade, a rollback or an uninstall."""

    state: State
    """What became of it."""
    record: Record | None = None
    """Where an upgrade stands. None: it was refused before it was planned, or there is no record, as of an install."""
    back: Return | None = None
    """What a rollback returned to. None: it is an upgrade, or it was refused."""
    error: SpiceDBError | None = None
    """Why it did not reach its target. None if it did, if it was interrupted, or if ``confirm`` said no."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command: that of the state, or 5 if the cluster did not answer. Then nothing was
        changed."""
        refused = self.state is State.REFUSED and self.error is not None
        return 5 if refused and self.error and self.error.unanswered else self.state.exit_code

    @property
    def reason(self) -> str:
        """Why it did not reach its target, as text. Empty if there is no error."""
        return str(self.error) if self.error else ""

    def require_done(self) -> Outcome:
        """Returns this outcome if the target is reached. Raises its error otherwise."""
        if self.state is State.DONE:
            return self
        raise self.error or SpiceDBError(f"it did not reach its target: {self.state.value}")


class Activity(str, Enum):
    """What an upgrade, or another change of a release, is doing now."""

    PREPARE = "prepare"
    """It takes the lock, plans and checks."""
    BACK_UP = "back up"
    """It writes a backup."""
    SCHEMA = "schema"
    """It writes the SpiceDB schema again."""
    APPLY = "apply"
    """Helm or kubectl applies a step."""
    COMPARE = "compare"
    """One new server, which no client reaches, answers questions, and the older ones answer the same."""
    SETTLE = "settle"
    """It waits until all servers are ready and no other one is left."""
    TEST = "test"
    """It runs the permission test."""
    OBSERVE = "observe"
    """It observes the metrics of the servers."""
    RESTORE = "restore"
    """It stops the servers, and restores a backup."""
    DELETE = "delete"
    """It deletes a SpiceDB, and waits until nothing of it is left."""
    ROLL_BACK = "roll back"
    """It rolls the step back."""
    DONE = "done"
    """The target is reached."""


@frozen(kw_only=True)
class Progress:
    """What an upgrade, or another change of a release, is doing now."""

    step: int
    """Number of the step. 0: before the first, or there are no steps."""
    steps: int
    """Number of steps. 0: there are none, as in an install."""
    activity: Activity
    """What it does."""
    text: str
    """Details, in one line."""
    seconds_left: int | None = None
    """Seconds that this takes at most. None: there is no limit, or it is not known."""


def as_refusal(error: Exception) -> SpiceDBError:
    """The error with which nothing was changed. Raises it again if it is neither an error of this package nor due to
    an answer of an unknown shape."""
    if isinstance(error, SpiceDBError):
        return error
    if isinstance(error, SHAPE):
        return odd(error, "what runs")
    raise error


Report = Callable[[Progress], None]


def harmless(report: Report) -> Report:
    """A report whose error stops no upgrade. After an error, such as a full disk, it is not called again."""
    failed = False

    def tell(progress: Progress) -> None:
        nonlocal failed
        try:
            if not failed:
                report(progress)
        except (Exception, SystemExit):
            failed = True

    return tell
