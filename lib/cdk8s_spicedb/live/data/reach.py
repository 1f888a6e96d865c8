"""Connects this machine to the servers in a cluster, as one of their clients."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from attrs import frozen
from cryptography import x509

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...props import ServerProps
from ...props.flags import PRESHARED_KEY, flag_of, variable_name
from ...props.server import GRPC_ADDRESS
from ..cluster import SECRET, Cluster
from ..instance import MissingError, Running, find_running
from ..pods import container_of
from ..programs import kubectl, running
from .server import Server

_KEY = variable_name(PRESHARED_KEY)
_CERTIFICATE = flag_of(ServerProps, "grpc_tls.certificate")
_PORT = "50051"
_FORWARDS = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@frozen
class Trust:
    """How to verify the certificate of the servers."""

    ca: bytes
    hostname: str
    """A name that the certificate contains."""


@contextmanager
def reaching(cluster: Cluster, name: str) -> Iterator[Server]:
    """Connects to the servers of a Deployment through ``kubectl port-forward``, until the context ends.

    Reads the preshared key from its Secret and, if the servers use TLS, the CA from the Secret of their certificate.
    Raises `SpiceDBError` if one of them is missing.
    """
    found = find_running(cluster, name)
    if found is None:
        raise MissingError(name, cluster.namespace)
    key, trust = _preshared_key(cluster, found), _trust(cluster, found)
    port = found.arguments.get(GRPC_ADDRESS, _PORT).rpartition(":")[2]
    with _forwarding(cluster, f"deployment/{name}", port) as address:
        yield Server.connect(address, key, ca=trust.ca if trust else None, hostname=trust.hostname if trust else "")


@contextmanager
def reaching_pod(cluster: Cluster, name: str, key: str) -> Iterator[Server]:
    """Connects to a server in a pod, which has the default port and no TLS, until the context ends."""
    with _forwarding(cluster, f"pod/{name}", _PORT) as address:
        yield Server.connect(address, key)


@contextmanager
def _forwarding(cluster: Cluster, what: str, port: str) -> Iterator[str]:
    """The address on this machine from which kubectl forwards."""
    command = kubectl(cluster, "port-forward", what, f":{port}", "--address", "127.0.0.1")
    with running(command, cluster, until=_FORWARDS) as printed:
        yield f"127.0.0.1:{printed[1]}"


def _preshared_key(cluster: Cluster, found: Running) -> str:
    variables = container_of(found.template).get("env", ())
    variable: Mapping[str, Manifest] = next((each for each in variables if each["name"] == _KEY), {})
    reference = variable.get("valueFrom", {}).get("secretKeyRef")
    if reference is None:
        raise SpiceDBError(f"the Deployment {found.name} does not read its preshared key from a Secret")
    # The servers accept each of several keys.
    return _value(cluster, reference["name"], reference["key"]).decode().split(",")[0].strip()


def _trust(cluster: Cluster, found: Running) -> Trust | None:
    path = found.arguments.get(_CERTIFICATE)
    if path is None:
        return None
    folder, _, file = path.rpartition("/")
    mounts = container_of(found.template).get("volumeMounts", ())
    volume = next((each["name"] for each in mounts if each["mountPath"].rstrip("/") == folder), None)
    volumes = found.template["spec"].get("volumes", ())
    secret = next((each.get("secret", {}).get("secretName") for each in volumes if each["name"] == volume), None)
    if secret is None:
        raise SpiceDBError(f"the certificate of {found.name} ({path}) is not from a Secret")
    certificate = x509.load_pem_x509_certificate(_value(cluster, secret, file))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return Trust(_value(cluster, secret, "ca.crt"), names.get_values_for_type(x509.DNSName)[0])


def _value(cluster: Cluster, name: str, key: str) -> bytes:
    secret = cluster.get(SECRET, name) or {}
    try:
        return base64.b64decode(secret["data"][key], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise SpiceDBError(f"the Secret {name} in the namespace {cluster.namespace} has no {key}") from None
