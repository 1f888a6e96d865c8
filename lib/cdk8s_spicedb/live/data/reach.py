"""Connects this machine to the servers in a cluster, as one of their clients."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from threading import Event, Thread

from attrs import evolve, frozen
from cryptography import x509

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...props import ServerProps, SpiceDBProps
from ...props.flags import PRESHARED_KEY, flag_of, variable_name
from ...props.server import GRPC_ADDRESS
from ..apart import pod_apart, server_apart
from ..cluster import SECRET, Cluster, items_of
from ..instance import Running, describe, require_running
from ..pods import container_of
from ..programs import Program, kubectl, running
from .server import Server, Trust

_KEY = variable_name(PRESHARED_KEY)
_CERTIFICATE = flag_of(ServerProps, "grpc_tls.certificate")
_PORT, _CA = "50051", "ca.crt"
_EVERY_SECONDS = 0.5
_VARIABLE = re.compile(r"\$\((\w+)\)")
"""A reference to a variable."""
_FORWARDS = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def reaching(cluster: Cluster, name: str) -> Iterator[Server]:
    """Connects to the servers of a Deployment through ``kubectl port-forward``, until the context ends.

    Reads the preshared key from its Secret and, if the servers use TLS, the CA from the Secret of their certificate.
    Raises `SpiceDBError` if one of them is missing.
    """
    with _connecting(cluster, require_running(cluster, name), f"deployment/{name}") as server:
        yield evolve(server, name=f"{name} in {cluster.namespace}, {cluster.place}")


@contextmanager
def reaching_apart(cluster: Cluster, props: SpiceDBProps, *, seconds: int) -> Iterator[Server]:
    """Starts one server of these props that no client reaches, and connects to it, until the context ends.

    See `server_apart`, which says what it raises.
    """
    with (
        server_apart(cluster, props, seconds=seconds) as pod,
        _connecting(cluster, _described(cluster, pod), f"pod/{pod['metadata']['name']}") as server,
    ):
        yield server


def require_reachable(cluster: Cluster, props: SpiceDBProps) -> None:
    """Raises `SpiceDBError` if `reaching_apart` could not connect: a key or a certificate cannot be read."""
    found = _described(cluster, pod_apart(props, 1))
    _preshared_key(cluster, found)
    _trust(cluster, found)


def _described(cluster: Cluster, pod: Manifest) -> Running:
    """A pod, as if a Deployment had made it."""
    metadata = {**pod["metadata"], "namespace": cluster.namespace}
    return describe({**pod, "metadata": metadata, "spec": {"template": pod}})


@contextmanager
def reaching_pod(cluster: Cluster, name: str, key: str) -> Iterator[Server]:
    """Connects to a server in a pod, which has the default port and no TLS, until the context ends."""
    with _forwarding(cluster, f"pod/{name}", _PORT) as address:
        yield Server.connect(address, key, name=f"the pod {name}")


@contextmanager
def _connecting(cluster: Cluster, found: Running, what: str) -> Iterator[Server]:
    key, trust = _preshared_key(cluster, found), _trust(cluster, found)
    port = found.arguments.get(GRPC_ADDRESS, _PORT).rpartition(":")[2]
    with _forwarding(cluster, what, port) as address:
        yield Server.connect(address, key, name=what, trust=trust)


@contextmanager
def _forwarding(cluster: Cluster, what: str, port: str) -> Iterator[str]:
    """The address on this machine from which kubectl forwards. If its pod stops, kubectl runs again for another one."""

    def forwards(local: str) -> AbstractContextManager[Program]:
        command = kubectl(cluster, "port-forward", what, f"{local}:{port}", "--address", "127.0.0.1")
        return running(command, cluster, until=_FORWARDS)

    ended = Event()
    with ExitStack() as stack:
        first = stack.enter_context(forwards(""))

        def keep() -> None:
            program = first
            while not ended.wait(_EVERY_SECONDS):
                if not program.runs:
                    with suppress(SpiceDBError):  # There may be no pod at the moment.
                        program = stack.enter_context(forwards(first.printed[1]))

        thread = Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{first.printed[1]}"
        finally:
            ended.set()
            thread.join()


def _preshared_key(cluster: Cluster, found: Running) -> str:
    variables = {each["name"]: each for each in container_of(found.template).get("env", ())}
    variable: Manifest = variables.get(_KEY, {})
    # Several keys are one list of variables, of which the first is that of the servers.
    first = _VARIABLE.match(variable.get("value") or "")
    reference = (variables.get(first[1], {}) if first else variable).get("valueFrom", {}).get("secretKeyRef")
    if reference is None:
        raise SpiceDBError(f"the Deployment {found.name} does not read its preshared key from a Secret")
    # The servers accept each of several keys.
    return _Secret.read(cluster, reference["name"]).value(reference["key"]).decode().split(",")[0].strip()


def _trust(cluster: Cluster, found: Running) -> Trust | None:
    path = found.arguments.get(_CERTIFICATE)
    if path is None:
        return None
    folder, _, file = path.rpartition("/")
    mounts = container_of(found.template).get("volumeMounts", ())
    volume = next((each["name"] for each in mounts if each["mountPath"].rstrip("/") == folder), None)
    source = next(_sources(found.template, volume, file), None)
    if source is None:
        raise SpiceDBError(f"the certificate of {found.name} ({path}) is not from a Secret")
    name, key = source
    secret = _Secret.read(cluster, name)
    # Of a public CA, there is often none.
    return Trust(secret.value(_CA) if _CA in secret.data else None, _hostname(secret, key))


def _hostname(secret: _Secret, key: str) -> str:
    """A name for which a certificate is valid."""
    try:
        certificate = x509.load_pem_x509_certificate(secret.value(key))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return str(names.get_values_for_type(x509.DNSName)[0])
    except (ValueError, IndexError, x509.ExtensionNotFound):
        raise SpiceDBError(f"{secret.place} has no certificate with a DNS name in {key}") from None


def _sources(template: Manifest, name: str | None, file: str) -> Iterator[tuple[str, str]]:
    """The Secrets and their keys from which a volume has a file."""
    for volume in items_of(template, "spec", "volumes"):
        sources = (*items_of(volume, "projected", "sources"), volume) if volume["name"] == name else ()
        for secret in (each["secret"] for each in sources if "secret" in each):
            keys = {item["path"]: item["key"] for item in items_of(secret, "items")} or {file: file}
            if file in keys:
                yield secret.get("name") or secret.get("secretName"), keys[file]


@frozen
class _Secret:
    """A Secret that was read once."""

    place: str
    data: Mapping[str, str]

    @classmethod
    def read(cls, cluster: Cluster, name: str) -> _Secret:
        place = f"the Secret {name} in the namespace {cluster.namespace}"
        return cls(place, (cluster.get(SECRET, name) or {}).get("data") or {})

    def value(self, key: str) -> bytes:
        """A value. Raises `SpiceDBError` if there is none."""
        try:
            return base64.b64decode(self.data[key], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise SpiceDBError(f"{self.place} has no {key}") from None
