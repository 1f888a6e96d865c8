"""The migration: a Job that brings the datastore's schema to what the new servers need, before they start."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from .manifests import migration_manifests
from .objects import add, require_once
from .props import SpiceDBProps, require_migration
from .warning import warn_of_phase


class Migration(Construct):
    """The migration of one SpiceDB; usable alone, beside servers that something else runs.

    Raises `InvalidProps` before it adds anything, also when there is nothing to migrate.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_migration(props)
        super().__init__(scope, id)
        warn_of_phase(props)
        self.job: ApiObject = add(self, migration_manifests(props))["Job"]
        """The Job, as the cdk8s object; patch it for what has no prop."""
