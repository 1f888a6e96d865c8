"""``upgrade --each`` on the command line: the plan, the question, the output and the exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from rich.console import Console

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.fleet import FleetDisplay
from cdk8s_spicedb.live import Activity, FleetOptions, FleetReport, Member, MemberState, Progress
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.fleet.fleet import preview
from tests.apiserver import ApiServer
from tests.cli.terminal import typed
from tests.live.installed import deploy, helm_revision, props

BASE = """\
version: v1.56.0
acceptAdvisories: [GO-2026-6612]
datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
"""
NAMES = ("acme", "globex", "initech")
COMMAND = ("upgrade", "-f", "base.yaml", "--each", "tenants/*.yaml")


class Live:
    """What `upgrade_fleet` does in a test."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.states: Sequence[MemberState] = [MemberState.UPGRADED] * 3
        self.interrupted = False
        self.error: BaseException | None = None
        self.options: Any = None
        self.namespaces: list[str] = []

    def upgrade_fleet(
        self, members: Sequence[Member], *, options: Any, confirm: Any, report: Any, on_end: Any, on_interrupt: Any
    ) -> FleetReport:
        self.options, self.namespaces = options, [member.cluster.namespace for member in members]
        plan = preview(members, options)
        if self.error:
            raise self.error
        if not confirm(plan):
            return plan
        ended = []
        for member, each, state in zip(members, plan.members, self.states, strict=True):
            reason = None if state in (MemberState.UPGRADED, MemberState.NOT_BEGUN) else "it failed\nDo this."
            after = attrs.evolve(each, state=state, reason=reason, seconds=2.5)
            if state is not MemberState.NOT_BEGUN:
                for text in ("a", "a", "b"):
                    report(member, Progress(step=1, steps=1, activity=Activity.APPLY, text=text))
                on_end(after)
            ended.append(after)
        if self.interrupted:
            on_interrupt()
        return FleetReport(members=tuple(ended), interrupted=self.interrupted)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Live:
    made = Live(ApiServer())
    helm_revision(made.api, 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "tenants").mkdir()
    for name in NAMES:
        deploy(made.api, props("v1.52.0", name=name))
        (tmp_path / "tenants" / f"{name}.yaml").write_text(f"name: {name}\n")

    def connect(*, namespace: str | None, **_: Any) -> Any:
        return attrs.evolve(made.api.cluster(), namespace=namespace or "authz")

    monkeypatch.setattr(Cluster, "connect", connect)
    monkeypatch.setattr(import_module("cdk8s_spicedb.cli.fleet"), "upgrade_fleet", made.upgrade_fleet)
    unchanged = SimpleNamespace(changes=False)
    monkeypatch.setattr(import_module("cdk8s_spicedb.live.fleet.fleet"), "diff", lambda *_: unchanged)
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], list[str]]:
    code = main([*COMMAND, *arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def test_the_plan_the_progress_and_the_end_are_shown(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--yes")
    assert (code, err) == (0, [])
    assert out == [
        "Looking at 3 SpiceDBs in https://cluster.",
        "WAVE  UPGRADE                     ROLLBACK  SPICEDBS",
        "1     v1.52.0 to v1.56.0, 1 step  works     authz/acme",
        "2     v1.52.0 to v1.56.0, 1 step  works     authz/globex, authz/initech",
        "3 SpiceDBs in 2 waves, at most 4 at the same time. Each one is checked when its turn comes.",
        *(
            f"authz/{name}: {text}"
            for name in NAMES
            for text in ("step 1 of 1: apply: a", "step 1 of 1: apply: b", "upgraded after 2.5 s")
        ),
        "Upgraded: 3 SpiceDBs: authz/acme, authz/globex, authz/initech.",
    ]


def test_options_are_passed_on(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    waves = ("--canary", "2", "--wave-size=5", "--parallel=3", "--observe=7", "--on-failure=stop", "--no-database")
    for name in NAMES:
        namespace = f"tenant-{name}"
        live.api.put("namespaces", {"metadata": {"name": namespace}})
        helm_revision(live.api, 1, namespace=namespace)
        deploy(live.api, props("v1.52.0", name=name), namespace=namespace)
    assert run(capsys, *waves, "--yes", "--namespace", "tenant-{}")[0] == 0
    assert live.namespaces == ["tenant-acme", "tenant-globex", "tenant-initech"]
    options = live.options
    assert (options.canary, options.wave_size, options.parallel) == (2, 5, 3)
    assert (options.upgrade.observe_seconds, options.upgrade.on_failure) == (7, "stop")
    assert (options.upgrade.check.database, options.upgrade.check.pull_images) == (False, True)
    run(capsys, "--yes", "--no-check")
    assert live.options.upgrade.check is None
    assert (live.options.canary, live.options.wave_size, live.options.parallel) == (1, 10, 4)


def test_backups_are_announced_and_must_be_possible(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[1:]:
        deploy(live.api, props("v1.30.0", name=name))
    code, out, _ = run(capsys, "--yes", "--no-rehearsal", "--backup", "copies")
    assert code == 0
    assert (
        "2 SpiceDBs: Before a step whose rollback does not work, or may not, the upgrade writes a backup to "
        f"{Path('copies').resolve()}. The file says who has access to what. Only you can read it." in out
    )
    Path("tenants/globex.yaml").write_text("name: globex\nupgradeBackup: {command: [backup]}\n")
    assert (
        "1 SpiceDB: Before a step whose rollback does not work, or may not, the upgrade runs `backup`."
        in (run(capsys, "--yes", "--no-rehearsal")[1])
    )
    monkeypatch.setattr("cdk8s_spicedb.cli.safety.own_backup", missing)
    code, _, err = run(capsys, "--yes", "--no-rehearsal")
    assert (code, "cdk8s-spicedb[live,data]" in err[0]) == (1, True)
    assert run(capsys, "--yes", "--no-rehearsal", "--no-backup")[0] == 0


def test_a_rehearsal_of_each_is_required(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[1:]:
        deploy(live.api, props("v1.30.0", name=name))
    code, _, err = run(capsys, "--yes", "--no-backup")
    text = (
        "Nobody has rehearsed the upgrade of authz/globex, authz/initech in the last day, and a rollback of a step "
        "does not work, or may not."
    )
    command = "cdk8s-spicedb rehearse --file base.yaml --file tenants/globex.yaml --namespace authz"
    assert (code, err) == (
        1,
        [
            f"error: {text} Nothing was changed.",
            f"To rehearse it, run: {command}",
            "To go on without a rehearsal, add --no-rehearsal.",
        ],
    )
    with typed(monkeypatch, "yes\n"):
        assert f"{text} To rehearse it, answer no, and run: {command}" in run(capsys, "--no-backup")[1]


def missing(_: Path) -> None:
    raise ModuleNotFoundError("grpc")


def test_those_at_the_target_are_named_and_need_no_question(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        deploy(live.api, props("v1.56.0", name=name))
    live.states = [MemberState.SKIPPED] * 3
    _, out, _ = run(capsys)
    assert out[1] == "Already at the target: 3 SpiceDBs: authz/acme, authz/globex, authz/initech."


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_one_question_is_asked(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    with typed(monkeypatch, f"{answer}\n"):
        assert run(capsys)[0] == code


def test_a_failure_says_what_to_do(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.states = [MemberState.UPGRADED, MemberState.ROLLED_BACK, MemberState.NOT_BEGUN]
    code, out, err = run(capsys, "--yes", "--namespace", "authz", "--observe", "0")
    assert code == 3
    assert out[-1] == "authz/globex: rolled back after 2.5 s: it failed"
    assert err == [
        "error: 2 of 3 SpiceDBs did not reach the target.",
        "Upgraded: 1 SpiceDB: authz/acme.",
        "Failed, and rolled back: 1 SpiceDB: authz/globex.",
        "  authz/globex: it failed",
        "  Do this.",
        "Not begun: 1 SpiceDB: authz/initech.",
        "Fix the cause. To continue, run this command again; it skips those that are done:",
        "  cdk8s-spicedb upgrade -f base.yaml --each 'tenants/*.yaml' --yes --namespace authz --observe 0",
    ]


def test_the_command_to_continue_keeps_the_order_of_files(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.states = [MemberState.UNCHANGED, MemberState.NOT_BEGUN, MemberState.NOT_BEGUN]
    files = [f"tenants/{name}.yaml" for name in NAMES]
    for order, shown in ((files, "'tenants/*.yaml'"), (files[::-1], " ".join(files[::-1]))):
        assert main(["upgrade", "-f", "base.yaml", "--yes", "--wave-size", "2", "--each", *order]) == 1
        command = capsys.readouterr().err.splitlines()[-1].strip()
        assert command == f"cdk8s-spicedb upgrade -f base.yaml --yes --wave-size 2 --each {shown}"


@pytest.mark.parametrize(
    ("states", "interrupted", "code"),
    [
        ("upgraded skipped upgraded", False, 0),
        ("upgraded skipped upgraded", True, 0),
        ("unchanged|not begun|not begun", False, 1),
        ("skipped|unchanged|not begun", False, 1),
        ("upgraded|unchanged|not begun", False, 3),
        ("rolled back|upgraded|not begun", False, 3),
        ("rolled back|failed|not begun", False, 4),
        ("upgraded|interrupted|not begun", True, 130),
        ("failed|interrupted|not begun", True, 130),
    ],
)
def test_exit_codes(live: Live, capsys: pytest.CaptureFixture[str], states: str, interrupted: bool, code: int) -> None:
    words = states.split("|") if "|" in states else states.split()
    live.states, live.interrupted = [MemberState(word) for word in words], interrupted
    assert run(capsys, "--yes")[0] == code


def test_json(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--yes", "--output", "json")
    assert (code, json.loads("\n".join(out))["interrupted"], err) == (0, False, [])
    live.states = [MemberState.UPGRADED, MemberState.FAILED, MemberState.NOT_BEGUN]
    code, out, err = run(capsys, "--yes", "--output", "json")
    assert code == 4
    report = json.loads("\n".join(out))
    assert report["interrupted"] is False
    assert [each["state"] for each in report["members"]] == ["upgraded", "failed", "not begun"]
    assert report["members"][1]["reason"] == "it failed\nDo this."
    assert err[-1].endswith("--yes --output json")
    assert run(capsys, "--output", "json")[2] == ["error: --output json cannot ask for confirmation: add --yes"]


def test_an_interruption_before_the_first_upgrade(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.error = KeyboardInterrupt()
    assert run(capsys, "--yes")[::2] == (130, ["Interrupted. Nothing was changed."])


def test_an_interruption_says_how_to_go_on(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.states, live.interrupted = [MemberState.UPGRADED, MemberState.INTERRUPTED, MemberState.NOT_BEGUN], True
    _, _, err = run(capsys, "--yes")
    assert err[0].startswith("Interrupted: no new upgrade begins.")
    assert err[-2] == "To continue, run this command again; it skips those that are done:"


def test_all_files_must_be_right(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenants/acme.yaml").write_text("name: Acme")
    Path("tenants/globex.yaml").write_text("nam: globex")
    code, out, err = run(capsys, "--yes")
    assert (code, out) == (1, [])
    assert sum("problem in base.yaml" in line for line in err) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--each", "x.yaml", "--write", "folder"], "--write writes the files of one SpiceDB"),
        (["--canary", "1"], "use --canary and --each together"),
        (["--wave-size", "1"], "use --wave-size and --each together"),
        (["--namespace", "tenant-{}"], "add --each"),
        (["--each", "x.yaml", "--parallel", "0"], "--parallel"),
        (["--each", "x.yaml", "--canary", "-1"], "--canary"),
    ],
)
def test_options_that_do_not_fit(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as error:
        main(["upgrade", *arguments])
    assert error.value.code == 2
    assert says in capsys.readouterr().err


def test_display_on_a_terminal(live: Live) -> None:
    console = Console(force_terminal=True, width=100, record=True, quiet=True)
    one, two = (Member(cluster=live.api.cluster(), props=props(name=name)) for name in NAMES[:2])

    def shown(render: Callable[[], Any]) -> str:
        plain = Console(width=100, record=True, file=io.StringIO())
        plain.print(render())
        return plain.export_text()

    with FleetDisplay(to=console) as display:
        assert shown(display.render).strip() == ""
        for member in (one, two):
            display.report(member, Progress(step=1, steps=2, activity=Activity.APPLY, text="the migration runs"))
        with display.paused():
            display.line("a line")
        text = shown(display.render)
        assert text.count("step 1 of 2: apply: the migration runs") == 2
        (ended,) = preview([one], FleetOptions()).members
        display.end(attrs.evolve(ended, state=MemberState.UPGRADED, seconds=1.0))
        text = shown(display.render)
        assert "authz/acme" not in text
        assert "authz/globex" in text
        assert "1 ended" in text
