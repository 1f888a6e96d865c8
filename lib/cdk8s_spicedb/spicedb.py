"""SpiceDB: servers, migration and clean-up as one construct."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cdk8s import Chart
from constructs import Construct

from .checks import show
from .cleanup import Cleanup
from .errors import InvalidProps, Problem
from .labels import Component, selector_labels
from .manifests import release_manifests, schema_manifests, test_manifests
from .migration import Migration
from .objects import add, require_once
from .ports import GRPC, HTTP, NUMBERS, open_ports
from .props import SpiceDBProps
from .server import Server

if TYPE_CHECKING:
    from cdk8s_plus_27 import EnvValue, Pods, SecretValue

_NAMES: WeakKeyDictionary[Chart, dict[str, SpiceDB]] = WeakKeyDictionary()
"""By chart, the names that are taken, and what has them."""


def _require_free_name(name: str, taken: Mapping[str, Construct]) -> None:
    if name in taken:
        allowed = "a name that no other SpiceDB in the chart has"
        fix = f"choose another; {taken[name].node.path} has it"
        raise InvalidProps("SpiceDBProps", [Problem("name", show(name), allowed, fix)])


class SpiceDB(Construct):
    """One SpiceDB in a chart: its servers, its migration and its clean-up.

    Raises `InvalidProps` with every problem of the props before it adds anything. Several SpiceDBs in one chart,
    or in one namespace, need different names.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        names = _NAMES.setdefault(scope if isinstance(scope, Chart) else Chart.of(scope), {})
        _require_free_name(props.name, names)
        if props.patches:
            release_manifests(props)  # raises where one does not fit
        super().__init__(scope, id)
        names[props.name] = self
        self._checked = self.props = props
        """What it was made from."""
        self.migration = Migration(self, "migration", props) if props.migrates else None
        """The migration; None with the memory engine and where it is disabled."""
        self.server = Server(self, "server", props)
        """The servers."""
        if props.schema:
            add(Construct(self, "schema"), schema_manifests(props, props.schema))
        self.cleanup = Cleanup(self, "cleanup", props) if props.cleans_up else None
        """The clean-up; None where there is no migration, where it is disabled, and where the delivery has no hooks."""

        if props.test:
            add(Construct(self, "test"), test_manifests(props, props.test))

    @property
    def service_name(self) -> str:
        """The name of the Service."""
        return self.props.name

    @property
    def grpc_address(self) -> str:
        """Where clients in the cluster reach it: ``NAME:50051``, with the chart's namespace when it has one."""
        return self._address(GRPC)

    @property
    def http_address(self) -> str | None:
        """Where clients in the cluster reach the HTTP gateway; None unless ``ServerProps.http_enabled``."""
        return self._address(HTTP) if HTTP in open_ports(self.props) else None

    @property
    def labels(self) -> dict[str, str]:
        """The labels that select the servers' pods, for what an app points at them."""
        return selector_labels(self.props.name, Component.SERVER)

    @cached_property
    def pods(self) -> Pods:
        """The servers' pods as cdk8s-plus' ``Pods``: a peer in NetworkPolicies.

        A policy that lets clients *in* shuts out whoever it does not name: name these pods too, at port 50053, where
        they dispatch to each other, and who reads metrics. A policy of the client's own egress needs no such care.
        """
        from cdk8s_plus_27 import Pods

        return Pods.select(self, "pods", labels=self.labels)

    @property
    def client_ports(self) -> list[int]:
        """The ports of the servers that are for clients: gRPC, and HTTP where it is enabled."""
        return [NUMBERS[name] for name in (GRPC, HTTP) if name in open_ports(self.props)]

    def client_env(self, *, endpoint: str = "SPICEDB_ENDPOINT", token: str = "SPICEDB_TOKEN") -> dict[str, EnvValue]:
        """What a client's container needs to connect, as cdk8s-plus' ``env_variables``.

        Two variables: ``endpoint``, the address of gRPC, and ``token``, the preshared key from its Secret, which has
        to be in the client's namespace. The names' defaults are this package's own; clients have none in common.
        """
        from cdk8s_plus_27 import EnvValue

        return {endpoint: EnvValue.from_value(self.grpc_address), token: EnvValue.from_secret_value(self._token)}

    @cached_property
    def _token(self) -> SecretValue:
        from cdk8s_plus_27 import Secret, SecretValue

        key = self.props.preshared_key
        return SecretValue(secret=Secret.from_secret_name(self, "preshared-key", str(key.name)), key=key.key)

    def _address(self, port: str) -> str:
        namespace = Chart.of(self).namespace
        return f"{self.service_name}{f'.{namespace}' if namespace else ''}:{NUMBERS[port]}"
