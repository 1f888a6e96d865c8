"""A live release: what runs, whether it can be upgraded, what would change, and the upgrade and rollback themselves.

The commands of ``cdk8s-spicedb`` are made of these functions. Each one gets a `Cluster`; there is no global state.
They need the extra ``live``: ``pip install 'cdk8s-spicedb[live]'``.
"""

from .check.check import CheckReport, check
from .check.finding import Finding, Level
from .cluster import Cluster, ClusterError
from .diff import Diff, diff
from .fleet.fleet import CheckOptions, FleetOptions, FleetReport, Member, MemberReport, MemberState, upgrade_fleet
from .instance import Applier, Running, find_running
from .status import Status, Summary, status, statuses
from .upgrade.commit import NextStep, write_next_step
from .upgrade.lease import BusyError
from .upgrade.record import Figures, Progress, Record, Sound, read_record
from .upgrade.rollback import Return, plan_rollback, roll_back
from .upgrade.upgrade import UpgradeOptions, UpgradeStoppedError, upgrade
from .workload import settled, wait_until_settled

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
