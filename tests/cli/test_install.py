"""``install`` and ``uninstall`` on the command line: questions, output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cdk8s_spicedb import Delivery
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.live import Cluster
from tests.apiserver import NAMESPACE
from tests.cli.terminal import typed
from tests.live.install.place import NAME, Place
from tests.live.upgrade.scenarios import use

FILE = """
version: v1.56.0
delivery: {delivery}
datastore: {{engine: {engine}}}
"""
POSTGRES = "postgres, uri: {name: spicedb, key: datastore-uri}"
QUICK = ("--no-database", "--no-schema", "--no-pull-images")


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A cluster without a SpiceDB, and a folder with a file."""
    place = Place()
    use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write(place)
    monkeypatch.setattr(Cluster, "connect", lambda **_: place.process.cluster(NAMESPACE))
    return place


def write(place: Place, engine: str = POSTGRES) -> None:
    Path("spicedb.yaml").write_text(FILE.format(delivery=place.delivery.value, engine=engine))


def run(place: Place, *words: str) -> int:
    """Runs a command, as a new process."""
    place.begin()
    return main(words)


def test_install_says_what_it_does_and_how_to_reach_spicedb(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(live, "install", "--yes", *QUICK) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" s  prepare: checking")
    start = next(number for number, line in enumerate(lines) if line.startswith("spicedb in authz"))
    what = "install SpiceDB v1.56.0 on postgres, 2 servers, with helm."
    assert lines[start] == f"spicedb in authz, https://cluster: {what}"
    assert lines[start + 1].startswith("  Creates Job spicedb-migration, ")
    assert lines[start + 2] == "  A Job first creates or migrates SpiceDB's tables in the database."
    assert lines[start + 3] == "  Reads the Secrets that you made: spicedb."
    told = [line.partition(" s  ")[2] for line in lines[start + 4 :] if " s  " in line]
    assert told[0] == "apply: SpiceDB v1.56.0 with Helm"
    assert told[-1] == "done: SpiceDB v1.56.0 serves"
    assert lines[-6:] == [
        "Address in the cluster: spicedb.authz:50051 (gRPC, without TLS)",
        "API key: in the Secret spicedb, under the key preshared-key",
        "To connect from this machine:",
        "  kubectl port-forward service/spicedb 50051 --namespace authz",
        '  zed context set spicedb localhost:50051 "$(kubectl get secret spicedb --output '
        "jsonpath='{.data.preshared-key}' --namespace authz | base64 --decode)\" --insecure",
        "To see what runs: cdk8s-spicedb status spicedb --namespace authz",
    ]


def test_a_failed_check_installs_nothing(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    live.api.remove("secrets", NAME)
    for more in ((), ("--dry-run",)):
        assert run(live, "install", "--yes", *QUICK, *more) == 1
        output = capsys.readouterr()
        assert "create it: kubectl create secret generic spicedb --namespace authz" in output.out
        assert output.err.startswith("error: the check failed. Nothing was installed.")
    assert run(live, "install", "--dry-run", "-o", "json", *QUICK) == 1
    assert any(each["level"] == "failure" for each in json.loads(capsys.readouterr().out)["findings"])
    assert not live.api.of("deployments")


def test_a_dry_run_changes_nothing(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    before = live.left()
    assert run(live, "install", "--dry-run", *QUICK) == 0
    assert capsys.readouterr().out.endswith("This was a dry run. Nothing was changed.\n")
    assert run(live, "install", "--dry-run", "--no-check", "-o", "yaml") == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert ("Deployment spicedb" in found["creates"], found["check"]) == (True, None)
    assert live.left() == before
    assert not live.api.count("create", "leases")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_questions(live: Place, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    with typed(monkeypatch, f"{answer}\n"):
        assert run(live, "install", "--no-check") == code
    if code == 0:
        with typed(monkeypatch, f"{answer}\n"):
            assert run(live, "uninstall") == code
    assert not live.api.of("deployments")


def test_data_for_programs_needs_yes(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(live, "install", "-o", "json") == 1
    assert "--output json cannot ask for confirmation: add --yes" in capsys.readouterr().err
    assert run(live, "install", "-o", "json", "--yes", "--no-check") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["address"], found["secret"], found["key"]) == ("spicedb.authz:50051", NAME, "preshared-key")
    assert run(live, "uninstall", "-o", "json") == 1
    capsys.readouterr()
    assert run(live, "uninstall", "-o", "json", "--yes") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["applier"], found["version"]) == ("helm", "v1.56.0")


def test_a_failed_install_is_told_and_removed(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    live.migration_fails = True
    assert run(live, "install", "--yes", "--no-check") == 4
    error = capsys.readouterr().err
    assert "the install failed: helm upgrade: " in error
    assert 'password authentication failed for user "spicedb"' in error
    assert "run: cdk8s-spicedb uninstall spicedb --namespace authz" in error
    assert run(live, "install", "--dry-run", *QUICK) == 0
    assert "  Continues the unfinished install that began at 2030-01-01T00:00:00Z." in capsys.readouterr().out
    assert run(live, "uninstall", "spicedb", "--yes") == 0
    assert "uninstall what is left of it." in capsys.readouterr().out
    assert live.left() == []


def test_a_second_install_is_refused(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(live, "install", "--yes", "--no-check") == 0
    assert run(live, "install", "--yes", "--no-check") == 1
    assert "to change it, use `cdk8s-spicedb upgrade`" in capsys.readouterr().err


def test_in_memory(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    write(live, "memory")
    assert run(live, "install", "--yes", *QUICK) == 0
    assert "when a server restarts, they are lost." in capsys.readouterr().out
    assert run(live, "uninstall", "--yes") == 0
    assert "All relationships are lost" in capsys.readouterr().out


def test_uninstall_says_what_is_deleted_and_what_stays(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(live, "uninstall", "--yes") == 1
    assert "there is no SpiceDB in the namespace authz" in capsys.readouterr().err
    assert run(live, "install", "--yes", "--no-check") == 0
    capsys.readouterr()
    assert run(live, "uninstall", "--dry-run", "-o", "yaml") == 0
    assert "Deployment spicedb" in yaml.safe_load(capsys.readouterr().out)["deletes"]
    assert run(live, "uninstall", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "spicedb in authz, https://cluster: uninstall SpiceDB v1.56.0 (Helm release spicedb)."
    assert lines[1:3] == ["Deletes:", "  Helm release spicedb"]
    stays = lines[lines.index("Stays:") :]
    assert stays == [
        "Stays:",
        "  the database (postgres) with all relationships and the SpiceDB schema",
        "  Secrets that the servers read: spicedb",
        "  the namespace authz, and all other objects in it",
        "This was a dry run. Nothing was changed.",
    ]
    assert live.api.has("deployments", NAME)
    assert run(live, "uninstall", "--yes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5].endswith("done: spicedb is removed from the namespace authz")
    assert lines[-4:] == stays[:-1]
    assert live.left() == []


def test_one_of_several_is_named(live: Place, capsys: pytest.CaptureFixture[str]) -> None:
    live.delivery = Delivery.KUBECTL
    for name in ("one", "two"):
        Path("spicedb.yaml").write_text(f"name: {name}\n" + FILE.format(delivery="kubectl", engine=POSTGRES))
        assert run(live, "install", "--yes", "--no-check") == 0
    assert run(live, "uninstall", "--yes") == 1
    assert "there are several SpiceDBs; name one of them: one, two" in capsys.readouterr().err
    assert run(live, "uninstall", "one", "--yes") == 0
    assert [each["metadata"]["name"] for each in live.api.of("deployments")] == ["two"]
