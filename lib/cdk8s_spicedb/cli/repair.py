"""``cdk8s-spicedb repair``: prints a Job that repairs a database into which a dump was restored."""

from __future__ import annotations

import argparse
import json

from ..errors import SpiceDBError
from ..manifests.jobs import repair_manifest
from ..props import SpiceDBProps
from ..versions import is_version, version_order
from .files import read_file
from .output import say

_OLDEST = "v1.28.0"
"""The first release of SpiceDB that can repair."""


def run(options: argparse.Namespace) -> int:
    """Prints the Job, as JSON, which kubectl reads too."""
    props = read_file(options)
    say(json.dumps(repair_manifest(props, _operation(props)), indent=2))
    return 0


def _operation(props: SpiceDBProps) -> str:
    """What is to repair. Raises `SpiceDBError` if there is nothing, or if the release cannot."""
    datastore = props.datastore
    if datastore.repair is None:
        raise SpiceDBError(f"with the engine {datastore.engine}, a restored database needs no repair")
    if is_version(props.version) and version_order(props.version) < version_order(_OLDEST):
        raise SpiceDBError(f"SpiceDB {props.version} cannot repair a database: set version to {_OLDEST} or later")
    if getattr(datastore, "credentials_provider", None) and props.migration.datastore_uri is None:
        raise SpiceDBError(
            "SpiceDB's repair does not get its password from AWS: set migration.datastoreUri to a Secret and key "
            "with a URI that has a password"
        )
    return datastore.repair
