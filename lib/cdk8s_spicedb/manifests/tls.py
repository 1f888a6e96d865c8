"""TLS settings of the servers, and the files that they name."""

from __future__ import annotations

from ..props import ServerProps
from ..props.secrets import SecretFiles, SecretKey
from .ports import DISPATCH, GRPC, HTTP, METRICS

_FLAGS = {GRPC: "grpc", HTTP: "http", METRICS: "metrics", DISPATCH: "dispatch-cluster"}
"""The prefix of each port's flags."""
_FOLDER = "/etc/spicedb/tls"


def _files(server: ServerProps) -> dict[str, tuple[str, SecretKey]]:
    """The name of each file and the Secret key that holds it, by flag."""
    files = {}
    for port, tls in server.tls.items():
        files[f"{_FLAGS[port]}-tls-cert-path"] = (f"{port}.crt", tls.certificate)
        files[f"{_FLAGS[port]}-tls-key-path"] = (f"{port}.key", tls.key)
    if server.dispatch_tls:
        files["dispatch-upstream-ca-path"] = ("dispatch-ca.crt", server.dispatch_tls.ca)
    return files


def tls_files(server: ServerProps) -> tuple[SecretFiles, ...]:
    """The certificates and keys of all ports, in one folder."""
    files = dict(_files(server).values())
    # A whole folder, because Kubernetes does not update a file that is mounted by itself.
    return (SecretFiles("tls", _FOLDER, files),) if files else ()


def tls_settings(server: ServerProps) -> dict[str, str]:
    """The paths of the files, by flag."""
    return {flag: f"{_FOLDER}/{file}" for flag, (file, _) in _files(server).items()}
