"""SpiceDB: servers, migration and clean-up in one construct."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cdk8s import Chart
from constructs import Construct

from ..errors import InvalidProps, Problem
from ..labels import Component, selector_labels
from ..manifests import release_manifests, schema_manifests, test_manifests
from ..manifests.pods import GRPC, HTTP, NUMBERS, open_ports
from ..props import SpiceDBProps, require
from ..props.fieldtypes import show
from .parts import Cleanup, Migration, Server, add, require_once

if TYPE_CHECKING:
    from cdk8s_plus_27 import EnvValue, Pods, SecretValue


_NAMES: WeakKeyDictionary[Chart, dict[str, SpiceDB]] = WeakKeyDictionary()
"""The SpiceDBs of each chart, by name."""


def _require_free_name(name: str, taken: Mapping[str, Construct]) -> None:
    if name in taken:
        allowed = "a name that no other SpiceDB in the chart has"
        fix = f"use another; {taken[name].node.path} has this one"
        raise InvalidProps("SpiceDBProps", [Problem("name", show(name), allowed, fix)])


class SpiceDB(Construct):
    """One SpiceDB: its servers, its migration and its clean-up.

    Raises `InvalidProps` with every problem of the props before it adds anything. Several SpiceDBs in one chart or one
    namespace need different names.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        names = _NAMES.setdefault(scope if isinstance(scope, Chart) else Chart.of(scope), {})
        _require_free_name(props.name, names)
        if props.patches:
            release_manifests(props)  # Raises if a patch does not fit.
        super().__init__(scope, id)
        names[props.name] = self
        self._checked = self.props = props
        """Its props."""
        self.migration = Migration(self, "migration", props) if props.migrates else None
        """The migration. None with the memory engine, and if it is disabled."""
        self.server = Server(self, "server", props)
        """The servers."""
        if props.schema:
            add(Construct(self, "schema"), schema_manifests(props, props.schema))
        self.cleanup = Cleanup(self, "cleanup", props) if props.cleans_up else None
        """The clean-up. None without a migration, if it is disabled, and if the delivery has no hooks."""
        if props.test:
            add(Construct(self, "test"), test_manifests(props, props.test))

    @property
    def service_name(self) -> str:
        """Name of the Service."""
        return self.props.name

    @property
    def grpc_address(self) -> str:
        """Address of gRPC in the cluster: ``NAME:50051``, or ``NAME.NAMESPACE:50051`` if the chart has a namespace."""
        return self._address(GRPC)

    @property
    def http_address(self) -> str | None:
        """Address of the HTTP gateway in the cluster. None unless ``ServerProps.http_enabled``."""
        return self._address(HTTP) if HTTP in open_ports(self.props) else None

    @property
    def labels(self) -> dict[str, str]:
        """Labels that select the servers' pods, for objects of your app."""
        return selector_labels(self.props.name, Component.SERVER)

    @cached_property
    def pods(self) -> Pods:
        """The servers' pods as a cdk8s-plus ``Pods``, a peer for NetworkPolicies.

        An ingress policy for these pods denies every client that it does not name. Name these pods too, at port 50053,
        where they dispatch to each other, and the clients of the metrics. An egress policy of a client needs neither.
        """
        from cdk8s_plus_27 import Pods

        return Pods.select(self, "pods", labels=self.labels)

    @property
    def client_ports(self) -> list[int]:
        """Ports of the servers for clients: gRPC, and HTTP if it is enabled."""
        return [NUMBERS[name] for name in (GRPC, HTTP) if name in open_ports(self.props)]

    def client_env(self, *, endpoint: str = "SPICEDB_ENDPOINT", token: str = "SPICEDB_TOKEN") -> dict[str, EnvValue]:
        """Environment variables with which a client connects, for cdk8s-plus' ``env_variables``.

        The variable ``endpoint`` holds the address of gRPC, and ``token`` the preshared key from its Secret, which must
        be in the client's namespace. The default names are this package's own: clients share no convention.
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


class SpiceDBChart(Chart):
    """A cdk8s chart that contains one SpiceDB. It becomes one file of manifests, named after ``id``.

    Raises `InvalidProps` with every problem of the props before it adds anything.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        props: SpiceDBProps,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Adds ``namespace`` and ``labels`` to every object. The namespace defaults to the one you install into."""
        require(props)
        super().__init__(scope, id, namespace=namespace, labels=labels)
        self._checked = props
        self.spicedb = SpiceDB(self, "spicedb", props)
        """The SpiceDB."""
