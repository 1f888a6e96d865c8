"""What an upgrade of many releases is about to do, and what became of each one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from attrs import field, frozen

from ...props import SpiceDBProps
from ..cluster import Cluster
from ..steps.upgrade import UpgradeOptions


@frozen(kw_only=True)
class Member:
    """One of many releases."""

    cluster: Cluster
    """Its namespace of the cluster. Several members can share a client."""
    props: SpiceDBProps
    """What it is upgraded to."""

    @property
    def title(self) -> str:
        """Its namespace and name, as in ``tenant-a/spicedb``."""
        return f"{self.cluster.namespace}/{self.props.name}"


@frozen(kw_only=True)
class CheckOptions:
    """What is checked before an upgrade. The parameters of `check` have the same names."""

    database: bool = True
    """Whether to ask the database, with a pod that runs for a moment."""
    database_image: str | None = None
    """Image of that pod. Defaults to the official image of the engine."""
    pull_images: bool = False
    """Whether to pull each image, with pods that run for a moment."""


@frozen(kw_only=True)
class FleetOptions:
    """How many releases are upgraded."""

    canary: int = 1
    """Number of members in the first wave. 0: there is no such wave."""
    wave_size: int = 10
    """Number of members in each later wave."""
    parallel: int = 4
    """Number of upgrades that run at the same time."""
    upgrade: UpgradeOptions = field(factory=UpgradeOptions)
    """How each upgrade runs."""
    check: CheckOptions | None = field(factory=CheckOptions)
    """What is checked before each upgrade, when its turn comes. None: nothing."""

    def __attrs_post_init__(self) -> None:
        for name, least in (("canary", 0), ("wave_size", 1), ("parallel", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")


class MemberState(Enum):
    """What became of a member."""

    UPGRADED = "upgraded"
    SKIPPED = "skipped"
    """It already was at the target."""
    UNCHANGED = "unchanged"
    """It was refused before anything changed, such as by a failed check."""
    ROLLED_BACK = "rolled back"
    """A step failed and was rolled back. Steps before it stay."""
    FAILED = "failed"
    """A step failed, and was not rolled back."""
    INTERRUPTED = "interrupted"
    """It was interrupted while it ran."""
    NOT_BEGUN = "not begun"


PROBLEMS = (MemberState.UNCHANGED, MemberState.ROLLED_BACK, MemberState.FAILED)
"""What stops the waves."""


@frozen(kw_only=True)
class MemberReport:
    """One of many SpiceDBs: its plan, and what became of it."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    wave: int
    """Number of its wave, from 1."""
    current: str | None
    """SpiceDB release of the servers when the command began. None if it is not known."""
    target: str
    """SpiceDB release of the file."""
    steps: int
    """Number of steps that were left when the command began. 0: it already was at the target."""
    rolls_back: bool | None
    """Whether a rollback of all these steps works. None: it is not known."""
    state: MemberState = MemberState.NOT_BEGUN
    """What became of it. ``skipped``: it already was at the target. ``unchanged``: it was refused before anything
    changed, such as by a failed check. ``rolled back``: a step failed and was rolled back, and steps before it stay.
    ``failed``: a step failed, and was not rolled back."""
    reason: str | None = None
    """Why it did not succeed. None: it did, or did not begin."""
    seconds: float | None = None
    """How long it took. None: it did not begin."""

    @property
    def title(self) -> str:
        """Its namespace and name, as in ``tenant-a/spicedb``."""
        return f"{self.namespace}/{self.name}"


@frozen(kw_only=True)
class FleetReport:
    """What became of an upgrade of many SpiceDBs."""

    members: Sequence[MemberReport]
    """The SpiceDBs, in the order of their files."""
    interrupted: bool = False
    """Whether it was interrupted."""

    @property
    def ok(self) -> bool:
        """Whether all members are at the target."""
        return len(self.of(MemberState.UPGRADED, MemberState.SKIPPED)) == len(self.members)

    def of(self, *states: MemberState) -> Sequence[MemberReport]:
        """The members with one of these states."""
        return [each for each in self.members if each.state in states]
