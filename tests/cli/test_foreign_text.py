"""Text of others in what the commands print: it controls no terminal, is no markup, and shows no secret."""

from __future__ import annotations

import base64
import copy
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cdk8s_spicedb import TLS, ServerProps
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.programs import Ended
from tests.apiserver import ApiServer, Object, matches
from tests.live.clock import FakeClock
from tests.live.installed import OLD, deploy, helm_keeps, migration_job, objects_of, props, servers

FILE = "version: v1.56.0\ndatastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
SECRET = "S3CR3T"
_SERVER = ServerProps(grpc_tls=TLS.from_secret("tls"))
_OWN = re.compile(r"\x1b\[(?:\d+;)*(?:[0-79]|\d\d)?m|\x1b\[(?:2K|1A|1G|\?25[hl])|\r|\x1b\[H")
"""What rich itself writes: styles, and what moves the cursor within the lines of its own."""


def evil(place: str) -> str:
    """A title, the clipboard, a cleared screen, hidden text, C1, bidirectional text, markup, an emoji and a secret."""
    controls = "\x07\x1b]52;c;cm0=\x07\x1b[2J\x1b[8m\x9b31m\x08\u202e\u2066\u200b\u3164\x7f\U000e0041"
    return f"\x1b]0;{place}{controls}[bold]M[/bold] [/etc/ca.crt] :smile: [link=http://e.vil]L[/link] postgres://u:{SECRET}@db"


Run = Callable[..., str]


@pytest.fixture(params=["pipe", "terminal"])
def run(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command, checks that its output is harmless and names these places, and returns it."""
    if request.param == "terminal":
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "2000")

    def run(command: str, *places: str, code: int) -> str:
        assert main(command.split()) == code
        captured = capsys.readouterr()
        text = captured.out + captured.err
        if request.param == "terminal":
            text = _OWN.sub("", text)
        assert {each for each in text if not each.isprintable() and each not in "\n\t"} == set()
        assert "\u3164" not in text
        for place in places:
            start = text.index(rf"\x1b]0;{place}\x07\x1b]52;c;cm0=\x07\x1b[2J\x1b[8m\x9b31m\x08\u202e\u2066\u200b")
            shown = text[start:].partition("\n")[0]
            assert "[bold]M[/bold] [/etc/ca.crt] :smile: [link=http://e.vil]L[/link]" in shown
        assert SECRET not in text
        return text

    return run


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ApiServer:
    """A cluster in which SpiceDB runs, and to which all commands connect. Its clock moves only when somebody waits."""
    made, clock = ApiServer(), FakeClock()
    deploy(made, props(OLD, server=_SERVER))
    helm_keeps(made)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spicedb.yaml").write_text(FILE)
    monkeypatch.setattr(Cluster, "connect", lambda **_: made.cluster(clock=clock))
    return made


def _certificate(subject: str) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=9))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _event(about: str) -> Object:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {"kind": "Pod", "name": about}
    return {
        "metadata": {"name": "e"},
        "type": "Warning",
        "reason": "Failed",
        "message": evil("event"),
        "involvedObject": involved,
        "lastTimestamp": now,
    }


def _trouble(api: ApiServer) -> None:
    """Everything that can say something says it."""
    pod, *_ = servers(api)
    ended = {"exitCode": 1, "reason": "Error", "message": json.dumps({"level": "error", "message": evil("ended")})}
    waits = {"reason": "CrashLoopBackOff", "message": evil("waiting")}
    status = {"name": "spicedb", "restartCount": 1, "state": {"waiting": waits}, "lastState": {"terminated": ended}}
    pod["status"] |= {"conditions": [], "containerStatuses": [status]}
    api.put("events", _event(pod["metadata"]["name"]))
    migration_job(api, {"type": "Failed", "status": "True", "reason": evil("job")})
    api.logs["migrate-0"] = json.dumps({"level": "error", "message": "it failed", "error": evil("log")})
    found = api.get("deployments", "spicedb")
    found["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": evil("rollout")}]
    container = found["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "SPICEDB_DATASTORE_ENGINE", "value": evil("engine").partition(" postgres")[0]}]
    container["args"] += [f"--experimental-schema-mode={evil('mode').partition(' postgres')[0]}"]


def test_status(api: ApiServer, run: Run) -> None:
    _trouble(api)
    api.deny("configmaps")
    api.fail(matches("get", "configmaps"), (403, evil("refused")), times=None)
    run("status", "ended", "waiting", "event", "job", "log", "rollout", "engine", "mode", "refused", code=1)
    run("status -A", "engine", code=1)


def test_other_programs_certificates_and_records(api: ApiServer, run: Run) -> None:
    annotations = api.get("deployments", "spicedb")["metadata"]["annotations"]
    annotations["argocd.argoproj.io/tracking-id"] = f"{evil('application').partition(' [link')[0]}:apps"
    del annotations["meta.helm.sh/release-name"]
    certificate = base64.b64encode(_certificate("\x1b]0;certificate\x07").encode()).decode()
    api.put("secrets", {"metadata": {"name": "tls"}, "data": {"tls.crt": certificate}})
    text = run("status --certificates", code=0)
    assert r"CN=\x1b]0\;certificate\x07" in text
    assert r"\x1b]0;application\x07" in text


@pytest.mark.parametrize("log", ["[" * 200_000, '{"a":' * 50_000, "x" * 1_000_000, "\n" * 1_000])
def test_a_log_of_any_shape(api: ApiServer, run: Run, log: str) -> None:
    migration_job(api)
    api.logs["migrate-0"] = log
    assert len(run("status", code=0)) < 3000


def test_status_in_a_line(api: ApiServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _trouble(api)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    run("status --watch", "waiting", "ended", code=1)


def test_why_the_next_change_is_not_safe(api: ApiServer, run: Run) -> None:
    _trouble(api)
    run("status --wait=1", "rollout", code=1)


def _changed(api: ApiServer) -> Object:
    """The Deployment with more fields."""
    found = copy.deepcopy(api.get("deployments", "spicedb"))
    found["metadata"]["annotations"]["team"] = evil("annotation")
    container = found["spec"]["template"]["spec"]["containers"][0]
    container["args"] += [f"--other={evil('argument')}"]
    container["lifecycle"] = {"postStart": {"exec": {"command": ["sh", "-c", evil("script")]}}}
    container["env"] += [{"name": "DB_PASSWORD", "value": SECRET}, {"name": "DB_PASSWORD", "value": f"{SECRET}2"}]
    return found


def test_drift(api: ApiServer, run: Run) -> None:
    helm_keeps(api, *objects_of(props(OLD, server=_SERVER)))
    api.load(_changed(api))
    run("status --drift", "argument", code=0)


def test_differences(api: ApiServer, run: Run) -> None:
    changed = _changed(api)
    api.load(changed)
    helm_keeps(api, changed)
    text = run("diff", "annotation", "argument", code=0)
    assert r"\u001b]0;script\u0007" in text
    api.fail(matches("patch", "services"), (422, evil("refused")), times=None)
    run("diff", "refused", code=1)


def test_findings(api: ApiServer, run: Run) -> None:
    _trouble(api)
    api.fail(matches("patch", "services"), (422, evil("refused")), times=None)
    run("check --no-database --no-schema", "refused", "rollout", code=1)


def test_refusals_of_the_api_server(api: ApiServer, run: Run) -> None:
    api.fail(matches("get", "deployments"), (403, evil("denied")), times=None)
    for command in ("status spicedb", "upgrade --yes --no-check", "rollback --yes"):
        run(command, "denied", code=5)


@pytest.fixture
def failing_helm(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Helm that fails, after a migration that wrote something."""

    def helm(command: Sequence[str], _: Cluster, *, seconds: float, watch: Callable[[], str | None]) -> Ended:
        if command[1] == "template":
            return Ended(True, f'  uid: "{api.get("deployments", "spicedb")["metadata"]["uid"]}"\n')
        if command[1] == "get":
            return Ended(True, json.dumps({evil("value").partition(" postgres")[0]: 1}))
        if command[1] != "upgrade":
            return Ended(False, f"Error: {evil('history')}")
        migration_job(api)
        api.logs["migrate-0"] = json.dumps({"level": "error", "message": evil("log")})
        watch()
        time.sleep(0.3 if sys.stdout.isatty() else 0)  # The terminal is written four times a second.
        return Ended(False, f"{evil('hook')}\nError: UPGRADE FAILED: {evil('helm')}")

    monkeypatch.setattr(import_module("cdk8s_spicedb.live.upgrade.helm"), "run", helm)


UPGRADE = "upgrade --yes --no-check --observe 0 --on-failure"


def test_output_of_helm_and_progress(api: ApiServer, run: Run, failing_helm: None) -> None:
    run(f"{UPGRADE} stop", "value", "log", "hook", "helm", code=4)
    run("status spicedb", "helm", code=0)
    run("rollback --yes", "history", code=4)


def test_rollback_that_fails_too(api: ApiServer, run: Run, failing_helm: None) -> None:
    run(f"{UPGRADE} rollback", "helm", "history", code=4)


def test_many_upgrades(api: ApiServer, run: Run, failing_helm: None) -> None:
    Path("tenants").mkdir()
    Path("tenants/acme.yaml").write_text("name: spicedb")
    run(f"{UPGRADE} stop -f spicedb.yaml --each tenants/acme.yaml", "log", "helm", code=4)


def test_json_is_ascii(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    _trouble(api)
    for command in ("status spicedb", "status -A", "check --no-database --no-schema", "diff"):
        main([*command.split(), "--output", "json"])
        text = capsys.readouterr().out
        assert {each for each in text if not " " <= each <= "~"} <= {"\n"}
        assert "\\u001b]0;" in text
        json.loads(text)


@pytest.mark.parametrize(
    "arguments",
    [["plan", "--engine=\x1b]0;x\x07"], ["synth", "-f", "\x1b]0;x\x07"], ["synth", "--each", "\x1b]0;x\x07"]],
)
def test_names_of_files_and_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        main(arguments)
    error = capsys.readouterr().err
    assert "\x1b" not in error
    assert r"\x1b]0;x\x07" in error
