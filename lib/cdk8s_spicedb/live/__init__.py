"""A live release: what runs, whether it can be upgraded, what would change, and the upgrade and rollback themselves.

The commands of ``cdk8s-spicedb`` are made of these functions. Each one gets a `Cluster`; there is no global state.
They need the extra ``live``: ``pip install 'cdk8s-spicedb[live]'``.
"""

from .check import CheckReport, check
from .cluster import Cluster, ClusterError
from .commit import NextStep, write_next_step
from .diff import Diff, diff
from .finding import Finding, Level
from .lease import BusyError
from .progress import Progress
from .record import Figures, Record, Sound, read_record
from .rollback import Return, plan_rollback, roll_back
from .running import Applier, Running, find_running
from .settle import settled, wait_until_settled
from .status import Status, Summary, status, statuses
from .upgrade import UpgradeOptions, UpgradeStoppedError, upgrade

__all__ = [
    "Applier",
    "BusyError",
    "CheckReport",
    "Cluster",
    "ClusterError",
    "Diff",
    "Figures",
    "Finding",
    "Level",
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
    "wait_until_settled",
    "write_next_step",
]
