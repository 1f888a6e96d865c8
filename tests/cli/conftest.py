"""SpiceDBs for tests of commands."""

from tests.live.data.conftest import empty, spicedb

__all__ = ["empty", "spicedb"]
