"""Connections through ``kubectl port-forward``, with a program that forwards as kubectl does."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import grpc
import pytest
import trustme

from cdk8s_spicedb import TLS, SecretKey, ServerProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live.data.reach import reaching
from cdk8s_spicedb.live.data.server import RequestError
from cdk8s_spicedb.live.instance import MissingError
from tests.apiserver import ApiServer
from tests.live.installed import deploy, props, secret
from tests.spicedbserver import KEY, SpiceDBServer

TLS_OF_SECRET = TLS(certificate=SecretKey("tls", "tls.crt"), key=SecretKey("tls", "tls.key"))
# It ends when the file `stop` appears, as kubectl does when the pod stops.
_KUBECTL = """#!{python}
import socket, sys, threading, time
from pathlib import Path
folder = Path({folder!r})
with (folder / "calls").open("a") as file:
    print(*sys.argv[1:], file=file)
if (folder / "fails").exists():
    sys.exit("error: unable to forward port because pod is not running")
local = int(next(word for word in sys.argv if word.endswith(":50051")).partition(":")[0] or 0)
server = socket.create_server(("127.0.0.1", local))
print(f"Forwarding from 127.0.0.1:{{server.getsockname()[1]}} -> 50051", flush=True)

def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    finally:
        target.close()

def serve():
    while True:
        client, _ = server.accept()
        target = socket.create_connection(("127.0.0.1", {port}))
        for pair in ((client, target), (target, client)):
            threading.Thread(target=copy, args=pair, daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
while not (folder / "stop").exists():
    time.sleep(0.02)
(folder / "stop").unlink()
"""


def forwarding(spicedb: SpiceDBServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Puts a kubectl on the path. Returns what it was called with."""
    program = folder / "kubectl"
    port = int(spicedb.address.rpartition(":")[2])
    program.write_text(_KUBECTL.format(python=sys.executable, folder=str(folder), port=port))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return lambda: (folder / "calls").read_text().splitlines()


@pytest.fixture
def calls(spicedb: SpiceDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What kubectl was called with."""
    return forwarding(spicedb, tmp_path, monkeypatch)


def installed(settings: SpiceDBProps | None = None) -> ApiServer:
    """A cluster with SpiceDB, whose preshared key is that of the server."""
    api = ApiServer()
    deploy(api, settings or props())
    secret(api, "spicedb", {"preshared-key": f"{KEY},an older key"})
    return api


def test_it_asks_the_servers_of_a_deployment(calls: Callable[[], list[str]]) -> None:
    with reaching(installed().cluster(), "spicedb") as server:
        assert server.schema()[0].startswith("definition user")
    assert calls() == ["port-forward deployment/spicedb :50051 --address 127.0.0.1 --namespace authz"]


def test_it_goes_on_with_another_pod_at_the_same_port(calls: Callable[[], list[str]], tmp_path: Path) -> None:
    with reaching(installed().cluster(), "spicedb") as server:
        assert server.schema()[0]
        (tmp_path / "stop").touch()
        while len(calls()) < 2:
            time.sleep(0.02)
        server = attrs.evolve(server, pauses=(0.2,) * 100)
        assert server.schema()[0]
    first, again = calls()
    local = re.sub(r".* (\d*):50051 .*", r"\1", again)
    assert local
    assert again == first.replace(":50051", f"{local}:50051")


def test_kubectl_that_fails_says_why(calls: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    with (
        pytest.raises(SpiceDBError, match=r"kubectl failed: .*unable to forward port because pod is not running"),
        reaching(installed().cluster(), "spicedb"),
    ):
        pass


def test_what_is_missing_is_named(calls: Callable[[], list[str]]) -> None:
    api = ApiServer()
    with pytest.raises(MissingError), reaching(api.cluster(), "spicedb"):
        pass
    deploy(api, props())
    missing = "the Secret spicedb in the namespace authz has no preshared-key"
    with pytest.raises(SpiceDBError, match=missing), reaching(api.cluster(), "spicedb"):
        pass
    api = installed(props(server=ServerProps(grpc_tls=TLS_OF_SECRET)))
    missing = r"the Secret tls in the namespace authz has no tls\.crt"
    with pytest.raises(SpiceDBError, match=missing), reaching(api.cluster(), "spicedb"):
        pass


def test_several_keys_are_one_list_of_variables(calls: Callable[[], list[str]]) -> None:
    settings = props(other_preshared_keys=[SecretKey("spicedb", "older")])
    with reaching(installed(settings).cluster(), "spicedb") as server:
        assert server.schema()[0]


def test_a_certificate_without_a_name_is_an_error(calls: Callable[[], list[str]]) -> None:
    api = installed(props(server=ServerProps(grpc_tls=TLS_OF_SECRET)))
    leaf = trustme.CA().issue_cert(common_name="spicedb")
    for certificate in ("no certificate", leaf.cert_chain_pems[0].bytes().decode()):
        secret(api, "tls", {"tls.crt": certificate, "tls.key": "key"})
        with (
            pytest.raises(SpiceDBError, match=r"the Secret tls .* has no certificate with a DNS name in tls\.crt"),
            reaching(api.cluster(), "spicedb"),
        ):
            pass


def test_it_verifies_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("spicedb.authz")
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
    with SpiceDBServer("definition user {}", credentials=grpc.ssl_server_credentials([pair])) as spicedb:
        forwarding(spicedb, tmp_path, monkeypatch)
        api = installed(props(server=ServerProps(grpc_tls=TLS_OF_SECRET)))
        for trusted, works in ((authority, True), (trustme.CA(), False)):
            ca = trusted.cert_pem.bytes().decode()
            secret(api, "tls", {"tls.crt": pair[1].decode(), "tls.key": pair[0].decode(), "ca.crt": ca})
            with reaching(api.cluster(), "spicedb") as server:
                once = attrs.evolve(server, pauses=())
                if works:
                    assert once.schema()[0] == "definition user {}"
                else:
                    with pytest.raises(RequestError):
                        once.schema()
