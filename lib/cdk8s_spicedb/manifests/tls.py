"""What servers are told of TLS, and the files for it."""

from __future__ import annotations

from ..props import ServerProps
from ..props.secrets import SecretFiles
from .ports import DISPATCH, GRPC, HTTP, METRICS

_FLAGS = {GRPC: "grpc", HTTP: "http", METRICS: "metrics", DISPATCH: "dispatch-cluster"}
"""By port, the beginning of its flags."""
_FOLDER, _CA = "/etc/spicedb/tls", "dispatch-ca.crt"


def tls_files(server: ServerProps) -> tuple[SecretFiles, ...]:
    """The certificates and keys of all ports, in one folder."""
    files = {}
    for port, tls in server.tls.items():
        files.update({f"{port}.crt": tls.certificate, f"{port}.key": tls.key})
    if server.dispatch_tls:
        files[_CA] = server.dispatch_tls.ca
    # A whole folder, because Kubernetes never renews a file that is mounted by itself.
    return (SecretFiles("tls", _FOLDER, files),) if files else ()


def tls_settings(server: ServerProps) -> dict[str, str]:
    """By flag, the path of its file."""
    settings = {}
    for port in server.tls:
        settings[f"{_FLAGS[port]}-tls-cert-path"] = f"{_FOLDER}/{port}.crt"
        settings[f"{_FLAGS[port]}-tls-key-path"] = f"{_FOLDER}/{port}.key"
    if server.dispatch_tls:
        settings["dispatch-upstream-ca-path"] = f"{_FOLDER}/{_CA}"
    return settings
