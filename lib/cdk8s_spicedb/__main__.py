"""``python -m cdk8s_spicedb``: the command line."""

import sys

from .cli import main

sys.exit(main())
