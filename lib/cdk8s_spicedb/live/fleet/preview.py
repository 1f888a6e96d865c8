"""What each release of a fleet has ahead, before anything changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from ...errors import SpiceDBError, some_of
from ...manifests.manifest import Manifest
from ...upgrades.plan import UpgradeStep
from ..changes.diff import diff
from ..cluster import DEPLOYMENT, ClusterError
from ..parallel import parallel
from ..release.record import Record
from ..release.rollout import RolloutState, rollout_of
from ..release.running import describe
from ..steps.deliverer import deliverer_of, require_same_delivery
from ..steps.target import require_own, start_or_continue
from .report import FleetOptions, FleetReport, Member, MemberReport, MemberState
from .waves import waves_of

_SHOWN = 20
"""How many releases with problems an error names."""


@frozen
class _Problem:
    """Why a member cannot be upgraded."""

    title: str
    text: str
    missing: bool = False


def preview(members: Sequence[Member], options: FleetOptions) -> FleetReport:
    """The waves, and the steps of each member. Those that are at the target already are skipped.

    Nothing changes. Raises one `SpiceDBError` about all members that do not run or cannot be upgraded.
    """
    _require_different(members)
    waves = waves_of(len(members), options.canary, options.wave_size)
    numbers = {member: wave for wave, numbers in enumerate(waves, 1) for member in numbers}
    for member in members[:1]:
        # Members that share a client share what the first request costs, such as a program that gets a token.
        member.cluster.resource(DEPLOYMENT)
    found = parallel(lambda number: _preview(members[number], numbers[number]), range(len(members)))
    problems = [each for each in found if isinstance(each, _Problem)]
    if problems:
        raise SpiceDBError("\n".join(_text(problems)))
    return FleetReport(members=tuple(each for each in found if isinstance(each, MemberReport)))


def _require_different(members: Sequence[Member]) -> None:
    twice = [title for title, count in Counter(member.title for member in members).items() if count > 1]
    if twice:
        raise SpiceDBError(
            f"several files describe {some_of(twice, _SHOWN)}; give each SpiceDB in a namespace a different name, or "
            "its own namespace"
        )


def _preview(member: Member, wave: int) -> MemberReport | _Problem:
    try:
        deployment = member.cluster.get(DEPLOYMENT, member.props.name)
        if deployment is None:
            return _Problem(member.title, "", missing=True)
        return _planned(member, deployment, wave)
    except ClusterError as error:
        if error.status is None:
            raise
        return _Problem(member.title, str(error))
    except SpiceDBError as error:
        return _Problem(member.title, str(error))


def _planned(member: Member, deployment: Manifest, wave: int) -> MemberReport:
    cluster, props, running = member.cluster, member.props, describe(deployment)
    applies = deliverer_of(cluster, running)
    require_same_delivery(props, running)
    require_own(cluster, running)
    record = start_or_continue(cluster, props, running, applies.revision)
    done = _is_done(member, record, deployment)
    left = () if done else record.plan.steps[record.sound[-1].step :]
    return MemberReport(
        name=props.name,
        namespace=running.namespace,
        wave=wave,
        current=running.version,
        target=props.version,
        steps=len(left),
        rolls_back=_rolls_back(left),
        state=MemberState.SKIPPED if done else MemberState.NOT_BEGUN,
    )


def _is_done(member: Member, record: Record, deployment: Manifest) -> bool:
    """Whether a release is at its target: no upgrade is under way, its servers are ready, and no object differs."""
    plan = record.plan
    return (
        plan.current == plan.target
        and record.running is None
        and rollout_of(deployment).state is RolloutState.DONE
        and not diff(member.cluster, member.props).changes
    )


def _rolls_back(steps: Sequence[UpgradeStep]) -> bool | None:
    answers = [step.rolls_back for step in steps]
    return False if False in answers else None if None in answers else True


def _text(problems: Sequence[_Problem]) -> list[str]:
    missing = [each.title for each in problems if each.missing]
    others = [each for each in problems if not each.missing]
    lines = [f"{each.title}: {each.text}" for each in others[:_SHOWN]]
    if len(others) > _SHOWN:
        lines.append(f"{len(others) - _SHOWN} more SpiceDBs have problems")
    if missing:
        lines.insert(
            0,
            f"the cluster has no Deployment for {some_of(missing, _SHOWN)}; install these first, leave out their "
            "files, or check --namespace and --context",
        )
    return [*lines, "Nothing was changed."]
