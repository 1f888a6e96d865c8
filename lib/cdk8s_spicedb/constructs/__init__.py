"""SpiceDB as cdk8s constructs: the only modules that import cdk8s."""

from .parts import Cleanup, Migration, Server
from .spicedb import SpiceDB, SpiceDBChart

__all__ = ["Cleanup", "Migration", "Server", "SpiceDB", "SpiceDBChart"]
