"""Rules between props: functions that find problems, each with the fields that it reads as parameters.

Each module says what its rules are about, and ends with the table of its rules by class.
"""

from collections.abc import Sequence

from ..fields import Rules
from . import datastores, release, servers

RULES: Sequence[Rules] = (datastores.RULES, release.RULES, servers.RULES)
"""All rules of this package. A class also has the rules of its base classes."""
