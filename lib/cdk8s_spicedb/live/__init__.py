"""A live release: what runs, whether it can be upgraded, what would change, and the upgrade and rollback themselves.

The commands of ``cdk8s-spicedb`` are made of these functions. Each one gets a `Cluster`; there is no global state.
They need the extra ``live``: ``pip install 'cdk8s-spicedb[live]'``.
"""

from .apierror import ClusterError, Conflict, Forbidden, NotFound, Unreachable
from .check.check import CheckOptions, CheckReport, check
from .check.finding import Finding, Level
from .check.probe import Probe, probe
from .cluster import Cluster
from .diff import Diff, diff
from .fleet.fleet import FleetOptions, FleetReport, Member, MemberReport, MemberState, upgrade_fleet
from .instance import Applier, Observed, Running, find_running
from .observe import observe
from .record import Figures, Record, Sound, read_record
from .status import Status, Summary, status, statuses
from .upgrade.commit import NextStep, write_next_step
from .upgrade.lease import BusyError
from .upgrade.outcome import Activity, CheckFailedError, Outcome, Progress, Return, State, UpgradeStoppedError
from .upgrade.preflight import Preflight, preview
from .upgrade.rollback import plan_rollback, roll_back
from .upgrade.upgrade import UpgradeOptions, upgrade
from .waiting import settled, wait_until_safe, wait_until_settled

__all__ = [
    "Activity",
    "Applier",
    "BusyError",
    "CheckFailedError",
    "CheckOptions",
    "CheckReport",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Diff",
    "Figures",
    "Finding",
    "FleetOptions",
    "FleetReport",
    "Forbidden",
    "Level",
    "Member",
    "MemberReport",
    "MemberState",
    "NextStep",
    "NotFound",
    "Observed",
    "Outcome",
    "Preflight",
    "Probe",
    "Progress",
    "Record",
    "Return",
    "Running",
    "Sound",
    "State",
    "Status",
    "Summary",
    "Unreachable",
    "UpgradeOptions",
    "UpgradeStoppedError",
    "check",
    "diff",
    "find_running",
    "observe",
    "plan_rollback",
    "preview",
    "probe",
    "read_record",
    "roll_back",
    "settled",
    "status",
    "statuses",
    "upgrade",
    "upgrade_fleet",
    "wait_until_safe",
    "wait_until_settled",
    "write_next_step",
]
