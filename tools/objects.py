"""Generates ``docs/reference/objects.md``, the list of all rendered objects: ``make reference``"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Autoscaling,
    BackupProps,
    Dashboard,
    ExternalService,
    GRPCRoute,
    Ingress,
    Monitoring,
    NetworkPolicies,
    PermissionTest,
    PodMonitor,
    PostgreSQL,
    SchemaProps,
    SecretKey,
    SpiceDBProps,
)
from cdk8s_spicedb.manifests import Manifest, release_manifests
from cdk8s_spicedb.props.fields import camel
from tools.pages import NOTE, REFERENCE
from tools.props import with_value

PAGE = REFERENCE / "objects.md"
_OPENING = (
    NOTE
    + """\
# All rendered objects

The names are those of a SpiceDB called `spicedb`. If yours has another name, it replaces `spicedb` everywhere.

**Applied** says when an object is applied. Helm installs, waits for and removes the objects *with the release*
together. The others are [hooks](../why/hooks.md): they run before the release, after it, or with `helm test`. Argo CD
has the same moments before and after ([delivery](../install/delivery.md)). With `kubectl apply` there are no hooks. So
there is no clean-up, and the names of Jobs end with a hash of what they run, as `-HASH` does below.

**Rendered** says which settings an object needs. *By default* means: unless you turn these settings off.

| Kind | Name | Applied | Rendered |
| --- | --- | --- | --- |
"""
)
_CLOSING = """
The ServiceAccount `spicedb-migration` is also rendered if the datastore has a `credentialsProvider`.

Secrets and Namespaces are never rendered. Create the Secrets that you name, and the Namespace, before you install.
"""
PLAIN = SpiceDBProps(version="v1.57.1", datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")))
_EVERYTHING = evolve(
    PLAIN,
    server=evolve(
        PLAIN.server,
        autoscaling=Autoscaling(max_replicas=10),
        external_service=ExternalService(),
        ingress=Ingress(host="spicedb.example.com"),
        grpc_route=GRPCRoute(gateway="gateway"),
        grpc_tls=TLS.from_secret("spicedb-grpc"),
        headless_service=True,
        dispatch_enabled=True,
    ),
    network_policies=NetworkPolicies(),
    monitoring=Monitoring(pod_monitor=PodMonitor(), alerts=Alerts(), dashboard=Dashboard()),
    schema=SchemaProps(text="definition user {}"),
    test=PermissionTest(resource="document", permission="read", subject="user"),
    backup=BackupProps(schedule="@daily"),
    service_account_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/spicedb"},
)
# By path of a prop, its value when it is off. The objects that are missing then are the ones that it renders.
_OFF: dict[str, Any] = {
    "migration.enabled": False,
    "cleanup.enabled": False,
    "server.dispatch_enabled": False,
    "server.disruption_budget": None,
    "server.autoscaling": None,
    "server.headless_service": False,
    "server.external_service": None,
    "server.ingress": None,
    "server.grpc_route": None,
    "network_policies": None,
    "monitoring.pod_monitor": None,
    "monitoring.alerts": None,
    "monitoring.dashboard": None,
    "schema": None,
    "test": None,
    "backup": None,
    "service_account_annotations": {},
    "rbac_create": False,
}
_MOMENTS = {
    None: "with the release",
    "pre-install,pre-upgrade": "before the release",
    "post-install,post-upgrade": "after the release",
    "test": "with `helm test`",
}
Name = tuple[str, str]


def page() -> str:
    """The page, Markdown."""
    everything = release_manifests(_EVERYTHING)
    without = {path: _names(with_value(_EVERYTHING, path, off)) for path, off in _OFF.items()}
    return _OPENING + "\n".join(_row(found, without, _names(PLAIN)) for found in everything) + "\n" + _CLOSING


def _row(manifest: Manifest, without: Mapping[str, set[Name]], plain: set[Name]) -> str:
    kind, name = _name(manifest)
    when = _MOMENTS[manifest["metadata"].get("annotations", {}).get("helm.sh/hook")]
    needs = [f"`{'.'.join(map(camel, path.split('.')))}`" for path, left in without.items() if (kind, name) not in left]
    return f"| {kind} | `{name}` | {when} | {_why(needs, (kind, name) in plain)} |"


def _why(needs: list[str], by_default: bool) -> str:
    if not needs:
        return "always"
    return f"by default ({', '.join(needs)})" if by_default else f"with {' and '.join(needs)}"


def _names(props: SpiceDBProps) -> set[Name]:
    return set(map(_name, release_manifests(props)))


def _name(manifest: Manifest) -> Name:
    # The hash would change with each version.
    name = re.sub("-[0-9a-f]{7}$", "-HASH", manifest["metadata"]["name"])
    return manifest["kind"], name


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
