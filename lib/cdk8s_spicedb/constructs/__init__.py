"""SpiceDB as cdk8s constructs: the only modules that import cdk8s."""

from .chart import SpiceDBChart
from .cleanup import Cleanup
from .migration import Migration
from .server import Server
from .spicedb import SpiceDB

__all__ = ["Cleanup", "Migration", "Server", "SpiceDB", "SpiceDBChart"]
