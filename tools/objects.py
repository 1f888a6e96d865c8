"""Writes ``docs/reference/objects.md``, every object that is rendered, anew: ``make reference``"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Autoscaling,
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

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "objects.md"
_OPENING = """\
# Every object that is rendered

For a SpiceDB called `spicedb`; another name takes its place everywhere. *With the release* is what Helm installs, waits
for and removes as one; hooks come before it, after it, or with `helm test`. Argo CD has the same moments
([ways to deliver it](../explanation/delivery.md)); with `kubectl apply` there are none, so there is no clean-up, and
the names of Jobs end with a hash of what they run. `make reference` writes this page from what is rendered.

| Kind | Name | When | Is there |
| --- | --- | --- | --- |
"""
_CLOSING = """
Secrets are never rendered: they are named, and have to be there before the release. So are Namespaces, which hold other
things as well.
"""
PLAIN = SpiceDBProps(version="v1.56.0", datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")))
_EVERYTHING = evolve(
    PLAIN,
    server=evolve(
        PLAIN.server,
        autoscaling=Autoscaling(max_replicas=10),
        external_service=ExternalService(),
        ingress=Ingress(host="spicedb.example.com"),
        grpc_route=GRPCRoute(gateway="gateway"),
        grpc_tls=TLS.from_secret("spicedb-grpc"),
    ),
    network_policies=NetworkPolicies(),
    monitoring=Monitoring(pod_monitor=PodMonitor(), alerts=Alerts(), dashboard=Dashboard()),
    schema=SchemaProps(text="definition user {}"),
    test=PermissionTest(resource="document", permission="read", subject="user"),
    service_account_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/spicedb"},
)
# By what is said of it, the same without it: what is missing then is there because of it.
_WITHOUT: dict[str, Callable[[SpiceDBProps], SpiceDBProps]] = {
    "`migration.enabled`": lambda props: evolve(props, migration=evolve(props.migration, enabled=False)),
    "`cleanup.enabled`": lambda props: evolve(props, cleanup=evolve(props.cleanup, enabled=False)),
    "`server.dispatch_enabled`": lambda props: _server(props, dispatch_enabled=False),
    "`server.disruption_budget`": lambda props: _server(props, disruption_budget=None),
    "`server.autoscaling`": lambda props: _server(props, autoscaling=None),
    "`server.external_service`": lambda props: _server(props, external_service=None),
    "`server.ingress`": lambda props: _server(props, ingress=None),
    "`server.grpc_route`": lambda props: _server(props, grpc_route=None),
    "`network_policies`": lambda props: evolve(props, network_policies=None),
    "`monitoring.pod_monitor`": lambda props: _monitoring(props, pod_monitor=None),
    "`monitoring.alerts`": lambda props: _monitoring(props, alerts=None),
    "`monitoring.dashboard`": lambda props: _monitoring(props, dashboard=None),
    "`schema`": lambda props: evolve(props, schema=None),
    "`test`": lambda props: evolve(props, test=None),
    "`service_account_annotations`": lambda props: evolve(props, service_account_annotations={}),
}
_MOMENTS = {
    None: "with the release",
    "pre-install,pre-upgrade": "before it",
    "post-install,post-upgrade": "after it",
    "test": "with `helm test`",
}
Name = tuple[str, str]


def page() -> str:
    """The page, Markdown."""
    return _OPENING + "\n".join(map(_row, release_manifests(_EVERYTHING))) + "\n" + _CLOSING


def _server(props: SpiceDBProps, **changed: Any) -> SpiceDBProps:
    return evolve(props, server=evolve(props.server, **changed))


def _monitoring(props: SpiceDBProps, **changed: Any) -> SpiceDBProps:
    return evolve(props, monitoring=evolve(props.monitoring, **changed))


def _row(manifest: Manifest) -> str:
    kind, name = _name(manifest)
    when = _MOMENTS[manifest["metadata"].get("annotations", {}).get("helm.sh/hook")]
    return f"| {kind} | `{name}` | {when} | {_why((kind, name))} |"


def _why(name: Name) -> str:
    needs = [said for said, without in _WITHOUT.items() if name not in _names(without(_EVERYTHING))]
    if not needs:
        return "always"
    if name in _names(PLAIN):
        return f"by default ({', '.join(needs)})"
    return f"with {' and '.join(needs)}"


def _names(props: SpiceDBProps) -> set[Name]:
    return set(map(_name, release_manifests(props)))


def _name(manifest: Manifest) -> Name:
    return manifest["kind"], manifest["metadata"]["name"]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
