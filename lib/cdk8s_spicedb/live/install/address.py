"""How clients reach a SpiceDB that was installed."""

from __future__ import annotations

import shlex

from attrs import frozen

from ...manifests.pods import GRPC, service_port
from ...props import SpiceDBProps
from ..cluster import Cluster


@frozen(kw_only=True)
class Address:
    """How clients reach a SpiceDB."""

    address: str
    """Host and port in the cluster."""
    tls: bool
    """Whether clients must use TLS."""
    forward: str
    """Command that lets this machine connect."""
    local: str
    """Host and port on this machine while that command runs."""
    secret: str
    """Name of the Secret that has the API key."""
    key: str
    """Key of the Secret under which the API key is."""
    key_command: str
    """Command that prints the API key."""


def address_of(cluster: Cluster, props: SpiceDBProps) -> Address:
    """How clients reach the SpiceDB of these props."""
    port, own, options = service_port(props, GRPC), props.server.grpc_port, cluster.options()
    secret, key = str(props.preshared_key.name), props.preshared_key.key
    path = shlex.quote("{.data." + key.replace(".", "\\.") + "}")
    return Address(
        address=f"{props.name}.{cluster.namespace}:{port}",
        tls=props.server.grpc_tls is not None,
        forward=f"kubectl port-forward service/{props.name} {own if own == port else f'{own}:{port}'} {options}",
        local=f"localhost:{own}",
        secret=secret,
        key=key,
        key_command=f"kubectl get secret {secret} --output jsonpath={path} {options} | base64 --decode",
    )
