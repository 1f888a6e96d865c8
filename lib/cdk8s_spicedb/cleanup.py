"""The clean-up: a Job that removes the finished migration once the release is up."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from .manifests import cleanup_manifests
from .objects import add, require_once
from .props import SpiceDBProps, require_cleanup


class Cleanup(Construct):
    """The clean-up of one SpiceDB; usable alone, beside a `Migration`.

    Its ServiceAccount may list Jobs and delete this release's migration, nothing else. Raises `InvalidProps` before it
    adds anything, also when there is nothing to migrate or the delivery has no hooks.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_cleanup(props)
        super().__init__(scope, id)
        self.job: ApiObject = add(self, cleanup_manifests(props))["Job"]
        """The Job, as the cdk8s object; patch it for what has no prop."""
