"""The servers: Deployment, Service, ServiceAccount, and the Role with which they find each other."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from .manifests import server_manifests
from .objects import add, require_once
from .props import SpiceDBProps
from .warning import warn_of_unknown_version


class Server(Construct):
    """The servers of one SpiceDB.

    Raises `InvalidProps` before it adds anything.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        super().__init__(scope, id)
        warn_of_unknown_version(props)
        added = add(self, server_manifests(props))
        self.service: ApiObject = added["Service"]
        """The Service, as the cdk8s object; patch it for what has no prop."""
        self.deployment: ApiObject = added["Deployment"]
        """The Deployment, as the cdk8s object; patch it for what has no prop."""
