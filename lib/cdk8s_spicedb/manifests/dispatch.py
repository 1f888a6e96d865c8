"""How servers find each other, to share the work of a request.

Each watches the Endpoints of a headless Service for it. There is one for servers with TLS between them and one for
those without, both always: in a roll-out that switches TLS or dispatch itself, servers before it and after it cannot
talk to each other, and so find their own kind alone. A Service with one port, by the name that pods give it, leaves out
pods without such a port; in one with several, SpiceDB would take another port of theirs.
"""

from __future__ import annotations

from ..labels import Component, selector_labels
from ..props import SpiceDBProps
from ..props.flags import Setting
from .metadata import Objects, api_rule
from .ports import DISPATCH, DISPATCH_TLS, NUMBERS, dispatch_port, dispatch_service
from .template import Manifest


def dispatch_manifests(props: SpiceDBProps, objects: Objects) -> list[Manifest]:
    """The Services, and the right to watch the one that counts."""
    if props.datastore.max_replicas == 1:
        return []
    # SpiceDB resolves kubernetes:///… by reading and watching the Endpoints of that one Service.
    rule = api_rule("endpoints", "get", "watch", name=dispatch_service(props, dispatch_port(props)))
    return [
        *(objects.role(rule, account=props.service_account) if props.dispatches else []),
        *(
            objects.make("Service", {"spec": _spec(props, port)}, name=dispatch_service(props, port))
            for port in (DISPATCH, DISPATCH_TLS)
        ),
    ]


def dispatch_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """By flag, what servers are told of it."""
    if not props.dispatches:
        return {}
    port = dispatch_port(props)
    return {
        "dispatch-cluster-enabled": True,
        # Without a namespace it is the pod's own.
        "dispatch-upstream-addr": f"kubernetes:///{dispatch_service(props, port)}:{port}",
    }


def _spec(props: SpiceDBProps, port: str) -> Manifest:
    return {
        "clusterIP": "None",
        "selector": selector_labels(props.name, Component.SERVER),
        "ports": [{"name": port, "port": NUMBERS[port], "targetPort": port}],
    }
