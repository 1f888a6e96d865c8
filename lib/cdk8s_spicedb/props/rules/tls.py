"""Certificates of ports."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..annotations import rule
from ..server import ServerProps
from ..tls import TLS


@rule(ServerProps)
def certificates_are_for_open_ports(
    http_tls: TLS | None,
    http_enabled: bool,
    metrics_tls: TLS | None,
    metrics_enabled: bool,
    dispatch_tls: TLS | None,
    dispatch_enabled: bool | None,
) -> Iterator[Problem]:
    ports = {
        "http": (http_tls, http_enabled),
        "metrics": (metrics_tls, metrics_enabled),
        "dispatch": (dispatch_tls, dispatch_enabled),
    }
    for port, (tls, enabled) in ports.items():
        if tls is not None and enabled is False:
            allowed, fix = f"None with {port}_enabled=False", f"remove it, or use {port}_enabled=True"
            yield Problem(f"{port}_tls", "(set)", allowed, fix)
