"""What a step means, in words: its number, its rollback, and how long its migrations take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from ..props import MigrationProps
from ..props.datastores import ENGINES, Datastore
from ..versions import MILLION, Estimate, Waits, Work
from .plan import UpgradePlan, UpgradeStep

WAY_BACK = {True: "works", False: "restore", None: "unknown"}
"""How to go back from a step, for the column of a table: whether a rollback works (`UpgradeStep.rolls_back`), or that a
backup must be restored."""
_RESTORE_SECONDS = 110
"""Time to restore a million relationships, with the stop and the start of the servers: docs/operate/backup.md has the
measurements."""
BACKUP = "make a backup of the datastore first, as `upgrade` does"


def step_of(number: int, steps: int) -> str:
    """The place of a step in its plan, such as "step 2 of 3"."""
    return f"step {number} of {steps}"


def rollback(step: UpgradeStep, name: str = "") -> str:
    """Whether a rollback of a step works, such as "a rollback of step 1 works". `old_servers` says why."""
    works = {True: "works", False: "does not work", None: "may not work"}[step.rolls_back]
    return f"a rollback{f' of {name}' if name else ''} {works}"


def restore(plan: UpgradePlan) -> str:
    """How to go back from a step whose rollback does not work, and how long that takes."""
    if not ENGINES.get(plan.engine, Datastore).can_be_set_aside:
        return "to go back, restore the backup into an empty database"
    rows, many = (plan.relationships, number(plan.relationships)) if plan.relationships else (MILLION, "each million")
    time = duration(_RESTORE_SECONDS * rows / MILLION)
    return (
        f"to go back, `rollback --restore` restores the backup in about {time} for {many} relationships; no server "
        "serves meanwhile"
    )


def old_servers(step: UpgradeStep, before: str | None, *, code: bool = False) -> str:
    """Whether servers of the release ``before`` start on the datastore schema of a step, which a rollback needs. With
    ``code``, the revision is code in Markdown."""
    revision = step.revision or "the newer datastore schema"
    servers = f"servers of {before or 'the release before'}"
    schema = f"`{revision}`" if code and step.revision else revision
    if step.rolls_back is None:
        return f"it is not known whether {servers} start on {schema}"
    return f"{servers} {'also start' if step.rolls_back else 'do not start'} on {schema}"


def allowed(step: UpgradeStep, *, code: bool = False) -> str:
    """On which older revisions servers of a step also start. With ``code``, they are code in Markdown."""
    revisions = (f"`{revision}`" if code else revision for revision in step.allowed_migrations)
    return f"servers also start on {', '.join(revisions)}, for a rollback to this step"


def rolls_back(steps: Sequence[UpgradeStep]) -> bool | None:
    """Whether a rollback of all steps works. None if that is not known."""
    answers = [step.rolls_back for step in steps]
    return False if False in answers else None if None in answers else True


_ROWS = {"relation_tuple": "relationships", "relation_tuple_transaction": "transactions"}
"""What the rows of a table are."""
_QUICK = "less than 1 s"
_BATCHES = "measured in batches of 1000 rows"
"""How the rates of backfills were measured. It is SpiceDB's default."""
_WAITS = {Waits.NOBODY: "nobody waits", Waits.WRITES: "writes wait", Waits.ALL: "reads and writes wait"}


def in_words(estimate: Estimate, *, rate: bool = False, detail: str = "") -> str:
    """An estimate in words, such as "indexes relation_tuple, about 4 min for 10 million relationships; writes wait".

    With ``rate``, the estimate is for one million rows, and stands for each million of them. ``detail`` follows the
    number of rows.
    """
    if is_quick(estimate, rate=rate):
        time, details = _QUICK, []
    else:
        time = _rate(estimate.seconds) if rate else duration(estimate.seconds)
        rows = _ROWS.get(estimate.table, "rows")
        time = f"about {time} for {'each million' if rate else number(estimate.rows)} {rows}"
        details = [_BATCHES] if estimate.work is Work.FILLS else []
    details += [detail] if detail else []
    more = f" ({', '.join(details)})" if details else ""
    return f"{estimate.work.value} {estimate.table}, {time}{more}; {_WAITS[estimate.waits]}"


def is_quick(estimate: Estimate, *, rate: bool = False) -> bool:
    """Whether the time is not worth mentioning. With ``rate``: in a table of any size."""
    return estimate.seconds == 0 if rate else estimate.seconds < 1


def _rate(seconds: float) -> str:
    """The time for one million rows. A short one is not rounded to whole seconds, because it is multiplied."""
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def number(count: int) -> str:
    """A number of rows in words, such as "1.5 million"."""
    for unit, name in ((1_000_000_000, "billion"), (MILLION, "million")):
        if count >= unit:
            digits = 2 if count < 10 * unit else 1 if count < 100 * unit else 0
            return f"{round(count / unit, digits):,g} {name}"
    return f"{count:,}"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


_OWN_SECONDS = 3600
"""SpiceDB's own time limit of a migration, if none is set."""
_SAFETY = 3
"""How many times slower than the estimate a database may be."""
_LONGEST_SECONDS = 604_800
"""The greatest ``active_deadline_seconds``."""


@frozen(kw_only=True)
class ShortLimit:
    """A time limit that migrations could exceed."""

    seconds: float
    """Estimated time of the migrations."""
    limit: int
    """Time limit of their Job, ``active_deadline_seconds``."""
    enough: int
    """A limit with room for a database that is three times as slow, in whole minutes."""
    own: float
    """SpiceDB's own limit, ``migration_timeout``."""

    @property
    def exceeded(self) -> bool:
        """Whether the migrations take longer than the limit, and not only almost as long."""
        return self.seconds > self.limit

    @property
    def text(self) -> str:
        """What is wrong."""
        return f"takes about {duration(self.seconds)} in all, and its time limit is {duration(self.limit)}"

    @property
    def fix(self) -> str:
        """What to do, with the names of the settings in a file."""
        deadline, timeout = "migration.activeDeadlineSeconds", "migration.migrationTimeout"
        fix = f"set {deadline} to {self.enough}"
        if self.enough > self.own:
            fix += f", and {timeout} to slightly less than that (it is now {duration(self.own)})"
        return fix


def short_limit(seconds: float, migration: MigrationProps) -> ShortLimit | None:
    """The limit of a migration that should take this long, if it is not twice as long."""
    limit = migration.active_deadline_seconds
    if seconds <= limit / 2:
        return None
    own = migration.migration_timeout.total_seconds() if migration.migration_timeout else _OWN_SECONDS
    enough = min(int(-(-_SAFETY * seconds // 60) * 60), _LONGEST_SECONDS)
    return ShortLimit(seconds=seconds, limit=limit, enough=enough, own=own)


ASK = "to estimate the time of each step, add your number of relationships, such as --relationships 10M"


def assumption(plan: UpgradePlan) -> str:
    """What the estimates of a plan suppose. Only for a plan with a number of relationships."""
    return (
        f"times are estimates for {number(plan.relationships or 0)} relationships and at most as many transactions; "
        "on your database, they differ with its disks, memory and load"
    )


def time_sentences(step: UpgradeStep) -> Iterator[str]:
    """How long each migration of a step takes, and who waits. Without a number of relationships, the times are for each
    million of them."""
    rate = step.seconds is None
    quick = [estimate for estimate in step.estimates if is_quick(estimate, rate=rate)]
    for estimate in step.estimates:
        if estimate not in quick:
            yield f"migration {estimate.revision} {in_words(estimate, rate=rate)}"
    for waits in (Waits.WRITES, Waits.ALL):
        match [estimate for estimate in quick if estimate.waits is waits]:
            case [only]:
                yield f"migration {only.revision} {in_words(only, rate=rate)}"
            case [*most, last]:
                names = ", ".join(estimate.revision for estimate in most)
                yield f"migrations {names} and {last.revision} take {_QUICK} each; {_WAITS[waits]}"


def limit_sentence(step: UpgradeStep, migration: MigrationProps | None = None) -> Iterator[str]:
    """What to do if the time limit of a step's migrations is short. ``migration`` defaults to the defaults."""
    short = short_limit(step.seconds or 0, migration or MigrationProps())
    if short:
        yield f"the migration {short.text}{'' if migration else ' by default'}: {short.fix}"


def sentence(text: str) -> str:
    """A note as a whole sentence."""
    return f"{text[0].upper()}{text[1:]}."
