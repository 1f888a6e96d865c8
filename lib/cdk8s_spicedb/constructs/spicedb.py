"""SpiceDB as cdk8s constructs: its parts, and all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary

from cdk8s import ApiObject, ApiObjectMetadata, Chart, JsonPatch
from constructs import Construct

from ..errors import InvalidProps, Problem
from ..labels import Component, selector_labels
from ..manifests import (
    Manifest,
    backup_manifests,
    cleanup_manifests,
    migration_manifests,
    release_manifests,
    schema_manifests,
    server_manifests,
    test_manifests,
)
from ..manifests.network import SERVICE_CONFIG
from ..manifests.pods import GRPC, HTTP, open_ports, service_port
from ..props import SpiceDBProps, require, require_cleanup, require_migration
from ..props.fieldtypes import show
from ..props.rules.arguments import flag_warnings
from ..props.rules.warnings import (
    image_warning,
    phase_warning,
    target_warning,
    version_warning,
    warn,
    warn_of_advisories,
)

if TYPE_CHECKING:
    from cdk8s_plus_27 import EnvValue, Pods


def require_once(scope: Construct, props: SpiceDBProps) -> None:
    """Checks props, unless ``scope`` is a construct of this package that has checked the same props."""
    if getattr(scope, "_checked", None) is not props:
        require(props)


def add(scope: Construct, manifests: Iterable[Manifest]) -> dict[str, ApiObject]:
    """Adds objects to a construct. Returns the first of each kind."""
    added: dict[str, ApiObject] = {}
    for manifest in manifests:
        fields = {**manifest}
        version, kind, metadata = (fields.pop(name) for name in ("apiVersion", "kind", "metadata"))
        path = (f"{kind}-{metadata['name']}" if kind in added else kind).lower()
        found = ApiObject(scope, path, api_version=version, kind=kind, metadata=ApiObjectMetadata(**metadata))
        found.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
        added.setdefault(kind, found)
    return added


class Server(Construct):
    """The servers of one SpiceDB.

    Raises `InvalidProps` before it adds anything.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        super().__init__(scope, id)
        warn(props, version_warning(props), image_warning(props), *flag_warnings(props))
        warn_of_advisories(props)
        added = add(self, server_manifests(props))
        self.service: ApiObject = added["Service"]
        """The Service, a cdk8s object. Patch it for settings that have no prop."""
        self.deployment: ApiObject = added["Deployment"]
        """The Deployment, a cdk8s object. Patch it for settings that have no prop."""


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


_T = TypeVar("_T")
_EnvValue = TypeVar("_EnvValue", covariant=True)
_Pods = TypeVar("_Pods", covariant=True)


class Plus(Protocol[_EnvValue, _Pods]):
    """The module of any version of cdk8s-plus, such as ``cdk8s_plus_27``. Its classes differ from those of others."""

    @property
    def EnvValue(self) -> type[_EnvValue]: ...  # noqa: N802

    @property
    def Pods(self) -> type[_Pods]: ...  # noqa: N802

    @property
    def Secret(self) -> type[Any]: ...  # noqa: N802

    @property
    def SecretValue(self) -> type[Any]: ...  # noqa: N802


_NAMES: WeakKeyDictionary[Chart, dict[str, SpiceDB]] = WeakKeyDictionary()
"""The SpiceDBs of each chart, by name."""


class SpiceDB(Construct):
    """One SpiceDB: its servers, its migration and its clean-up.

    Raises `InvalidProps` with every problem of the props before it adds anything. Several SpiceDBs in one chart or one
    namespace need different names.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        names = _NAMES.setdefault(scope if isinstance(scope, Chart) else Chart.of(scope), {})
        if props.name in names:
            allowed = "a name that no other SpiceDB in the chart has"
            fix = f"use another; {names[props.name].node.path} has this one"
            raise InvalidProps("SpiceDBProps", [Problem("name", show(props.name), allowed, fix)])
        if props.patches:
            release_manifests(props)  # Raises if a patch does not fit.
        super().__init__(scope, id)
        names[props.name] = self
        self._made: dict[tuple[str, str], Any] = {}
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
        if props.backup:
            add(Construct(self, "backup"), backup_manifests(props, props.backup))
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
    def client_address(self) -> str:
        """Address of gRPC for clients that survive the loss of a server: ``dns:///NAME-headless.NAMESPACE:50051`` if
        ``ServerProps.headless_service``, otherwise `grpc_address`. With TLS, the certificate must contain its name."""
        if not self.props.server.headless_service:
            return self.grpc_address
        return f"dns:///{self._host('-headless')}:{open_ports(self.props)[GRPC]}"

    @property
    def http_address(self) -> str | None:
        """Address of the HTTP gateway in the cluster. None unless ``ServerProps.http_enabled``."""
        return self._address(HTTP) if HTTP in open_ports(self.props) else None

    @property
    def labels(self) -> dict[str, str]:
        """Labels that select the servers' pods, for objects of your app."""
        return selector_labels(self.props.name, Component.SERVER)

    @property
    def pods(self) -> Pods:
        """The servers' pods as a ``Pods`` of cdk8s-plus-27, a peer for NetworkPolicies.

        Use `select_pods` if your app uses another version of cdk8s-plus.

        An ingress policy for these pods denies every client that it does not name. Name these pods too, at port 50053,
        where they dispatch to each other, and the clients of the metrics. An egress policy of a client needs neither.
        """
        import cdk8s_plus_27

        return self.select_pods(cdk8s_plus_27)

    def select_pods(self, plus: Plus[Any, _T]) -> _T:
        """The same as `pods`, from the version of cdk8s-plus that you pass: its module, such as ``cdk8s_plus_33``."""
        kind: Any = plus.Pods
        pods: _T = self._once(plus, "pods", lambda path: kind.select(self, path, labels=self.labels))
        return pods

    @property
    def client_ports(self) -> list[int]:
        """Ports of the servers for clients: gRPC, and HTTP if it is enabled."""
        ports = open_ports(self.props)
        return [ports[name] for name in (GRPC, HTTP) if name in ports]

    @overload
    def client_env(
        self, *, endpoint: str = ..., token: str = ..., service_config: str = ...
    ) -> dict[str, EnvValue]: ...

    @overload
    def client_env(
        self, *, endpoint: str = ..., token: str = ..., service_config: str = ..., plus: Plus[_T, Any]
    ) -> dict[str, _T]: ...

    def client_env(
        self,
        *,
        endpoint: str = "SPICEDB_ENDPOINT",
        token: str = "SPICEDB_TOKEN",
        service_config: str = "SPICEDB_SERVICE_CONFIG",
        plus: Any = None,
    ) -> dict[str, Any]:
        """Environment variables with which a client connects, for cdk8s-plus' ``env_variables``.

        The variable ``endpoint`` holds `client_address`, ``token`` the preshared key from its Secret, which must be in
        the client's namespace, and ``service_config`` a gRPC service config (JSON). With it, clients send a request
        again if its connection was closed and, with ``ServerProps.headless_service``, have a connection to each server.
        Keepalive and timeouts belong in the client's code: see docs/configure/clients.md. The default names are this
        package's own: clients share no convention.

        ``plus`` is the module of the cdk8s-plus that your app uses, such as ``cdk8s_plus_33``. It defaults to
        ``cdk8s_plus_27``. Another version of cdk8s-plus does not accept the values.
        """
        if plus is None:
            import cdk8s_plus_27 as plus
        name, key = str(self.props.preshared_key.name), self.props.preshared_key.key
        secret = self._once(plus, "preshared-key", lambda path: plus.Secret.from_secret_name(self, path, name))
        value = plus.EnvValue.from_secret_value(plus.SecretValue(secret=secret, key=key))
        return {
            endpoint: plus.EnvValue.from_value(self.client_address),
            token: value,
            service_config: plus.EnvValue.from_value(SERVICE_CONFIG),
        }

    def _once(self, plus: Plus[Any, Any], id: str, make: Callable[[str], Any]) -> Any:
        """Makes a construct of a cdk8s-plus at the first call. With only one version of it, ids do not change."""
        module = plus.Pods.__module__
        if (module, id) not in self._made:
            taken = any(other == id for _, other in self._made)
            self._made[module, id] = make(f"{id}-{module}" if taken else id)
        return self._made[module, id]

    def _address(self, port: str) -> str:
        return f"{self._host()}:{service_port(self.props, port)}"

    def _host(self, suffix: str = "") -> str:
        namespace = Chart.of(self).namespace
        return f"{self.service_name}{suffix}{f'.{namespace}' if namespace else ''}"


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
