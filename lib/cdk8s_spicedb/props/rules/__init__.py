"""Rules between props: functions that find problems, each with the fields that it reads as parameters.

Each module says what its rules are about. The package of props imports them all.
"""

from . import datastores as datastores
from . import release as release
from . import servers as servers
