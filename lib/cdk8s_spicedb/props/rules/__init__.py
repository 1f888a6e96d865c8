"""Rules between props: functions that find problems, each with the fields that it reads as parameters.

Each module says what its rules are about, and ends with their table. The package of props adds these to the checks.
"""

from . import arguments, backups, datastores, pods, release, servers

TABLES = (arguments.RULES, datastores.RULES, release.RULES, servers.RULES, pods.RULES, backups.RULES)
