"""A live release: what runs, whether it can be upgraded, what would change, and the upgrade and rollback themselves.

The commands of ``cdk8s-spicedb`` are made of these functions. Each one gets a `Cluster`; there is no global state.
They need the extra ``live``: ``pip install 'cdk8s-spicedb[live]'``.
"""

from .changes.diff import Diff, diff
from .checks.check import CheckReport, check
from .cluster import Cluster, ClusterError
from .finding import Finding, Level
from .fleet.report import CheckOptions, FleetOptions, FleetReport, Member, MemberReport, MemberState
from .fleet.upgrade import upgrade_fleet
from .release.record import Figures, Record, Sound, read_record
from .release.running import Applier, Running, find_running
from .release.settle import settled, wait_until_settled
from .release.status import Status, Summary, status, statuses
from .steps.commit import NextStep, write_next_step
from .steps.lease import BusyError
from .steps.progress import Progress
from .steps.rollback import Return, plan_rollback, roll_back
from .steps.upgrade import UpgradeOptions, UpgradeStoppedError, upgrade

__all__ = [
    "Applier",
    "BusyError",
    "CheckOptions",
    "CheckReport",
    "Cluster",
    "ClusterError",
    "Diff",
    "Figures",
    "Finding",
    "FleetOptions",
    "FleetReport",
    "Level",
    "Member",
    "MemberReport",
    "MemberState",
    "NextStep",
    "Progress",
    "Record",
    "Return",
    "Running",
    "Sound",
    "Status",
    "Summary",
    "UpgradeOptions",
    "UpgradeStoppedError",
    "check",
    "diff",
    "find_running",
    "plan_rollback",
    "read_record",
    "roll_back",
    "settled",
    "status",
    "statuses",
    "upgrade",
    "upgrade_fleet",
    "wait_until_settled",
    "write_next_step",
]
