"""Which cluster and which credentials: as kubectl finds them, and with one clear error if it cannot be done."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdk8s_spicedb.live import kubeconfig
from cdk8s_spicedb.live.apierror import ClusterError
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.connection import connect
from cdk8s_spicedb.live.kubeconfig import Kubeconfig, read_kubeconfig

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


def config(*names: str, current: str | None = None, user: Any = None, **cluster: Any) -> dict[str, Any]:
    """A kubeconfig with contexts of these names, each with a cluster and a user of its own."""
    return {
        "current-context": current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example", **cluster}} for name in names],
        "users": [{"name": name, "user": user or {"token": f"token-of-{name}"}} for name in names],
    }


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a kubeconfig, and a place for files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(kubeconfig, "_ACCOUNT", tmp_path / "account")
    return tmp_path


def write(monkeypatch: pytest.MonkeyPatch, *paths: Path, **contents: Any) -> None:
    """Writes files, and names them in KUBECONFIG."""
    for path, content in zip(paths, contents.values(), strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))


# ---------------------------------------------------------------- which context


def test_first_of_several_files_takes_precedence(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, missing = config("a", current="a"), config("a", "b", current="b"), files / "missing"
    second["clusters"][0]["cluster"]["server"] = "https://wrong.example"
    write(monkeypatch, files / "1", missing, files / "2", first=first, missing="", second=second)
    missing.unlink()
    assert read_kubeconfig().server == "https://a.example"
    assert (read_kubeconfig("b").context, read_kubeconfig("b").server) == ("b", "https://b.example")


def test_default_file_and_an_empty_variable(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(monkeypatch, files / "home" / ".kube" / "config", config=config("a", current="a"))
    monkeypatch.setenv("KUBECONFIG", "")
    found = read_kubeconfig()
    assert (found.context, found.namespace, found.user) == ("a", "default", {"token": "token-of-a"})


def test_kubeconfig_takes_precedence_over_the_account_of_the_pod(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Helm and kubectl: a CI runner in one cluster works on another one."""
    account = files / "account"
    account.mkdir()
    (account / "namespace").write_text("ci\n")
    (account / "token").write_text("of-the-pod")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = read_kubeconfig()
    assert (found.context, found.namespace, found.server) == (None, "ci", "https://[fd00::1]:443")
    with pytest.raises(ClusterError, match="the kubeconfig has no context prod; it has none"):
        read_kubeconfig("prod")
    write(monkeypatch, files / "config", config=config("a", current="a"))
    assert read_kubeconfig().server == "https://a.example"
    (account / "token").unlink()
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(ClusterError, match=r"cannot read the ServiceAccount of this pod: .*; use --kubeconfig"):
        read_kubeconfig()


def test_paths_are_relative_to_their_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = {"client-certificate": "c.crt", "client-key": "/c.key", "exec": {"command": "./bin/login"}}
    content = config("a", current="a", user=user, **{"certificate-authority": "ca.crt"})
    write(monkeypatch, files / "sub" / "config", config=content)
    found, folder = read_kubeconfig(), files / "sub"
    assert found.cluster["certificate-authority"] == str(folder / "ca.crt")
    assert (found.user["client-certificate"], found.user["client-key"]) == (str(folder / "c.crt"), "/c.key")
    assert found.user["exec"]["command"] == str(folder / "bin" / "login")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (config("a"), "the kubeconfig has no current context; set one with --context"),
        (config("a", "b", current="x"), "the kubeconfig has no context x; it has a, b"),
        ({**config("a", current="a"), "clusters": []}, "the kubeconfig has no cluster a, which its context a names"),
        ({**config("a", current="a"), "users": []}, "the kubeconfig has no user a, which its context a names"),
        (config("a", current="a", server=None), "the kubeconfig has no server for its context a"),
        (config("a", current="a", server="ftp://x"), "the kubeconfig has no server for its context a"),
        ({**config("a", current="a"), "users": "x"}, "users is not a list"),
        ({**config("a", current="a"), "users": ["x"]}, "users has an entry that is no user"),
        ("token: [secret-token", "it is not YAML"),
        ("\x00", "it is not YAML"),
        ("- a", "it is not a mapping"),
        ("[" * 5000, "it is not YAML"),
    ],
)
def test_wrong_kubeconfig_is_one_clear_error(
    files: Path, monkeypatch: pytest.MonkeyPatch, content: Any, text: str
) -> None:
    write(monkeypatch, files / "config", config=content)
    with pytest.raises(ClusterError, match=text) as error:
        read_kubeconfig()
    assert "secret-token" not in str(error.value)


def test_file_that_cannot_be_read(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "folder").mkdir()
    monkeypatch.setenv("KUBECONFIG", str(files / "folder"))
    with pytest.raises(
        ClusterError, match=r"cannot read the kubeconfig .*folder: .*; name another one with --kubeconfig"
    ):
        read_kubeconfig()


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_ENTRIES = st.lists(
    _VALUES
    | st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b"])},
        optional={
            "context": _VALUES | st.fixed_dictionaries({"cluster": st.just("a"), "user": st.just("a")}),
            "cluster": _VALUES
            | st.fixed_dictionaries(
                {"server": st.just("https://a.example") | _SCALARS},
                optional=dict.fromkeys(
                    (
                        "certificate-authority",
                        "certificate-authority-data",
                        "proxy-url",
                        "tls-server-name",
                        "insecure-skip-tls-verify",
                    ),
                    _VALUES,
                ),
            ),
            "user": _VALUES
            | st.dictionaries(
                st.sampled_from(
                    ["token", "tokenFile", "exec", "username", "client-certificate-data", "as", "as-groups"]
                ),
                _VALUES | st.fixed_dictionaries({"command": st.just("/no/such/program"), "apiVersion": st.just(V1)}),
            ),
        },
    ),
    max_size=3,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=_VALUES
    | st.fixed_dictionaries(
        {"contexts": _ENTRIES, "clusters": _ENTRIES, "users": _ENTRIES, "current-context": st.just("a")}
    )
)
def test_no_kubeconfig_is_a_traceback(files: Path, monkeypatch: pytest.MonkeyPatch, content: Any) -> None:
    write(monkeypatch, files / "config", config=content)
    with contextlib.suppress(ClusterError):
        connect(read_kubeconfig()).close()


# ---------------------------------------------------------------- credentials


def connected(answers: Any = None, **user: Any) -> tuple[httpx2.Client, list[httpx2.Request]]:
    """A client with the credentials of a user, and the requests that it sends. Each token has a status."""
    client, sent = connect(Kubeconfig(context="a", namespace="b", cluster={"server": "https://a"}, user=user)), []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response((answers or {}).get(request.headers.get("Authorization", ""), 200), json={})

    client._transport = httpx2.MockTransport(answer)
    client._mounts = {}
    return client, sent


def tokens(sent: list[httpx2.Request]) -> list[str]:
    return [request.headers.get("Authorization", "") for request in sent]


def test_token_and_password_and_impersonation() -> None:
    client, sent = connected(token="abc", **{"as": "me", "as-groups": ["g", "h"], "as-user-extra": {"x": ["1"]}})
    client.get("/")
    assert tokens(sent) == ["Bearer abc"]
    assert sent[0].headers["Impersonate-User"] == "me"
    assert sent[0].headers.get_list("Impersonate-Group") == ["g", "h"]
    assert sent[0].headers["Impersonate-Extra-x"] == "1"
    client, sent = connected(username="u", password="p")
    client.get("/")
    assert tokens(sent) == [f"Basic {base64.b64encode(b'u:p').decode()}"]


def test_token_in_a_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    client, sent = connected({"Bearer old": 401}, tokenFile=str(file), token="ignored")
    file.write_text("new\n")
    assert client.get("/").status_code == 200
    file.write_text("newer\n")
    client.get("/")
    assert tokens(sent) == ["Bearer new", "Bearer new"]
    client, sent = connected({"Bearer newer": 401}, tokenFile=str(file))
    assert client.get("/").status_code == 401, "it is not asked for ever"
    assert tokens(sent) == ["Bearer newer"]


def plugin(folder: Path, code: str, **settings: Any) -> dict[str, Any]:
    """The settings of a program that gets credentials. It is a Python script."""
    file = folder / "plugin"
    file.write_text(
        f"#!{sys.executable}\nimport json, os, sys\ninfo = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n{code}\n"
    )
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": V1, "command": str(file), "interactiveMode": "Never", **settings}


GIVES = """
count = len(open(sys.argv[1] + '/calls', 'a+').write('x') and open(sys.argv[1] + '/calls').read())
print('a warning', file=sys.stderr)
status = {'token': f'token-{count}', **STATUS}
print(json.dumps({'apiVersion': info['apiVersion'], 'kind': 'ExecCredential', 'status': status}))
"""


@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_program_gets_credentials_once_and_again_when_they_are_refused(tmp_path: Path, version: str) -> None:
    settings = plugin(tmp_path, f"STATUS = {{}}{GIVES}", apiVersion=version, args=[str(tmp_path)])
    client, sent = connected({"Bearer token-1": 200}, exec=settings)
    client.get("/")
    client.get("/")
    assert tokens(sent) == ["Bearer token-1"] * 2
    client, sent = connected({"Bearer token-2": 401}, exec=settings)
    assert client.get("/").status_code == 200
    assert {*tokens(sent)} == {"Bearer token-3"}, "one request, which is sent again"


def test_program_is_asked_again_before_its_credentials_expire(tmp_path: Path) -> None:
    status = "STATUS = {'expirationTimestamp': '2020-01-01T00:00:00Z'}"
    client, sent = connected(exec=plugin(tmp_path, f"{status}{GIVES}", args=[str(tmp_path)]))
    client.get("/")
    client.get("/")
    assert tokens(sent) == ["Bearer token-1", "Bearer token-2"]


def test_program_learns_what_kubectl_tells_it(tmp_path: Path) -> None:
    code = "print(json.dumps({'status': {'token': json.dumps([info['spec'], os.environ['X']])}}))"
    settings = plugin(tmp_path, code, env=[{"name": "X", "value": "y"}], provideClusterInfo=True)
    client, sent = connected(exec=settings)
    client.get("/")
    spec, variable = json.loads(tokens(sent)[0].removeprefix("Bearer "))
    assert (spec, variable) == ({"interactive": False, "cluster": {"server": "https://a"}}, "y")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("sys.exit('token=hunter2 expired')", r"failed with exit code 1: token=\(hidden\)"),
        ("print('hunter2')", "has written no credentials"),
        ("print('{}')", "has written no credentials"),
        ("print('[]')", "has written no credentials"),
        ('print(\'{"status": {"token": 1}}\')', "has written no credentials"),
        ('print(\'{"status": {"clientCertificateData": "hunter2"}}\')', "has written no credentials"),
        ("import time; time.sleep(60)", "has not written credentials within 1 s"),
    ],
)
def test_program_that_fails_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, text: str
) -> None:
    monkeypatch.setattr("cdk8s_spicedb.live.connection._PLUGIN_SECONDS", 1)
    client, _ = connected(exec=plugin(tmp_path, code))
    with pytest.raises(ClusterError, match=text) as error:
        client.get("/")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (
            {"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}},
            "only .*v1 and .*v1beta1 are",
        ),
        ({"exec": {"command": "x", "apiVersion": V1, "interactiveMode": "Always"}}, "needs a terminal"),
        ({"exec": {"apiVersion": V1}}, "cannot connect as the context a of the kubeconfig says"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider in the kubeconfig is not supported"),
        ({"client-certificate-data": "!"}, "cannot connect as the context a"),
        ({"client-certificate": "/no/such/file"}, "cannot connect as the context a"),
    ],
)
def test_credentials_that_cannot_be_used(user: dict[str, Any], text: str) -> None:
    with pytest.raises(ClusterError, match=text):
        connected(**user)
    client, _ = connected(exec={"command": "/no/such/program", "apiVersion": V1, "interactiveMode": "Never"})
    with pytest.raises(ClusterError, match=r"cannot run /no/such/program, which gets the credentials .*; install it"):
        client.get("/")


def test_certificates_of_files_data_and_programs_are_used(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("me")
    chain, key = certificate.cert_chain_pems[0].bytes(), certificate.private_key_pem.bytes()
    (tmp_path / "c.crt").write_bytes(chain)
    (tmp_path / "c.key").write_bytes(key)
    connected(**{"client-certificate": str(tmp_path / "c.crt"), "client-key": str(tmp_path / "c.key")})
    data = {
        "client-certificate-data": base64.b64encode(chain).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    connected(**data)
    status = {"clientCertificateData": chain.decode(), "clientKeyData": key.decode()}
    client, sent = connected(exec=plugin(tmp_path, f"print(json.dumps({{'status': {status!r}}}))"))
    client.get("/")
    assert tokens(sent) == [""]


def test_server_name_and_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"server": "https://10.0.0.1", "tls-server-name": "kubernetes.default", "proxy-url": "http://proxy:3128"}
    client = connect(Kubeconfig(context="a", namespace="b", cluster=cluster, user={}))
    (mounted,) = client._mounts.values()
    pool: Any = vars(mounted)["_pool"]
    assert pool._proxy_url.host == b"proxy"
    sent: list[httpx2.Request] = []
    client._mounts = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={})

    client._transport = httpx2.MockTransport(answer)
    client.get("/")
    assert sent[0].extensions["sni_hostname"] == "kubernetes.default"
    with pytest.raises(ClusterError, match="cannot connect as the context a"):
        connect(Kubeconfig(context="a", namespace="b", cluster={**cluster, "proxy-url": "gopher://x"}, user={}))


def test_cluster_keeps_what_it_was_connected_with(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(monkeypatch, files / "config", config=config("staging", "prod", current="staging"))
    cluster = Cluster.connect(namespace="authz")
    write(monkeypatch, files / "config", config=config("staging", "prod", current="prod"))
    assert cluster.kubeconfig is not None
    assert json.loads(cluster.kubeconfig.write().read_text())["current-context"] == "staging"
    assert cluster.place == "context staging (https://staging.example)"
    assert cluster.options("--kube-context") == "--namespace authz --kube-context staging"
    assert "token-of" not in repr(cluster)
