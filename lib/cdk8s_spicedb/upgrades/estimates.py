"""How long the migrations of a step take, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ..props import MigrationProps
from ..releases import Waits, in_words, is_quick, number, quick_in_words
from .limit import short_limit
from .plan import UpgradePlan, UpgradeStep

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
                yield f"migrations {names} and {last.revision} {quick_in_words(waits)}"


def limit_sentence(step: UpgradeStep, migration: MigrationProps | None = None) -> Iterator[str]:
    """What to do if the time limit of a step's migrations is short. ``migration`` defaults to the defaults."""
    short = short_limit(step.seconds or 0, migration or MigrationProps())
    if short:
        yield f"the migration {short.text}{'' if migration else ' by default'}: {short.fix()}"


def sentence(text: str) -> str:
    """A note as a whole sentence."""
    return f"{text[0].upper()}{text[1:]}."
