"""TLS at the servers' ports, with real certificates and clients that check them."""

from __future__ import annotations

import ssl
from urllib.request import urlopen

import grpc
import pytest
import trustme

from cdk8s_spicedb import TLS, DispatchTLS, SecretKey, ServerProps

from .certificates import certificate
from .client import Client, Load, relay
from .cluster import Namespace, wait
from .conftest import KEY
from .helm import Helm
from .props import on_postgres

_SERVER = ServerProps(
    http_enabled=True,
    grpc_tls=TLS.from_secret("clients"),
    http_tls=TLS.from_secret("clients"),
    metrics_tls=TLS.from_secret("clients"),
    dispatch_tls=DispatchTLS.from_secret("dispatch"),
)


def _name(namespace: Namespace) -> str:
    return f"spicedb.{namespace.name}.svc"


def _certificates(namespace: Namespace, authority: trustme.CA) -> None:
    certificate(namespace, "clients", authority, authority.issue_cert(_name(namespace), "127.0.0.1"))
    certificate(namespace, "dispatch", authority, authority.issue_cert(f"spicedb-dispatch-tls.{namespace.name}"))


@pytest.fixture
def authority(namespace: Namespace) -> trustme.CA:
    """Whoever vouches for the servers, to clients and to each other."""
    authority = trustme.CA()
    _certificates(namespace, authority)
    return authority


def _client(namespace: Namespace, address: str, authority: trustme.CA) -> Client:
    return Client(address, KEY, ca=authority.cert_pem.bytes(), name=_name(namespace))


def _refused(client: Client) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        client.check_many()
    return str(refused.value)


def test_every_port_shows_its_certificate_and_servers_check_each_others(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    outcome = helm.install(on_postgres(server=_SERVER))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = _client(namespace, address, authority)
        client.write()
        assert client.check()
        assert client.check_many() == {False}
        assert "CERTIFICATE_VERIFY_FAILED" in _refused(_client(namespace, address, trustme.CA()))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pod = namespace.servers()[0]["metadata"]["name"]
    for port, path, says in ((8443, "healthz", "SERVING"), (9090, "metrics", "spicedb_")):
        with namespace.forward(pod, port) as address, urlopen(f"https://{address}/{path}", context=context) as answer:
            assert says in answer.read().decode()


def test_servers_that_do_not_trust_each_other_are_ready_and_fail_requests(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    namespace.secret("stranger", {"ca.crt": trustme.CA().cert_pem.bytes().decode()})
    strange = DispatchTLS(
        certificate=SecretKey("dispatch", "tls.crt"),
        key=SecretKey("dispatch", "tls.key"),
        ca=SecretKey("stranger", "ca.crt"),
    )
    outcome = helm.install(on_postgres(server=ServerProps(dispatch_tls=strange)))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        # Health says nothing of it, and nobody is told why: the other server is simply never reached.
        assert "DEADLINE_EXCEEDED" in _refused(client)


def test_dispatch_and_its_tls_are_switched_under_load(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    plain, alone = ServerProps(), ServerProps(dispatch_enabled=False)
    encrypted = ServerProps(dispatch_tls=DispatchTLS.from_secret("dispatch"))
    assert helm.install(on_postgres(server=plain)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        for what, server in {"TLS on": encrypted, "dispatch off": alone, "dispatch on": plain}.items():
            with Load(what, address, KEY) as load:
                switched = helm.upgrade(on_postgres(server=server))
                assert switched.ok, switched.output
                namespace.settled()
            assert load.unharmed()
        with Load("back to TLS", address, KEY) as load:
            back = helm.rollback(2)
            assert back.ok, back.output
            namespace.settled()
        assert load.unharmed()


def _shown(namespace: Namespace, *ports: int) -> list[str]:
    """The certificates that servers show at some ports, in their order."""
    found = []
    for pod in namespace.servers():
        for port in ports:
            with namespace.forward(pod["metadata"]["name"], port) as address:
                host, _, local = address.partition(":")
                found.append(ssl.get_server_certificate((host, int(local))))
    return found


def test_certificates_that_are_replaced_are_shown_without_a_restart_or_a_failure(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    assert helm.install(on_postgres(server=_SERVER)).ok
    before = {pod["metadata"]["uid"] for pod in namespace.servers()}
    grpc_and_dispatch, http_and_metrics = (50051, 50053), (8443, 9090)
    shown, others = _shown(namespace, *grpc_and_dispatch), _shown(namespace, *http_and_metrics)
    ca, name = authority.cert_pem.bytes(), _name(namespace)
    with relay(namespace) as address:
        _client(namespace, address, authority).write()
        with Load("certificates replaced", address, KEY, ca=ca, name=name) as load:
            _certificates(namespace, authority)
            wait("the new ones", lambda: not set(shown) & set(_shown(namespace, *grpc_and_dispatch)), 180)
            assert _client(namespace, address, authority).check_many() == {False}
        assert load.unharmed()
    # SpiceDB reads these when it starts, and never again.
    assert _shown(namespace, *http_and_metrics) == others
    after = namespace.servers()
    assert {pod["metadata"]["uid"] for pod in after} == before
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in after)
