"""Which SpiceDB a command is about: NAME, ``--file`` or ``--each``; what it says if it cannot ask; and dry runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.live import Cluster
from tests.apiserver import ApiServer, matches
from tests.cli.test_upgrade import BAD, FILE, Live
from tests.cli.test_upgrade import live as live
from tests.live.clock import FakeClock
from tests.live.installed import BY_HELM, OLD, applied, props
from tests.live.test_kubeconfig import config
from tests.live.upgrade.program import world as world

ON_POSTGRES = "datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
CHECK = ("check", "--no-database", "--no-schema")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ApiServer:
    """A cluster in which SpiceDB runs, and a folder with its file."""
    monkeypatch.chdir(tmp_path)
    Path("spicedb.yaml").write_text(f"version: {OLD}\n{ON_POSTGRES}")
    made = applied(props(OLD), **BY_HELM)
    clock = FakeClock()
    monkeypatch.setattr(Cluster, "connect", lambda **_: made.cluster(clock=clock))
    return made


# ---------------------------------------------------------------- NAME or a file


@pytest.mark.parametrize("command", [CHECK, ("diff",), ("upgrade", "--no-check")])
def test_a_name_must_be_the_one_that_the_file_describes(
    api: ApiServer, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert main([*command, "other"]) == 1
    text = "error: spicedb.yaml describes spicedb, not other; name the file of other with --file, or leave out other\n"
    assert capsys.readouterr().err == text
    Path("spicedb.yaml").unlink()
    assert main([*command, "spicedb"]) == 1
    text = "error: there is no spicedb.yaml in this folder; add --file with the file that describes spicedb, because "
    assert capsys.readouterr().err.startswith(text)


def test_a_name_beside_its_file(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "spicedb", "-f", "spicedb.yaml"]) == 0
    assert "namespace authz" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("status", "spicedb"), ("status", "-f", "spicedb.yaml"), ("status",)])
def test_status_takes_a_name_or_a_file(
    api: ApiServer, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    main(words)
    assert capsys.readouterr().out.startswith("spicedb in namespace authz: ")


def test_rollback_takes_the_name_of_the_file(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.yaml").write_text(f"name: other\n{ON_POSTGRES}")
    assert main(["rollback", "-f", "other.yaml", "--yes"]) == 1
    assert "there is no Deployment other" in capsys.readouterr().err


def test_a_file_with_another_ending_is_found(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spicedb.yaml").rename("spicedb.yml")
    assert main(["synth"]) == 1
    assert "there is spicedb.yml: rename it, or add --file spicedb.yml" in capsys.readouterr().err


# ---------------------------------------------------------------- --each


def test_each_reports_every_spicedb_and_ends_with_the_worst(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenants").mkdir()
    Path("tenants/acme.yaml").write_text("name: spicedb\n")
    Path("tenants/globex.yaml").write_text("name: missing\n")
    each = ("-f", "spicedb.yaml", "--each", "tenants/acme.yaml", "tenants/globex.yaml")
    assert main(["status", *each]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "authz/spicedb:"
    assert captured.err.startswith("error: authz/missing: there is no Deployment missing")
    assert main(["status", *each, "--output", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["authz/spicedb"]["version"] == OLD
    assert found["authz/missing"]["error"].startswith("there is no Deployment missing")
    assert main(["diff", *each, "--exit-code"]) == 3
    out = capsys.readouterr().out
    assert "authz/spicedb:" in out
    assert "authz/missing:" in out
    main([*CHECK, *each, "-o", "yaml"])
    assert list(yaml.safe_load(capsys.readouterr().out)) == ["authz/spicedb", "authz/missing"]
    api.fail(matches("get", "deployments", name="missing"), httpx2.ConnectError("gone"), times=None)
    assert main(["status", *each]) == 5
    assert capsys.readouterr().out.startswith("authz/spicedb:")


@pytest.mark.parametrize("command", ["status", "check", "diff", "upgrade"])
def test_a_name_and_each_do_not_fit(api: ApiServer, command: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main([command, "spicedb", "--each", "spicedb.yaml"])
    assert raised.value.code == 2


def test_yaml_is_the_data_of_json(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("diff", "status", "plan --engine postgres --from v1.40.0", "releases"):
        main([*command.split(), "--output", "json"])
        data = json.loads(capsys.readouterr().out)
        main([*command.split(), "--output", "yaml"])
        assert yaml.safe_load(capsys.readouterr().out) == data


# ---------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    "command",
    [("status",), ("status", "spicedb"), CHECK, ("diff",), ("plan", "-f", "spicedb.yaml"), ("upgrade", "--yes")],
)
@pytest.mark.parametrize("fault", [httpx2.ConnectError("gone"), (401, "Unauthorized"), (500, "broken")])
def test_code_five_says_that_the_cluster_could_not_be_asked(
    api: ApiServer, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], fault: Any
) -> None:
    api.fail(lambda _: True, fault, times=None)
    assert main(command) == 5
    captured = capsys.readouterr()
    assert captured.out == "" or command[0] == "upgrade"
    assert captured.err.startswith("error: ")


@pytest.mark.parametrize("body", ["{}", '{"kind": "Banana", "items": "x", "metadata": 7}'])
@pytest.mark.parametrize(
    "command",
    [
        CHECK,
        ("diff",),
        ("status", "spicedb"),
        ("install", "--dry-run"),
        ("upgrade", "--dry-run"),
        ("rollback", "spicedb", "--dry-run"),
        ("uninstall", "spicedb", "--dry-run"),
    ],
)
def test_an_answer_that_is_no_object_is_no_answer(
    api: ApiServer, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], body: str
) -> None:
    api.fail(lambda _: True, httpx2.Response(200, text=body), times=None)
    assert main(command) == 5
    assert capsys.readouterr().err.startswith("error: ")


def test_a_kubeconfig_that_does_not_exist_is_no_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["status", "--kubeconfig", str(tmp_path / "no")]) == 5
    assert (
        capsys.readouterr().err == f"error: cannot read the kubeconfig {tmp_path}/no: it does not exist or is empty\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["status"]) == 5
    text = f"error: there is no kubeconfig (looked for {tmp_path}/none); name one with --kubeconfig\n"
    assert capsys.readouterr().err == text


def test_a_kubeconfig_takes_precedence_over_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("given", "variable"):
        found = config(name, current=name)
        found["contexts"][0]["context"]["namespace"] = name
        (tmp_path / name).write_text(json.dumps(found))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "variable"))
    file = str(tmp_path / "given")
    cluster = Cluster.connect(kubeconfig=file)
    assert (cluster.context, cluster.namespace) == ("given", "given")
    assert cluster.options() == f"--namespace given --context given --kubeconfig {file}"
    assert Cluster.connect().options() == "--namespace variable --context variable"


def test_verbose_says_what_is_asked_and_started(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", "spicedb", "--verbose"])
    lines = capsys.readouterr().err.splitlines()
    assert any(" s  GET https://" in line and "/namespaces/authz/deployments/spicedb" in line for line in lines)


def test_verbose_shows_no_secret_of_the_address(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = config("c", current="c", server="http://admin:PASSWORD@127.0.0.1:1/api?token=TOKEN")
    (tmp_path / "config").write_text(json.dumps(found))
    assert main(["status", "--verbose", "--kubeconfig", str(tmp_path / "config")]) == 5
    err = capsys.readouterr().err
    assert "GET http://" in err
    assert "PASSWORD" not in err
    assert "TOKEN" not in err


def test_the_nearest_context_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(config("production")))
    assert main(["status", "--kubeconfig", str(tmp_path / "config"), "--context", "prodution"]) == 5
    assert "has no context prodution; did you mean production?" in capsys.readouterr().err


# ---------------------------------------------------------------- plan --file


def test_a_plan_belongs_to_the_place_of_its_file(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spicedb.yaml").write_text(f"version: v1.56.0\nnamespace: authz\n{ON_POSTGRES}")
    assert main(["plan", "-f", "spicedb.yaml", "--from", OLD, "--namespace", "other"]) == 1
    assert "--namespace is other, but the file sets the namespace authz" in capsys.readouterr().err


def test_a_plan_from_a_release_after_the_newest_needs_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--engine", "postgres", "--from", "v9.0.0"]) == 1
    err = capsys.readouterr().err
    assert "v9.0.0 is later than" in err
    assert "set the target with --to" in err


def test_a_plan_of_a_file_asks_the_cluster(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spicedb.yaml").write_text(f"version: v1.56.0\n{ON_POSTGRES}")
    assert main(["plan", "-f", "spicedb.yaml", "--namespace", "authz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"postgres {OLD} to v1.56.0: ")
    assert lines[-1] == "Next: cdk8s-spicedb upgrade -f spicedb.yaml --namespace authz"


def test_a_plan_of_a_file_needs_no_cluster_with_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Cluster, "connect", None)
    file = tmp_path / "spicedb.yaml"
    file.write_text(f"version: v1.56.0\nserver: {{schemaMode: read-new-write-new}}\n{ON_POSTGRES}")
    assert main(["plan", "-f", str(file), "--from", "v1.52.0", "-o", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["engine"], plan["current"], plan["target"]) == ("postgres", "v1.52.0", "v1.56.0")
    assert plan["steps"][-1]["schema_mode"] == "read-new-write-new"
    assert main(["plan", "-f", str(file), "--from", "v1.52.0", "--engine", "mysql"]) == 1
    assert "--engine is mysql, but the file has postgres; leave out --engine" in capsys.readouterr().err
    assert main(["plan", "-f", str(file), "--from", "v1.56.0"]) == 0


# ---------------------------------------------------------------- dry runs


def test_a_dry_run_of_an_upgrade_changes_nothing(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(live.world.calls)
    assert main(["upgrade", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "SpiceDB v1.52.0 to v1.56.0, 1 step" in out
    assert "ROLLBACK" in out
    assert out.endswith("This was a dry run. Nothing was changed.\n")
    assert not live.world.api.of("leases")
    assert len(live.world.calls) == before
    assert main(["upgrade", "--dry-run", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["target"] == "v1.56.0"
    with pytest.raises(SystemExit):
        main(["upgrade", "--dry-run", "--write", "folder"])


def test_a_dry_run_of_an_upgrade_ends_as_check_does(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.findings.append(BAD)
    assert main(["upgrade", "--dry-run"]) == 1
    assert "failure  Secret spicedb  does not exist" in capsys.readouterr().out


def test_a_dry_run_of_a_rollback_changes_nothing(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--yes", "--no-check", "--observe", "0"]) == 0
    capsys.readouterr()
    live.world.calls.clear()
    assert main(["rollback", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "from SpiceDB v1.56.0 back to v1.52.0" in out
    assert out.endswith("This was a dry run. Nothing was changed.\n")
    assert not live.world.api.of("leases")
    assert not any("rollback" in str(call) for call in live.world.calls)


def test_hints_name_the_place_that_was_given(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert "namespace" not in FILE
    live.world.api.fail(matches("get", "deployments"), (403, "see `cdk8s-spicedb status`"), times=None)
    assert main(["rollback", "--yes", "--namespace", "authz", "--context", "prod"]) == 5
    assert "`cdk8s-spicedb status --namespace authz --context prod`" in capsys.readouterr().err
