"""SpiceDB as cdk8s constructs: the only modules that import cdk8s."""

from .spicedb import Cleanup, Migration, Server, SpiceDB, SpiceDBChart

__all__ = ["Cleanup", "Migration", "Server", "SpiceDB", "SpiceDBChart"]
