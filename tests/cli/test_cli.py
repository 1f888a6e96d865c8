"""The command line: what it prints, how it ends, and that it waits for nothing."""

from __future__ import annotations

import io
import json
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from cdk8s_spicedb import PostgreSQL, known_releases, plan_upgrade
from cdk8s_spicedb.cli import command_line, main
from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.files.schema import props_schema
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.plans.tables import markdown, table
from cdk8s_spicedb.versions import Advisory, ReleaseRange
from tests.charts import rendered, same, without_chart_labels
from tests.programs import contents

PLAN = ["plan", "--engine", "postgres", "--from", "v1.13.0", "--to", "v1.56.0"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_plan_is_a_table_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    code, out, err = run(capsys, *PLAN)
    assert (code, err) == (0, "")
    assert out.startswith(
        f"{table(plan_upgrade(PostgreSQL, 'v1.13.0', 'v1.56.0'), 90)}\n\nWarning: v1.56.0 has a known"
    )


def test_a_plan_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *PLAN, "--output", "json")
    assert (code, err) == (0, "")
    plan = attrs.asdict(plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0"))
    found = json.loads(out)
    names = [each["advisory"]["id"] for each in found.pop("advisories")]
    assert names == ["GHSA-jf7w-wx43-32gc", "GO-2026-6612", "spicedb-3243"]
    assert found == json.loads(json.dumps(plan))
    assert set(found) == {"engine", "current", "target", "steps", "warnings", "relationships"}


def test_a_plan_is_markdown_for_pull_requests(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0")
    code, out, err = run(capsys, *PLAN, "--output", "markdown")
    assert (code, err) == (0, "")
    assert out.startswith(
        f"{markdown(plan)}\n\n> [!WARNING]\n> v1.56.0 has a known fault. GHSA-jf7w-wx43-32gc (severe):"
    )


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_plan_to_a_release_without_known_faults_says_nothing_of_them(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, *PLAN[:-1], "v1.57.1", "--output", form)
    assert "known fault" not in out


@pytest.mark.parametrize(
    ("text", "relationships"),
    [
        ("10000000", 10_000_000),
        ("10_000_000", 10_000_000),
        ("10M", 10_000_000),
        ("1.5m", 1_500_000),
        ("500k", 500_000),
        ("0.5K", 500),
        ("2B", 2_000_000_000),
    ],
)
def test_a_plan_estimates_times_for_a_number_of_relationships(
    capsys: pytest.CaptureFixture[str], text: str, relationships: int
) -> None:
    _, out, _ = run(capsys, *PLAN, "--relationships", text, "--output", "json")
    plan = json.loads(out)
    assert plan["relationships"] == relationships
    assert [step["seconds"] > 0 for step in plan["steps"]] == [bool(step["seconds"]) for step in plan["steps"]]
    assert sum(step["seconds"] for step in plan["steps"]) > 0


@pytest.mark.parametrize("text", ["", "ten", "10x", "10,000,000", "0", "-5", "1.5", "1__0", "10 M", "1e6", "٣"])
def test_other_numbers_of_relationships_are_wrong_usage(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main([*PLAN, f"--relationships={text}"])
    assert raised.value.code == 2
    error = f"{text!r} is not a number; write it as 10000000, 10_000_000, 10M, 1.5M or 500k"
    assert error in capsys.readouterr().err


def test_too_many_relationships_are_said_of_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, *PLAN, "--relationships", "9999B")
    assert code == 1
    assert "  --relationships = 9999000000000\n" in err


def test_the_target_is_the_newest_release_unless_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", "--engine", "mysql", "--from", "v1.52.0", "--output", "json")
    assert json.loads(out)["target"] == known_releases().newest


def test_modes_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--schema-mode", "read-new-write-new", "--current-schema-mode", "read-new-write-both"]
    arguments = ["plan", "--engine", "postgres", "--from", known_releases().newest, *asked, "--output", "json"]
    _, out, _ = run(capsys, *arguments)
    assert [step["schema_mode"] for step in json.loads(out)["steps"]] == ["read-new-write-new"]


def test_a_way_that_there_is_not_ends_with_one_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "plan", "--engine", "postgres", "--from", "v1.56.0", "--to", "v1.52.0")
    assert (code, out) == (1, "")
    assert err.startswith("error: 1 problem in cdk8s-spicedb plan:\n  --to = 'v1.52.0'\n")
    assert "roll back with your tool" in err


def test_what_is_wrong_is_said_of_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    modes = ["--schema-mode", "read-new-write-new", "--current-schema-mode", "read-new-write-both"]
    _, _, err = run(capsys, "plan", "--engine", "memory", "--from", "1.52", "--to", "latest", *modes)
    assert err.startswith("error: 2 problems in cdk8s-spicedb plan:\n  --from = '1.52'\n")
    assert "  --to = 'latest'\n" in err
    _, _, err = run(capsys, "plan", "--engine", "memory", "--from", "v1.56.0", "--to", "v1.56.0", *modes)
    assert "  --schema-mode = 'read-new-write-new'\n" in err
    assert "  --current-schema-mode = 'read-new-write-both'\n" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan"],
        ["plan", "--engine", "oracle", "--from", "v1.52.0"],
        ["plan", "--engine", "postgres"],
        ["plan", "--engine", "postgres", "--from", "v1.52.0", "--output", "xml"],
        ["plan", "--engine", "postgres", "--from", "v1.56.0", "--schema-mode", "new"],
        ["plans"],
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: cdk8s-spicedb" in capsys.readouterr().err


def test_help_says_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["plan", "--help"])
    assert raised.value.code == 0
    out = capsys.readouterr().out
    assert "Exit codes: 0 the plan is printed 1 there is no such plan" in " ".join(out.split())
    for option in (
        "--engine",
        "--from",
        "--to",
        "--schema-mode",
        "--current-schema-mode",
        "--relationships",
        "--output",
    ):
        assert option in out


@pytest.mark.parametrize(
    "program", [[sys.executable, "-m", "cdk8s_spicedb"], [str(Path(sys.executable).with_name("cdk8s-spicedb"))]]
)
def test_it_runs_as_a_module_and_as_a_program(program: list[str]) -> None:
    found = subprocess.run([*program, *PLAN], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("postgres v1.13.0 to v1.56.0: 7 steps\n")
    refused = subprocess.run([*program, *PLAN[:4], "v1.97.0"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")


def test_the_module_is_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cdk8s-spicedb", *PLAN])
    with pytest.raises(SystemExit) as raised:
        runpy.run_module("cdk8s_spicedb", run_name="__main__")
    assert raised.value.code == 0
    assert capsys.readouterr().out.startswith("postgres v1.13.0 to v1.56.0: 7 steps\n")


def test_planning_starts_no_javascript_engine() -> None:
    code = (
        "import sys, cdk8s_spicedb.cli; "
        f"cdk8s_spicedb.cli.main({PLAN!r}); "
        "sys.exit(bool({'jsii', 'cdk8s', 'constructs', 'cdk8s_plus_27'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


# ---------------------------------------------------------------- init, synth, schema


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_nothing_to_a_chart_in_two_commands(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = run(capsys, "init")
    assert (code, err) == (0, "")
    assert out.endswith("cdk8s-spicedb synth --file spicedb.yaml\n")
    code, out, err = run(capsys, "synth")
    assert (code, err) == (0, "")
    assert "with these keys: spicedb (preshared-key, datastore-uri)." in out
    assert "helm upgrade --install spicedb dist --wait --timeout 11m --namespace NAMESPACE" in out
    assert (folder / "dist" / "Chart.yaml").exists()
    props = read_props((folder / "spicedb.yaml").read_text(), "file")
    assert props.version == known_releases().newest
    assert same(without_chart_labels(rendered(folder / "dist")), release_manifests(props))


def test_a_name_for_the_first_file_is_quoted_for_shells(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    _, out, _ = run(capsys, "init", "my $(file).yaml")
    assert out.endswith("cdk8s-spicedb synth --file 'my $(file).yaml'\n")


def test_nothing_is_left_of_a_first_file_that_cannot_be_written(folder: Path) -> None:
    command = f"ulimit -f 0; {shlex.quote(sys.executable)} -m cdk8s_spicedb init"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write spicedb.yaml: File too large; name another file\n"
    assert not (folder / "spicedb.yaml").exists()


@pytest.mark.parametrize(("delivery", "says"), [("kubectl", "kubectl apply --filename out"), ("argocd", "commit out")])
def test_manifests_for_those_who_apply_them(
    delivery: str, says: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    run(capsys, "init")
    code, out, err = run(capsys, "synth", "--delivery", delivery, "--folder", "out")
    assert (code, err) == (0, "")
    assert says in out
    (text,) = contents(folder / "out").values()
    props = read_props((folder / "spicedb.yaml").read_text(), "file", delivery=delivery)
    assert list(yaml.safe_load_all(text)) == release_manifests(props)


def test_the_files_delivery_counts_where_none_is_asked_for(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("mine.yaml").write_text("{name: authz, delivery: kubectl, datastore: {engine: memory}}")
    assert run(capsys, "synth", "-f", "mine.yaml")[0] == 0
    assert list(contents(folder / "dist")) == ["authz.k8s.yaml"]


def test_a_file_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"datastore: {engine: memory}")))
    assert run(capsys, "synth", "-f", "-", "--chart-version", "4.5.6")[0] == 0
    assert "version: 4.5.6" in (folder / "dist" / "Chart.yaml").read_text()


def test_a_file_says_who_distributes_the_chart(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    run(capsys, "init")
    Path("metadata.yaml").write_text("maintainers: [{name: platform}]\nicon: https://example.com/icon.svg\n")
    assert run(capsys, "synth", "--chart-metadata", "metadata.yaml")[0] == 0
    assert "icon: https://example.com/icon.svg" in (folder / "dist" / "Chart.yaml").read_text()
    before = contents(folder / "dist")
    Path("metadata.yaml").write_text("maintainers: [{name: platform}]\nicon: icon.svg\n")
    code, _, err = run(capsys, "synth", "--chart-metadata", "metadata.yaml")
    assert code == 1
    assert "icon (line 2) = 'icon.svg'" in err
    assert contents(folder / "dist") == before


def test_nothing_is_written_of_a_wrong_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    run(capsys, "init")
    run(capsys, "synth")
    before = contents(folder / "dist")
    Path("spicedb.yaml").write_text("datastore: {engine: memory}\nserver: {replicas: 2, logLevel: loud}")
    code, out, err = run(capsys, "synth")
    assert (code, out) == (1, "")
    assert err.startswith("error: 1 problem in spicedb.yaml:\n  server.logLevel (line 2) = 'loud'\n")
    assert contents(folder / "dist") == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["synth"],
            "cannot read spicedb.yaml: No such file or directory; `cdk8s-spicedb init` writes a first spicedb.yaml",
        ),
        (["synth", "-f", "."], "cannot read .: Is a directory"),
        (["synth", "-f", "latin.yaml"], "cannot read latin.yaml: it is not UTF-8 text"),
        (["synth", "-f", "good.yaml", "--chart-version", "1"], "cdk8s-spicedb synth:\n  --chart-version = '1'"),
        (["synth", "-f", "good.yaml", "--folder", "."], "the current directory is inside it"),
        (["init", "good.yaml"], "good.yaml already exists"),
        (["init", "no/such/folder.yaml"], "cannot write no/such/folder.yaml: No such file"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    Path("latin.yaml").write_bytes("name: é".encode("latin-1"))
    Path("good.yaml").write_text("datastore: {engine: memory}")
    before = contents(folder)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert contents(folder) == before


def test_what_deserves_a_word_gets_it(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    text = "datastore: {engine: postgres, uri: {name: a, key: b}}\nversion: v9.0.0\nmigration: {targetPhase: write}"
    Path("spicedb.yaml").write_text(text)
    code, _, err = run(capsys, "synth")
    assert code == 0
    assert err.count("warning: ") == 2
    assert "v9.0.0 is not among the releases" in err
    assert "migrate --phase" in err


def test_the_schema_is_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "json-schema")
    assert (code, err) == (0, "")
    assert json.loads(out) == props_schema()


def test_no_command_starts_a_javascript_engine(folder: Path) -> None:
    program = """
import sys
from cdk8s_spicedb.cli import command_line, main
for command in (["init"], ["synth"], ["synth", "--delivery", "argocd"], ["json-schema"]):
    assert main(command) == 0
assert not {"jsii", "cdk8s", "constructs"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder, capture_output=True)


# ---------------------------------------------------------------- --releases

RELEASES = "v1.99.0: {postgres: [add-something]}\nv1.100.0: {postgres: }\n"


def test_plan_knows_the_releases_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "releases.yaml"
    file.write_text(RELEASES)
    arguments = ("plan", "--engine", "postgres", "--from", "v1.56.0", "--releases", str(file), "--output", "json")
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    plan = json.loads(out)
    assert plan["target"] == "v1.100.0"
    assert plan["warnings"] == []
    assert [step["revision"] for step in plan["steps"]] == ["add-something"]


def test_synth_knows_the_releases_of_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "version: v1.99.0\ndatastore: {engine: postgres, uri: {name: spicedb, key: uri}}\n"
    Path("spicedb.yaml").write_text(f"{text}migration: {{targetMigration: add-something}}\n")
    Path("releases.json").write_text('{"v1.99.0": {"postgres": ["add-something"]}}')
    assert run(capsys, "synth")[2].startswith("warning: v1.99.0 is not among the releases")
    assert run(capsys, "synth", "--releases", "releases.json")[::2] == (0, "")
    Path("spicedb.yaml").write_text(f"{text}migration: {{targetMigration: add-anything}}\n")
    code, _, err = run(capsys, "synth", "--releases", "releases.json")
    assert code == 1
    assert "migration.targetMigration (line 3) = 'add-anything'" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- v1.99.0", "write releases as v1.99.0: {postgres: [the-revision-that-it-adds]}"),
        ("v1.99.0: [a]", "write releases as"),
        ("v1.99.0: {postgres: a}", "releases.yaml: revisions must be a list, not a string: postgres"),
        ("v1.99.0: {postgres: [1]}", "v1.99.0: give a list of revisions for each engine"),
        ("v1.56.0: {}", "releases.yaml: v1.56.0 is already in the table"),
        ("1.99: {}", "releases.yaml: invalid SpiceDB version"),
        ("v1.99.0: {oracle: []}", "releases.yaml: unknown engines: oracle"),
        ("a: b: c", "releases.yaml: line 1"),
        ("v1.99.0: {flags: a}", "releases.yaml: v1.99.0: flags and schemaModes are lists of names"),
        ("advisories: {a: b}", "releases.yaml: advisories: write a list"),
        ("advisories: [{id: X-1}]", "releases.yaml: advisory 'X-1': severity is missing; releases is missing; what"),
        ("advisories: [{id: X-1, when: [rain]}]", "what is missing; source is missing"),
    ],
)
def test_invalid_releases_are_refused(
    text: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("releases.yaml").write_text(text)
    arguments = ("plan", "--engine", "postgres", "--from", "v1.56.0", "--releases", "releases.yaml")
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert says in err


def test_a_file_can_add_known_faults(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "datastore: {engine: postgres, uri: {name: spicedb, key: uri}}\nversion: v1.57.1\n"
    Path("spicedb.yaml").write_text(text)
    fault: dict[str, Any] = {"id": "our-42", "severity": "moderate", "what": "it stops", "source": "our wiki"}
    fault |= {"releases": [{"from": "v1.57.1"}], "engines": ["postgres"]}
    Path("releases.json").write_text(json.dumps({"advisories": [fault]}))
    code, _, err = run(capsys, "synth", "--releases", "releases.json")
    assert (code, err) == (
        0,
        "warning: v1.57.1 has a known fault. our-42 (moderate): it stops. No release is without it yet; or accept it: "
        "acceptAdvisories: [our-42].\n",
    )
    Path("spicedb.yaml").write_text(f"{text}acceptAdvisories: [our-42]\n")
    assert run(capsys, "synth", "--releases", "releases.json")[::2] == (0, "")
    code, _, err = run(capsys, "synth")
    assert code == 1
    assert "acceptAdvisories (line 3) = 'our-42'" in err
    plan = ("plan", "--engine", "postgres", "--from", "v1.52.0", "--releases", "releases.json")
    assert "Warning: v1.57.1 has a known fault. our-42 (moderate)" in run(capsys, *plan)[1]


def test_init_names_the_known_faults_of_the_newest_release(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fault = Advisory(id="X-1", severity="low", releases=[ReleaseRange()], what="a", source="b")
    monkeypatch.setattr("cdk8s_spicedb.cli.init.known_releases", lambda: known_releases().with_advisories([fault]))
    _, out, _ = run(capsys, "init")
    assert out.startswith("v1.57.1 has known faults, which `cdk8s-spicedb releases` explains: X-1.\nWrote spicedb")


def test_a_missing_file_of_releases_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "plan", "--engine", "postgres", "--from", "v1.56.0", "--releases", "no.yaml")
    assert (code, err) == (1, "error: cannot read no.yaml: No such file or directory\n")


@pytest.mark.parametrize("arguments", [["json-schema"], [*PLAN, "--output", "json"], PLAN])
def test_a_reader_that_stops_reading_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "cdk8s_spicedb", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_command_needs_no_output(folder: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m cdk8s_spicedb init >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "spicedb.yaml").exists()


def test_a_closed_output_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return file.fileno()

    with (tmp_path / "output").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Closed())
        assert main(["json-schema"]) == 0
        file.write("goes to the null device")
    assert (tmp_path / "output").read_text() == ""


def test_standard_input_must_be_utf_8(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("name: café".encode("latin-1"))))
    code, _, err = run(capsys, "synth", "--file", "-")
    assert (code, err) == (1, "error: cannot read standard input: it is not UTF-8 text; send UTF-8\n")


# ---------------------------------------------------------------- several files

BASE = "name: authz\ndatastore: {engine: postgres, uri: {name: spicedb, key: uri}}\nserver: {replicas: 2}\n"


def test_files_are_merged(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("base.yaml").write_text(BASE)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"server: {replicas: 3}\ndelivery: kubectl")))
    assert run(capsys, "synth", "-f", "base.yaml", "--file", "-")[0] == 0
    (text,) = contents(folder / "dist").values()
    assert b"replicas: 3" in text


def test_what_is_wrong_in_one_of_several_files_names_it(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("base.yaml").write_text(BASE)
    Path("prod.yaml").write_text("server:\n  replicas: 0\n")
    code, out, err = run(capsys, "synth", "-f", "base.yaml", "-f", "prod.yaml")
    assert (code, out) == (1, "")
    assert err.startswith("error: 1 problem in base.yaml and prod.yaml:\n  server.replicas (prod.yaml, line 2) = 0\n")
    assert not (folder / "dist").exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["-", "-"], "standard input can be read only once"),
        (["base.yaml", "no.yaml"], "cannot read no.yaml: No such file or directory\n"),
    ],
)
def test_files_that_cannot_be_merged(
    files: list[str], says: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    Path("base.yaml").write_text(BASE)
    code, _, err = run(capsys, "synth", *(argument for file in files for argument in ("-f", file)))
    assert code == 1
    assert says in err


@pytest.mark.parametrize("command", ["synth", "check", "diff", "upgrade", "status", "rollback"])
def test_every_command_that_reads_a_file_reads_several(command: str) -> None:
    options = command_line().parse_args([command, "-f", "a.yaml", "--file", "b.yaml"])
    assert options.file == ["a.yaml", "b.yaml"]
