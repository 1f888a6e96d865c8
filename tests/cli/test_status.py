"""The command ``status``: its text, its options and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.status_text import details, line
from cdk8s_spicedb.live.check.database.question import TRANSACTION_IDS, DatabaseReport
from cdk8s_spicedb.live.check.finding import Finding
from cdk8s_spicedb.live.compare import Change, Drift, FieldDiff, ObjectDiff
from cdk8s_spicedb.live.status import status
from tests.apiserver import Object
from tests.live.objects import (
    NOTHING,
    cluster_of,
    deployment,
    event,
    server_pod,
    text_of,
)


def test_lines_wrap_on_a_terminal() -> None:
    objects = {**NOTHING, "deployments": [deployment()], "pods": [server_pod(ready=False, reason="a " * 60)]}
    found = status(cluster_of(**objects), "spicedb")
    lines = "\n".join(str(part) for part in details(found, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(each.startswith(" " * 17 + "a a") for each in lines)


def test_drift_and_warnings_in_text() -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    events = [{**event("spicedb", f"{number} is wrong", count=number), "lastTimestamp": now} for number in range(1, 8)]
    objects = {**NOTHING, "deployments": [deployment()], "events": events, "pods": [server_pod(ready=False)]}
    found = status(cluster_of(**objects), "spicedb")
    fields = (FieldDiff(path="spec.replicas", before=None, after=3),)
    objects_changed = (ObjectDiff(kind="Deployment", name="spicedb", change=Change.CHANGED, fields=fields),)
    text = text_of(attrs.evolve(found, drift=Drift(known=True, objects=objects_changed), revision="a", upgrade="b"))
    assert "Deployment spicedb changed since the release" in text
    assert "spec.replicas: (not set) -> 3" in text
    assert "and 2 more in the last hour" in text
    assert "Pod spicedb: R: 7 is wrong (7 times)" in text
    assert "at revision a" in text
    assert "none: the objects are as released" in text_of(attrs.evolve(found, drift=Drift(known=True)))
    one = line(attrs.evolve(found, upgrade="step 1"))
    assert "spicedb-5d9f7c8b6d-bcdfg: " not in one
    assert one.endswith("; step 1")


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the command use a cluster with some objects."""

    def connect(**objects: list[Object]) -> None:
        cluster = cluster_of(**{**NOTHING, **objects})
        monkeypatch.setattr("cdk8s_spicedb.cli.status.connect", lambda *_: cluster)

    return connect


def test_command(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    connected(deployments=[deployment()], pods=[server_pod()])
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("spicedb in namespace authz: healthy\n")
    assert main(["status", "spicedb", "--output=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rollout"]["state"], found["migration"]["state"], found["applier"]) == ("done", "none", "helm")
    connected(deployments=[deployment(ready=1)])
    assert main(["status"]) == 1
    assert "1 of 2 servers are ready" in capsys.readouterr().out


def test_command_lists_several(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    other = deployment()
    other["metadata"] = {**other["metadata"], "name": "other"}
    connected(deployments=[deployment(), other])
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("authz      other")
    assert main(["status", "-A", "--output=json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["other", "spicedb"]
    assert main(["status", "--wait"]) == 1
    assert "there are several SpiceDBs; name one of them: other, spicedb" in capsys.readouterr().err
    connected(deployments=[])
    assert main(["status"]) == 1
    assert "there is no SpiceDB in the namespace authz" in capsys.readouterr().err
    assert main(["status", "-A"]) == 1
    assert "in any namespace" in capsys.readouterr().err


def test_command_waits(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    server = server_pod(podIP="10.0.0.1")
    labels = {"kubernetes.io/service-name": "spicedb"}
    endpoints = {
        "metadata": {"name": "a", "labels": labels},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
    }
    connected(deployments=[deployment()], pods=[server], endpointslices=[endpoints])
    assert main(["status", "--wait=1"]) == 0
    connected(deployments=[deployment(ready=1)])
    assert main(["status", "--wait=0"]) == 1
    captured = capsys.readouterr()
    assert "not safe yet: 1 of 2 new servers ready" in captured.err


def test_command_watches(
    connected: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(deployments=[deployment()])
    pauses = iter([None, KeyboardInterrupt()])

    def sleep(_: float) -> None:
        pause = next(pauses)
        if pause is not None:
            raise pause

    monkeypatch.setattr("time.sleep", sleep)
    assert main(["status", "--watch"]) == 0
    (printed,) = capsys.readouterr().out.splitlines()
    assert printed.endswith("healthy; 2 of 2 ready; roll-out done; no servers")


def test_command_asks_the_database(
    connected: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    connected(deployments=[deployment()])
    answers: dict[str | None, DatabaseReport] = {
        None: DatabaseReport(findings=(), revision="a-revision"),
        "other": DatabaseReport(findings=()),
        "restored": DatabaseReport(
            findings=(Finding.failure(TRANSACTION_IDS, "they are in the future", "repair them"),), revision="a-revision"
        ),
    }
    monkeypatch.setattr(import_module("cdk8s_spicedb.cli.status"), "ask_database", lambda _, __, image: answers[image])
    file = tmp_path / "spicedb.yaml"
    text = "datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
    file.write_text(text)
    assert main(["status", "--datastore", f"--file={file}"]) == 0
    assert "at revision a-revision" in capsys.readouterr().out
    assert main(["status", "--datastore", f"--file={file}", "--database-image=other"]) == 0
    assert "at revision none" in capsys.readouterr().out
    assert main(["status", "--datastore", f"--file={file}", "--database-image=restored"]) == 1
    assert "they are in the future; repair them" in capsys.readouterr().out
    file.write_text(f"name: another\n{text}")
    assert main(["status", "spicedb", "--datastore", f"--file={file}"]) == 1
    assert "describes another, not spicedb" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all-namespaces", "spicedb"],
        ["--watch", "--wait"],
        ["--datastore"],
        ["--timeout", "5m"],
        ["--each", "a.yaml", "--watch"],
        ["--each", "a.yaml", "--all-namespaces"],
        ["--watch", "--output=json"],
        ["--wait=-1"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["status", *arguments])
    assert caught.value.code == 2


def test_other_commands_load_no_client(tmp_path: Path) -> None:
    code = (
        "import sys; from cdk8s_spicedb.cli import main\n"
        "for command in (['plan', '--engine=postgres', '--from=v1.52.0'], ['releases'], ['init']):\n"
        "    assert main(command) == 0\n"
        "loaded = {'httpx2', 'rich', 'yaml', 'cdk8s_spicedb.live'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
