"""Rules between props: functions that find problems, each with the fields that it reads as parameters.

Each module says what its rules are about. Importing this package registers them.
"""

from . import availability, connections, delivery, network, pods, releases

__all__ = ["availability", "connections", "delivery", "network", "pods", "releases"]
