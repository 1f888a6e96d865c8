"""The migration: a Job that migrates the datastore before the new servers start."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from ..manifests import migration_manifests
from ..props import SpiceDBProps, require_migration
from ..props.rules.warnings import phase_warning, target_warning, warn
from .objects import add, require_once


class Migration(Construct):
    """The migration of one SpiceDB. You can use it alone, with servers that something else runs.

    Raises `InvalidProps` before it adds anything, also if the engine has no schema or the migration is disabled.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_migration(props)
        super().__init__(scope, id)
        phase = props.migration.target_phase
        warn(props, target_warning(props), phase_warning(phase.value) if phase else None)
        self.job: ApiObject = add(self, migration_manifests(props))["Job"]
        """The Job, a cdk8s object. Patch it for settings that have no prop."""
