"""How clients reach the servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..checks import instance, optional, text
from ..labels import annotations_check

if TYPE_CHECKING:
    from .exposure import ExternalService, GRPCRoute, Ingress


@frozen(kw_only=True, slots=False)
class Exposure:
    """The Services of the servers, and ways to them from outside."""

    service_annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """Annotations of the Service, for service meshes and the like. Default: none."""
    app_protocol: str | None = field(
        default=None,
        metadata=optional(
            text(
                r"([-a-z0-9.]+/)?[A-Za-z0-9][-A-Za-z0-9]*",
                "a protocol as Kubernetes or the mesh names it",
                "write 'kubernetes.io/h2c', or 'grpc' for Istio",
            )
        ),
    )
    """What the Services say that gRPC's port speaks (``appProtocol``), where a Gateway or a mesh does not tell it by
    the port's name, which is ``grpc``: ``kubernetes.io/h2c`` for gRPC without TLS. Default: nothing."""
    external_service: ExternalService | None = field(
        default=None,
        metadata=optional(
            instance(
                f"{__package__}.exposure:ExternalService",
                "ExternalService(…)",
                "write external_service=ExternalService()",
            )
        ),
    )
    """A Service for clients outside the cluster. Default: none."""
    ingress: Ingress | None = field(
        default=None,
        metadata=optional(
            instance(f"{__package__}.exposure:Ingress", "Ingress(host=…)", "write ingress=Ingress(host='…')")
        ),
    )
    """An Ingress for clients outside the cluster. Default: none."""
    grpc_route: GRPCRoute | None = field(
        default=None,
        metadata=optional(
            instance(f"{__package__}.exposure:GRPCRoute", "GRPCRoute(gateway=…)", "write GRPCRoute(gateway='…')")
        ),
    )
    """A GRPCRoute for clients outside the cluster. Default: none."""
