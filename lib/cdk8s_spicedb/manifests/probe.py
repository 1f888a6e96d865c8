"""What Kubernetes asks the servers."""

from __future__ import annotations

from ..props import ServerProps
from .ports import GRPC, NUMBERS
from .template import Manifest

_TLS_PROBE = ("grpc_health_probe", f"-addr=:{NUMBERS[GRPC]}", "-tls", "-tls-no-verify")
"""Kubernetes' own gRPC probe knows no TLS; this program is in SpiceDB's image. It asks its own pod, so there is nobody
whose certificate would have to be checked."""


def probes(server: ServerProps) -> Manifest:
    """The probes of the servers' container."""
    ready = {"exec": {"command": list(_TLS_PROBE)}} if server.grpc_tls else {"grpc": {"port": NUMBERS[GRPC]}}
    listens = {"tcpSocket": {"port": GRPC}}
    return {
        # SpiceDB answers that it serves once the datastore's schema is one that it can work with.
        "readinessProbe": {**ready, **server.readiness_probe.manifest()},
        # Not the same question: a server that waits for a migration, or for a slow database, must not be killed.
        "livenessProbe": {**listens, **server.liveness_probe.manifest()},
        **({"startupProbe": {**listens, **server.startup_probe.manifest()}} if server.startup_probe else {}),
    }
