"""The clean-up: a Job that deletes the finished migration once the release is up."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from ..manifests import cleanup_manifests
from ..props import SpiceDBProps, require_cleanup
from .objects import add, require_once


class Cleanup(Construct):
    """The clean-up of one SpiceDB. You can use it alone, with a `Migration`.

    Its ServiceAccount may only list Jobs and delete this release's migration. Raises `InvalidProps` before it adds
    anything, also if the clean-up or the migration is disabled, or the delivery has no hooks.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_cleanup(props)
        super().__init__(scope, id)
        self.job: ApiObject = add(self, cleanup_manifests(props))["Job"]
        """The Job, a cdk8s object. Patch it for settings that have no prop."""
