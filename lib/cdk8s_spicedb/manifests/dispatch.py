"""How servers find each other to share the work of a request.

Each server watches the Endpoints of a headless Service. There are always two such Services: one for servers with TLS
between them, and one for servers without. During a roll-out that enables or disables TLS or dispatch, old and new
servers cannot connect to each other. With two Services, each server finds only servers like itself.

Each Service has one port, which it finds in the pods by name, so pods without that port are not among its Endpoints. If
a Service had several ports, SpiceDB would connect to another port of such pods.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..props import SpiceDBProps
from ..props.flags import Setting
from .manifest import Manifest
from .metadata import Objects, api_rule
from .ports import DISPATCH, DISPATCH_TLS, NUMBERS, dispatch_port, dispatch_service


def dispatch_manifests(objects: Objects) -> Iterator[Manifest]:
    """The Services, and the right to watch the one that the servers use."""
    props = objects.props
    if props.datastore.max_replicas == 1:
        return
    if props.dispatches:
        # SpiceDB resolves kubernetes:///… by reading and watching the Endpoints of that one Service.
        rule = api_rule("endpoints", "get", "watch", name=dispatch_service(props, dispatch_port(props)))
        yield from objects.role(rule, account=props.service_account)
    for port in (DISPATCH, DISPATCH_TLS):
        spec = {
            "clusterIP": "None",
            "selector": objects.selector,
            "ports": [{"name": port, "port": NUMBERS[port], "targetPort": port}],
        }
        yield objects.make("v1", "Service", spec=spec, name=dispatch_service(props, port))


def dispatch_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """Dispatch settings of the servers, by flag."""
    if not props.dispatches:
        return {}
    port = dispatch_port(props)
    return {
        "dispatch-cluster-enabled": True,
        # Without a namespace, SpiceDB uses the pod's own.
        "dispatch-upstream-addr": f"kubernetes:///{dispatch_service(props, port)}:{port}",
    }
