"""The command line: what it prints, how it ends, and that it waits for nothing."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import MySQL, PostgreSQL, plan_upgrade
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.table import table

PLAN = ["plan", "--engine", "postgres", "--from", "v1.13.0", "--to", "v1.56.0"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_plan_is_a_table_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert run(capsys, *PLAN) == (0, f"{table(plan_upgrade(PostgreSQL, 'v1.13.0', 'v1.56.0'), 90)}\n", "")


def test_a_plan_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *PLAN, "--output", "json")
    assert (code, err) == (0, "")
    plan = attrs.asdict(plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0"))
    assert json.loads(out) == json.loads(json.dumps(plan))
    assert set(json.loads(out)) == {"engine", "current", "target", "steps", "warnings"}


def test_the_target_is_the_newest_release_unless_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", "--engine", "mysql", "--from", "v1.52.0", "--output", "json")
    assert json.loads(out)["target"] == plan_upgrade(MySQL, "v1.52.0", "v1.56.0").target


def test_modes_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--schema-mode", "read-new-write-new", "--current-schema-mode", "read-new-write-both"]
    arguments = ["plan", "--engine", "postgres", "--from", "v1.56.0", *asked, "--output", "json"]
    _, out, _ = run(capsys, *arguments)
    assert [step["schema_mode"] for step in json.loads(out)["steps"]] == ["read-new-write-new"]


def test_a_way_that_there_is_not_ends_with_one_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "plan", "--engine", "postgres", "--from", "v1.56.0", "--to", "v1.52.0")
    assert (code, out) == (1, "")
    assert err.startswith("1 problem in cdk8s-spicedb plan:\n  --to = 'v1.52.0'\n")
    assert "helm rollback" in err


def test_what_is_wrong_is_said_of_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    modes = ["--schema-mode", "read-new-write-new", "--current-schema-mode", "read-new-write-both"]
    _, _, err = run(capsys, "plan", "--engine", "memory", "--from", "1.52", "--to", "latest", *modes)
    assert err.startswith("2 problems in cdk8s-spicedb plan:\n  --from = '1.52'\n")
    assert "  --to = 'latest'\n" in err
    _, _, err = run(capsys, "plan", "--engine", "memory", "--from", "v1.56.0", "--to", "v1.56.0", *modes)
    assert "  --schema-mode = 'read-new-write-new'\n" in err
    assert "  --current-schema-mode = 'read-new-write-both'\n" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
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
    assert "Exit code: 0 with a plan, 1 where there is no way" in " ".join(out.split())
    for option in ("--engine", "--from", "--to", "--schema-mode", "--current-schema-mode", "--output"):
        assert option in out


@pytest.mark.parametrize(
    "program", [[sys.executable, "-m", "cdk8s_spicedb"], [str(Path(sys.executable).with_name("cdk8s-spicedb"))]]
)
def test_it_runs_as_a_module_and_as_a_program(program: list[str]) -> None:
    found = subprocess.run([*program, *PLAN], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("postgres v1.13.0 to v1.56.0: 7 steps\n")
    refused = subprocess.run([*program, *PLAN[:4], "v1.57.0"], capture_output=True, text=True, check=False)
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
