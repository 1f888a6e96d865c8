"""``upgrade`` and ``rollback`` on the command line: questions, output and exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pyte
import pytest
from rich.console import Console

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.display import Display
from cdk8s_spicedb.cli.output import ask
from cdk8s_spicedb.live import Activity, CheckOptions, CheckReport, Cluster, Diff, Finding, Outcome, Progress, State
from cdk8s_spicedb.live.upgrade.deliver import StepError
from tests.cli.terminal import typed
from tests.live.upgrade.program import World
from tests.live.upgrade.program import world as world

FILE = """
version: v1.56.0
datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
"""
BAD = Finding.failure("Secret spicedb", "does not exist", "create it")


class Live:
    """A SpiceDB that runs, what a check finds there, and with which options it was asked."""

    def __init__(self, world: World) -> None:
        self.world, self.findings = world, [Finding.ok("Plan", "1 step")]
        self.checked: list[CheckOptions] = []

    def connect(self, *_: object) -> Cluster:
        return self.world.cluster()

    def check_planned(self, _: object, __: object, options: CheckOptions, *___: object) -> CheckReport:
        self.checked.append(options)
        return CheckReport(findings=self.findings, plan=None)

    def check(self, *_: object, **options: Any) -> CheckReport:
        return self.check_planned(None, None, CheckOptions(**options))


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, world: World) -> Live:
    made = Live(world)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spicedb.yaml").write_text(FILE)
    monkeypatch.setattr(Cluster, "connect", lambda **_: made.connect())
    monkeypatch.setattr(import_module("cdk8s_spicedb.cli.upgrade"), "check", made.check)
    prepare = import_module("cdk8s_spicedb.live.upgrade.prepare")
    monkeypatch.setattr(prepare, "check_planned", made.check_planned)
    difference = Diff(name="spicedb", namespace="authz", objects=(), meaning=("2 servers are replaced.",))
    monkeypatch.setattr(prepare, "diff", lambda *_, **__: difference)
    return made


def test_upgrade_says_what_it_does_and_how_it_goes(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.findings.append(Finding.warning("Database", "is slow"))
    assert main(["upgrade", "--yes", "--observe", "5", "--on-failure", "stop", "--no-database"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" s  prepare: checking")
    assert lines[1].split() == ["warning", "Database", "is", "slow"]
    assert lines[2] == "0 failures, 1 warning, 1 ok"
    assert lines[3] == "spicedb in authz, https://cluster: SpiceDB v1.52.0 to v1.56.0, 1 step."
    assert lines[4] == "  2 servers are replaced."
    assert [line.partition(" s  ")[2].partition(": v1.56.0")[0].partition(", so")[0] for line in lines[5:]] == [
        "step 1 of 1: apply",
        "step 1 of 1: settle: waiting for the older servers to stop",
        "step 1 of 1: observe: the servers' metrics cannot be read",
        "step 1 of 1: done: SpiceDB v1.56.0 serves",
    ]
    assert live.checked == [CheckOptions(database=False, pull_images=True)]


def test_failed_check_changes_nothing(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.findings.append(BAD)
    assert main(["upgrade", "--yes"]) == 1
    output = capsys.readouterr()
    assert "does not exist" in output.out
    assert "fix: create it" in output.out
    assert (
        output.err
        == "error: the check failed. Nothing was changed. Fix the failures, then run the same command again.\n"
    )


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("", 1), ("no", 1)])
def test_question(live: Live, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    for command in (["upgrade", "--no-check"], ["rollback"]):
        with typed(monkeypatch, f"{answer}\n"):
            assert main(command) == code


@pytest.mark.parametrize("command", [["upgrade", "--no-check"], ["rollback"]])
def test_no_answer_in_time_means_no_and_gives_up_the_lock(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    if command == ["rollback"]:
        main(["upgrade", "--no-check", "--yes"])
        live.world.calls.clear()
    seen: list[tuple[float, bool]] = []

    def pass_time(_: object, __: object, ___: object, seconds: float) -> tuple[list[int], ...]:
        seen.append((seconds, bool(live.world.api.of("leases"))))
        return [], [], []

    monkeypatch.setattr("select.select", pass_time)
    with typed(monkeypatch, None):
        assert main(command) == 1
    assert seen == [(15 * 60, True)]
    assert capsys.readouterr().err == "error: there was no answer within 15 minutes. Nothing was changed.\n"
    assert live.world.calls == []
    assert not live.world.api.of("leases")


def test_a_question_waits_for_its_answer_only_for_a_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdk8s_spicedb.cli.output.ANSWER_SECONDS", 0.1)
    with typed(monkeypatch, None):
        assert not ask("Continue?")
    assert "there was no answer" in capsys.readouterr().err


def test_question_needs_a_terminal(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--no-check"]) == 1
    assert "add --yes" in capsys.readouterr().err
    for command in ("upgrade", "rollback"):
        assert main([command, "--output", "json"]) == 1
        assert "--output json cannot ask for confirmation: add --yes" in capsys.readouterr().err


@pytest.mark.parametrize(("on_failure", "code"), [("rollback", 3), ("stop", 4)])
def test_stopped_upgrade(live: Live, capsys: pytest.CaptureFixture[str], on_failure: str, code: int) -> None:
    live.world.fails["applied 1"] = StepError("it failed", "line")
    assert main(["upgrade", "--yes", "--no-check", "--on-failure", on_failure]) == code
    assert capsys.readouterr().err.startswith("error: step 1 stopped: it failed\n    line\n")
    assert live.world.calls == ["apply 1", "applied 1", *(["roll back to 1"] if code == 3 else [])]


def test_refused_upgrade(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.world.api.remove("deployments")
    assert main(["upgrade", "--yes"]) == main(["rollback", "--yes"]) == 1
    assert "there is no Deployment spicedb in the namespace authz" in capsys.readouterr().err


def test_rollback_that_fails_after_it_began(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--yes", "--no-check", "--observe", "0"]) == 0
    live.world.fails["roll back to 1"] = StepError("it failed", "line")
    capsys.readouterr()
    assert main(["rollback", "--yes"]) == 4
    assert capsys.readouterr().err == "error: the rollback failed: it failed\nline\n"


@pytest.mark.parametrize(("command", "call"), [("upgrade", "apply 1"), ("rollback", "roll back to 1")])
def test_interruption_says_how_to_go_on(
    live: Live, capsys: pytest.CaptureFixture[str], command: str, call: str
) -> None:
    if command == "rollback":
        assert main(["upgrade", "--yes", "--no-check", "--observe", "0"]) == 0
    live.world.fails[call] = KeyboardInterrupt()
    assert main([command, "--yes"]) == 130
    assert capsys.readouterr().err == "Interrupted. Run the same command again to continue.\n"


def test_json(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--yes", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["target"] == "v1.56.0"
    assert main(["rollback", "--yes", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["version"] == "v1.52.0"


@contextmanager
def broken(kind: str, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output that cannot be written: from the beginning, or from the moment at which a step is applied."""
    with monkeypatch.context() as patched, ExitStack() as stack:
        if kind == "full":
            patched.setattr(sys, "stdout", stack.enter_context(open("/dev/full", "w")))
        elif kind == "closed":
            patched.setattr(sys, "stdout", None)
        elif kind == "ascii":
            patched.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
        else:
            reader, writer = os.pipe()
            patched.setattr(sys, "stdout", stack.enter_context(open(writer, "w")))
            if kind == "gone":
                os.close(reader)
            else:
                world.acts["apply 1"] = world.acts["roll back to 1"] = lambda _: os.close(reader)
        yield


@pytest.mark.parametrize("kind", ["full", "closed", "ascii", "gone", "goes"])
@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("command", ["upgrade", "rollback"])
def test_output_that_cannot_be_written_stops_nothing(
    live: Live,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    output: str,
    kind: str,
) -> None:
    if command == "rollback":
        assert main(["upgrade", "--yes"]) == 0
    capsys.readouterr()
    with broken(kind, live.world, monkeypatch):
        assert main([command, "--yes", "--output", output]) == 0
    assert live.world.calls[-1] == ("applied 1" if command == "upgrade" else "roll back to 1")
    error = capsys.readouterr().err
    reasons = {"full": "No space left on device"}
    assert error == (f"error: cannot write the output: {reasons[kind]}\n" if reasons.get(kind) else "")


@pytest.mark.parametrize("kind", ["full", "closed", "gone"])
def test_exit_code_of_a_failed_step_does_not_depend_on_the_output(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    live.world.fails["applied 1"] = StepError("it failed", "line")
    with broken(kind, live.world, monkeypatch):
        assert main(["upgrade", "--yes", "--no-check", "--on-failure", "rollback"]) == 3
    assert "step 1 stopped: it failed" in capsys.readouterr().err


def test_exit_code_of_a_failed_step_needs_no_standard_error(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.world.fails["applied 1"] = StepError("it failed")
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["upgrade", "--yes", "--no-check", "--on-failure", "stop"]) == 4


@pytest.mark.parametrize("kind", ["full", "closed", "gone"])
def test_a_question_that_nobody_can_read_changes_nothing(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with typed(monkeypatch, "y\n"), broken(kind, live.world, monkeypatch):
        assert main(["upgrade", "--no-check"]) == 1
    assert "add --yes to go on without a question" in capsys.readouterr().err
    assert live.world.calls == []


def test_the_end_of_the_input_means_no(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["upgrade", "--no-check"], ["rollback"]):
        with typed(monkeypatch, ""):
            assert main(command) == 1
    assert live.world.calls == []


def test_rollback_says_what_stays(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--yes", "--no-check", "--observe", "0"]) == 0
    capsys.readouterr()
    assert main(["rollback", "--yes", "--file", "spicedb.yaml", "--force"]) == 0
    head, caution, *progress = capsys.readouterr().out.splitlines()
    assert head == "spicedb in authz, https://cluster: from SpiceDB v1.56.0 back to v1.52.0, revision 1"
    assert caution == "  the datastore schema stays as it is: SpiceDB cannot migrate back"
    assert progress[-1].endswith(" s  step 1 of 1: done: SpiceDB v1.52.0 serves")
    assert live.world.calls[-1] == "roll back to 1"


def test_rollback_gets_its_options(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def roll_back(*_: object, **options: Any) -> Outcome:
        asked.append(options)
        return Outcome(state=State.DONE)

    monkeypatch.setattr(import_module("cdk8s_spicedb.cli.rollback"), "roll_back", roll_back)
    assert main(["rollback", "--yes", "--file", "spicedb.yaml", "--force"]) == main(["rollback", "--yes"]) == 0
    assert [each["force"] for each in asked] == [True, False]
    assert [each["props"] and each["props"].version for each in asked] == ["v1.56.0", None]


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
        display.report(Progress(step=1, steps=2, activity=Activity.APPLY, text="the migration runs"))
        with display.paused():
            display.line("a line")
        display.report(Progress(step=2, steps=2, activity=Activity.OBSERVE, text="12 requests"))
    plain = Console(width=100, record=True, file=io.StringIO())
    plain.print(display.render())
    text = plain.export_text()
    assert "✓  step 1 of 2  apply" in text
    assert "step 2 of 2  observe" in text
    assert "12 requests" in text
    assert "s in total" in text
    display.report(Progress(step=2, steps=2, activity=Activity.DONE, text="it serves"))
    plain.print(display.render())
    assert "it serves" in plain.export_text()


def test_a_question_stays_on_the_screen() -> None:
    screen = pyte.Screen(100, 20)
    screen.set_mode(pyte.modes.LNM)
    output = io.StringIO()
    with Display(to=Console(force_terminal=True, width=100, file=output)) as display:
        display.report(Progress(step=0, steps=0, activity=Activity.PREPARE, text="checking"))
        with display.paused():
            output.write("Continue? [y/N] y\n")
        display.report(Progress(step=1, steps=1, activity=Activity.APPLY, text="the migration runs"))
    pyte.Stream(screen).feed(output.getvalue())
    shown = [line.strip() for line in screen.display if line.strip()]
    assert shown[0] == "Continue? [y/N] y", "nothing of the time before is left, and nothing is written over it"
    assert [line.split()[-1] for line in shown[1:]] == ["checking", "runs", "total"]


def test_lines_that_only_count_time_are_few() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    with Display(to=console) as display:
        for text, left in (("it runs", 60), ("it runs", 59), ("1 of 2", None), ("1 of 2", None), ("2 of 2", None)):
            display.report(Progress(step=1, steps=1, activity=Activity.APPLY, text=text, seconds_left=left))
    assert [line.partition("apply: ")[2] for line in console.export_text().splitlines()] == [
        "it runs (at most 60 s left)",
        "1 of 2",
        "2 of 2",
    ]


def test_missing_extra_is_explained() -> None:
    code = (
        "import sys; sys.modules['httpx2'] = None; from cdk8s_spicedb.cli import main\n"
        "assert main(['releases']) == 0; sys.exit(main(['status']))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: this command needs more libraries; install them with: pip install 'cdk8s-spicedb[live]'\n"
    )
