"""The Jobs that run zed: the schema Job and the Job of `helm test`."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trustme

from cdk8s_spicedb import TLS, DispatchTLS, PermissionTest, SchemaProps, SecretKey, SpiceDBProps
from tests.lab.certificates import certificate
from tests.lab.client import SCHEMA, Client, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import image_can_be_pulled
from tests.lab.helm import Helm
from tests.lab.props import KEY, on_postgres

_TEST = PermissionTest(resource="document", permission="read", subject="user", active_deadline_seconds=60)


@pytest.fixture(autouse=True)
def zed(namespace: Namespace) -> None:
    if not image_can_be_pulled(namespace, _TEST.image, "zed", "version"):
        pytest.skip(f"this cluster cannot pull {_TEST.image}")


def _with_schema(text: str = SCHEMA, **fields: Any) -> SpiceDBProps:
    return attrs.evolve(on_postgres(), schema=SchemaProps(text=text), test=_TEST, **fields)


def test_each_release_writes_the_schema(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(_with_schema()).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        assert "permission read = reader" in client.schema()
        client.write()
        again = helm.upgrade(_with_schema())
        assert again.ok, again.output
        assert client.check()
        extended = helm.upgrade(_with_schema(f"{SCHEMA}\ndefinition team {{}}\n"))
        assert extended.ok, extended.output
        assert "definition team" in client.schema()
        assert client.check()
        # A schema without the types of existing relationships fails the release with a message.
        reduced = helm.upgrade(_with_schema("definition user {}\n"))
        assert not reduced.ok
        assert "document" in reduced.output
        assert client.check()


def test_helm_test_checks_permissions(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(_with_schema()).ok
    tested = any_helm.test()
    assert tested.ok, tested.output
    print(f"helm test: {tested.seconds:.1f} s")


def test_helm_test_fails_if_servers_cannot_reach_each_other(helm: Helm, namespace: Namespace, postgres: None) -> None:
    authority = trustme.CA()
    certificate(namespace, "dispatch", authority, authority.issue_cert(f"spicedb-dispatch-tls.{namespace.name}"))
    namespace.secret("stranger", {"ca.crt": trustme.CA().cert_pem.bytes().decode()})
    untrusted = DispatchTLS(
        certificate=SecretKey("dispatch", "tls.crt"),
        key=SecretKey("dispatch", "tls.key"),
        ca=SecretKey("stranger", "ca.crt"),
    )
    broken = _with_schema(server=attrs.evolve(on_postgres().server, dispatch_tls=untrusted))
    # All pods are ready, but requests fail.
    assert helm.install(broken).ok
    assert not helm.test().ok


def test_jobs_verify_the_server_certificate(helm: Helm, namespace: Namespace, postgres: None) -> None:
    authority, name = trustme.CA(), f"spicedb.{namespace.name}.svc"
    certificate(namespace, "clients", authority, authority.issue_cert(name))
    server = attrs.evolve(on_postgres().server, grpc_tls=TLS.from_secret("clients"))
    schema = SchemaProps(text=SCHEMA, ca=SecretKey("clients", "ca.crt"), hostname=name)
    test = attrs.evolve(_TEST, ca=SecretKey("clients", "ca.crt"), hostname=name)
    installed = helm.install(attrs.evolve(on_postgres(), server=server, schema=schema, test=test))
    assert installed.ok, installed.output
    tested = helm.test()
    assert tested.ok, tested.output
