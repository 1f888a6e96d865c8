"""A live release: what runs, whether it can be upgraded, what would change, and each change itself.

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
from .install.address import Address, address_of
from .install.install import InstallOptions, install
from .install.preflight import InstallPreflight, plan_install
from .install.uninstall import Removal, plan_uninstall, uninstall
from .instance import Applier, Observed, Running, find_running
from .observe import observe
from .record import Figures, Record, Sound, read_record
from .status import Status, Summary, status, statuses
from .upgrade.commit import NextStep, write_next_step
from .upgrade.lease import BusyError
from .upgrade.outcome import (
    Activity,
    CheckFailedError,
    Outcome,
    Progress,
    Return,
    State,
    StoppedError,
    UpgradeStoppedError,
)
from .upgrade.preflight import Preflight, preview
from .upgrade.rollback import plan_rollback, roll_back
from .upgrade.upgrade import UpgradeOptions, upgrade
from .waiting import settled, wait_until_safe, wait_until_settled

__all__ = [
    "Activity",
    "Address",
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
    "InstallOptions",
    "InstallPreflight",
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
    "Removal",
    "Return",
    "Running",
    "Sound",
    "State",
    "Status",
    "StoppedError",
    "Summary",
    "Unreachable",
    "UpgradeOptions",
    "UpgradeStoppedError",
    "address_of",
    "check",
    "diff",
    "find_running",
    "install",
    "observe",
    "plan_install",
    "plan_rollback",
    "plan_uninstall",
    "preview",
    "probe",
    "read_record",
    "roll_back",
    "settled",
    "status",
    "statuses",
    "uninstall",
    "upgrade",
    "upgrade_fleet",
    "wait_until_safe",
    "wait_until_settled",
    "write_next_step",
]
