"""``upgrade`` and ``rollback`` on the command line: questions, output and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.cli import display as shown
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.display import Display
from cdk8s_spicedb.live import CheckReport, Diff, Finding, Progress, Record, UpgradeStoppedError
from cdk8s_spicedb.live.instance import require_running
from cdk8s_spicedb.live.target import plan_to
from cdk8s_spicedb.live.upgrade.rollback import Return
from tests.apiserver import ApiServer
from tests.live.installed import deploy, props

FILE = """
version: v1.56.0
datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
"""
BAD = Finding.failure("Secret spicedb", "does not exist", "create it")


class Live:
    """What the functions of a live release do in a test."""

    def __init__(self, api: ApiServer) -> None:
        self.api, self.findings, self.error = api, [Finding.ok("Plan", "1 step")], None
        self.options: Any = None
        self.checked: dict[str, Any] = {}

    error: Exception | None

    def upgrade(self, cluster: Any, settings: Any, *, options: Any, confirm: Callable[..., bool], report: Any) -> Any:
        self.options = options
        running = require_running(cluster, "spicedb")
        record = Record.start(plan_to(settings, running), running, "1")
        if not confirm(record, running):
            return None
        for text in ("a", "a", "b"):
            report(Progress(step=1, steps=1, activity="apply", text=text))
        report(Progress(step=1, steps=1, activity="done", text="done"))
        if self.error:
            raise self.error
        return record

    def roll_back(self, cluster: Any, name: str, *, confirm: Callable[..., bool], report: Any, **options: Any) -> Any:
        self.options = options
        running = require_running(cluster, name)
        target = Record.start(plan_to(props(), running), running, "1").sound[0]
        back = Return(running=running, target=target, cautions=("it stays",), blocked=None, rewrites_schema=False)
        return back if confirm(back) else None

    def check(self, *_: Any, **options: Any) -> CheckReport:
        self.checked = options
        return CheckReport(findings=self.findings, plan=None)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Live:
    api = ApiServer()
    deploy(api, props("v1.52.0"))
    made = Live(api)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spicedb.yaml").write_text(FILE)
    for command in ("upgrade", "rollback"):
        module = import_module(f"cdk8s_spicedb.cli.{command}")
        monkeypatch.setattr(module, "connect", lambda _: api.cluster())
    monkeypatch.setattr(import_module("cdk8s_spicedb.live.upgrade.upgrade"), "upgrade", made.upgrade)
    monkeypatch.setattr(import_module("cdk8s_spicedb.live.upgrade.rollback"), "roll_back", made.roll_back)
    monkeypatch.setattr(import_module("cdk8s_spicedb.live.check.check"), "check", made.check)
    difference = Diff(name="spicedb", namespace="authz", objects=(), meaning=("2 servers are replaced.",))
    monkeypatch.setattr(import_module("cdk8s_spicedb.live.diff"), "diff", lambda *_: difference)
    return made


def test_upgrade_says_what_it_does_and_how_it_goes(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.findings.append(Finding.warning("Database", "is slow"))
    assert main(["upgrade", "--yes", "--observe", "5", "--on-failure", "stop", "--no-database"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["warning", "Database", "is", "slow"]
    assert lines[1] == "0 failures, 1 warning, 1 ok"
    assert lines[2] == "spicedb in authz: SpiceDB v1.52.0 to v1.56.0, 1 step."
    assert lines[3] == "  2 servers are replaced."
    assert [line.partition(" s  ")[2] for line in lines[4:]] == [
        "step 1 of 1: apply: a",
        "step 1 of 1: apply: b",
        "step 1 of 1: done: done",
    ]
    assert (live.options.observe_seconds, live.options.on_failure) == (5, "stop")
    assert live.checked == {"database": False, "database_image": None, "pull_images": True}


def test_failed_check_changes_nothing(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.findings.append(BAD)
    assert main(["upgrade", "--yes"]) == 1
    output = capsys.readouterr()
    assert "does not exist" in output.out
    assert "fix: create it" in output.out
    assert output.err == "Nothing was changed. Fix the failures, then run the same command again.\n"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("", 1), ("no", 1)])
def test_question(live: Live, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["upgrade", "--no-check"]) == code
    assert main(["rollback"]) == code


def test_question_needs_a_terminal(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--no-check"]) == 1
    assert "add --yes" in capsys.readouterr().err
    for command in ("upgrade", "rollback"):
        assert main([command, "--output", "json"]) == 1
        assert "--output json cannot ask for confirmation: add --yes" in capsys.readouterr().err


@pytest.mark.parametrize(("rolled_back", "code"), [(True, 3), (False, 4)])
def test_stopped_upgrade(live: Live, capsys: pytest.CaptureFixture[str], rolled_back: bool, code: int) -> None:
    live.error = UpgradeStoppedError(1, "it failed", "line", "Do this.", rolled_back=rolled_back)
    assert main(["upgrade", "--yes", "--no-check"]) == code
    assert capsys.readouterr().err == "step 1 stopped: it failed\n    line\nDo this.\n"


@pytest.mark.parametrize("command", ["upgrade", "rollback"])
def test_interruption_says_how_to_go_on(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, name in (("upgrade", "upgrade"), ("rollback", "roll_back")):
        monkeypatch.setattr(import_module(f"cdk8s_spicedb.live.upgrade.{module}"), name, interrupted)
    assert main([command, "--yes"]) == 130
    assert capsys.readouterr().err == "Interrupted. Run the same command again to continue.\n"


def test_json(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--yes", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["target"] == "v1.56.0"
    assert main(["rollback", "--yes", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["version"] == "v1.52.0"


def test_rollback_says_what_stays(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "--yes", "--file", "spicedb.yaml", "--force"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "spicedb in authz: from SpiceDB v1.52.0 back to v1.52.0, revision 1",
        "  it stays",
    ]
    assert live.options["force"]
    assert live.options["props"].version == "v1.56.0"


def test_next_step_is_written(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--write", "step"]) == 0
    assert "\nWrote step: step 1 of 1, SpiceDB v1.56.0" in capsys.readouterr().out
    assert (Path("step") / "Chart.yaml").exists()
    live.findings.append(BAD)
    assert main(["upgrade", "--write", "other"]) == 1
    assert not Path("other").exists()


@pytest.mark.parametrize("seconds", ["-1", "soon"])
def test_time_to_observe_is_a_number(live: Live, capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    with pytest.raises(SystemExit):
        main(["upgrade", f"--observe={seconds}"])
    assert "--observe" in capsys.readouterr().err


# ---------------------------------------------------------------- the display


def test_display_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=100, record=True, quiet=True)
    with Display(to=console) as display:
        assert str(display.render()) == ""
        display.report(Progress(step=1, steps=2, activity="apply", text="the migration runs"))
        with display.paused():
            display.line("a line")
        display.report(Progress(step=2, steps=2, activity="observe", text="12 requests"))
    plain = Console(width=100, record=True, file=io.StringIO())
    plain.print(display.render())
    text = plain.export_text()
    assert "✓  step 1 of 2  apply" in text
    assert "step 2 of 2  observe" in text
    assert "12 requests" in text
    assert "s in total" in text
    display.report(Progress(step=2, steps=2, activity="done", text="it serves"))
    plain.print(display.render())
    assert "it serves" in plain.export_text()


def test_lines_that_only_count_time_are_few() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    with Display(to=console) as display:
        for text in ("it runs, at most 60 s more", "it runs, at most 59 s more", "1 of 2", "2 of 2"):
            display.report(Progress(step=1, steps=1, activity="apply", text=text))
    assert [line.partition("apply: ")[2] for line in console.export_text().splitlines()] == [
        "it runs, at most 60 s more",
        "1 of 2",
        "2 of 2",
    ]


def test_missing_extra_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import builtins
    import sys

    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith(("lightkube", "httpx2")):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.startswith("cdk8s_spicedb.live")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpiceDBError, match=r"pip install 'cdk8s-spicedb\[live\]'"):
        import_module("cdk8s_spicedb.cli.options").connect(shown)
