"""The servers: Deployment, Services, ServiceAccount, and the Role by which they find each other."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from ..manifests import server_manifests
from ..props import SpiceDBProps
from ..props.rules.warnings import version_warning, warn
from .objects import add, require_once


class Server(Construct):
    """The servers of one SpiceDB.

    Raises `InvalidProps` before it adds anything.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        super().__init__(scope, id)
        warn(props, version_warning(props))
        added = add(self, server_manifests(props))
        self.service: ApiObject = added["Service"]
        """The Service, a cdk8s object. Patch it for settings that have no prop."""
        self.deployment: ApiObject = added["Deployment"]
        """The Deployment, a cdk8s object. Patch it for settings that have no prop."""
