"""TLS of the server ports, with certificates that clients verify."""

from __future__ import annotations

import ssl
from urllib.request import urlopen

import grpc
import pytest
import trustme

from cdk8s_spicedb import TLS, DispatchTLS, SecretKey, ServerProps
from tests.lab.certificates import certificate
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.helm import Helm
from tests.lab.props import KEY, on_postgres

_SERVER = ServerProps(
    http_enabled=True,
    grpc_tls=TLS.from_secret("clients"),
    http_tls=TLS.from_secret("clients"),
    metrics_tls=TLS.from_secret("clients"),
    dispatch_tls=DispatchTLS.from_secret("dispatch"),
)


def _hostname(namespace: Namespace) -> str:
    return f"spicedb.{namespace.name}.svc"


def _certificates(namespace: Namespace, authority: trustme.CA) -> None:
    certificate(namespace, "clients", authority, authority.issue_cert(_hostname(namespace), "127.0.0.1"))
    certificate(namespace, "dispatch", authority, authority.issue_cert(f"spicedb-dispatch-tls.{namespace.name}"))


@pytest.fixture
def authority(namespace: Namespace) -> trustme.CA:
    """The CA of the servers' certificates."""
    authority = trustme.CA()
    _certificates(namespace, authority)
    return authority


def _client(namespace: Namespace, address: str, authority: trustme.CA) -> Client:
    return Client(address, KEY, ca=authority.cert_pem.bytes(), hostname=_hostname(namespace))


def _check_error(client: Client) -> str:
    with pytest.raises(grpc.RpcError) as raised:
        client.check_many()
    return str(raised.value)


def test_every_port_uses_its_certificate_and_servers_verify_each_other(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    outcome = helm.install(on_postgres(server=_SERVER))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = _client(namespace, address, authority)
        client.write()
        assert client.check()
        assert client.check_many() == {False}
        assert "CERTIFICATE_VERIFY_FAILED" in _check_error(_client(namespace, address, trustme.CA()))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    pod = namespace.servers()[0]["metadata"]["name"]
    for port, path, text in ((8443, "healthz", "SERVING"), (9090, "metrics", "spicedb_")):
        with namespace.forward(pod, port) as address, urlopen(f"https://{address}/{path}", context=context) as response:
            assert text in response.read().decode()


def test_servers_that_do_not_trust_each_other_are_ready_but_fail_requests(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    namespace.secret("stranger", {"ca.crt": trustme.CA().cert_pem.bytes().decode()})
    untrusted = DispatchTLS(
        certificate=SecretKey("dispatch", "tls.crt"),
        key=SecretKey("dispatch", "tls.key"),
        ca=SecretKey("stranger", "ca.crt"),
    )
    outcome = helm.install(on_postgres(server=ServerProps(dispatch_tls=untrusted)))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        # The health check succeeds and the error has no reason: the request to the other server only times out.
        assert "DEADLINE_EXCEEDED" in _check_error(client)


def test_dispatch_and_its_tls_can_change_under_load(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    plain, no_dispatch = ServerProps(dispatch_enabled=True), ServerProps()
    encrypted = ServerProps(dispatch_tls=DispatchTLS.from_secret("dispatch"))
    assert helm.install(on_postgres(server=plain)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        for title, server in {"TLS on": encrypted, "dispatch off": no_dispatch, "dispatch on": plain}.items():
            with Load(title, address, KEY) as load:
                upgraded = helm.upgrade(on_postgres(server=server))
                assert upgraded.ok, upgraded.output
                namespace.wait_for_terminating_servers()
            assert load.succeeded()
        with Load("back to TLS", address, KEY) as load:
            back = helm.rollback(2)
            assert back.ok, back.output
            namespace.wait_for_terminating_servers()
        assert load.succeeded()


def _certificates_of(namespace: Namespace, *ports: int) -> list[str]:
    """The certificates that the servers present on the ports, in order."""
    found = []
    for pod in namespace.servers():
        for port in ports:
            with namespace.forward(pod["metadata"]["name"], port) as address:
                host, _, local = address.partition(":")
                found.append(ssl.get_server_certificate((host, int(local))))
    return found


def test_replaced_certificates_take_effect_without_a_restart_or_a_failure(
    helm: Helm, namespace: Namespace, postgres: None, authority: trustme.CA
) -> None:
    assert helm.install(on_postgres(server=_SERVER)).ok
    before = {pod["metadata"]["uid"] for pod in namespace.servers()}
    grpc_and_dispatch, http_and_metrics = (50051, 50053), (8443, 9090)
    reloaded = _certificates_of(namespace, *grpc_and_dispatch)
    unchanged = _certificates_of(namespace, *http_and_metrics)
    ca, hostname = authority.cert_pem.bytes(), _hostname(namespace)
    with relay(namespace) as address:
        _client(namespace, address, authority).write()
        with Load("certificates replaced", address, KEY, ca=ca, hostname=hostname) as load:
            _certificates(namespace, authority)
            wait(
                "the new certificates",
                lambda: not set(reloaded) & set(_certificates_of(namespace, *grpc_and_dispatch)),
                180,
            )
            assert _client(namespace, address, authority).check_many() == {False}
        assert load.succeeded()
    # SpiceDB reads the certificates of HTTP and metrics only at the start.
    assert _certificates_of(namespace, *http_and_metrics) == unchanged
    after = namespace.servers()
    assert {pod["metadata"]["uid"] for pod in after} == before
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in after)
