"""What users set: frozen values with their limits, without cdk8s."""

from . import rules as rules
from .fields import problems as problems
from .fields import require as require
from .fields import use
from .jobs import MigrationProps as MigrationProps
from .keys import config_map_keys as config_map_keys
from .keys import needed_config_maps as needed_config_maps
from .keys import secret_keys as secret_keys
from .monitoring import Alerts as Alerts
from .monitoring import Dashboard as Dashboard
from .monitoring import PodMonitor as PodMonitor
from .pod import PodProps as PodProps
from .pod import PodSettings as PodSettings
from .secrets import SecretKey as SecretKey
from .server import Autoscaling as Autoscaling
from .server import ServerProps as ServerProps
from .spicedb import SpiceDBProps as SpiceDBProps
from .spicedb import require_cleanup as require_cleanup
from .spicedb import require_migration as require_migration

use(*rules.TABLES)
