"""Rules between props: functions that find problems, each with the fields that it reads as parameters.

Each module says what its rules are about. Importing this package registers them.
"""

from . import datastores, release, servers

__all__ = ["datastores", "release", "servers"]
