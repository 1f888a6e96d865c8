"""The parser of the command line: its help, its hints, its exit codes, and its completion in shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cdk8s_spicedb import known_releases
from cdk8s_spicedb.cli import command_line, main
from cdk8s_spicedb.cli.exits import EXIT_CODES
from cdk8s_spicedb.cli.parser import nearest
from tests.programs import ROOT

COMMANDS = command_line().commands


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What a wrong usage prints."""
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def helps(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The help that a command line prints."""
    try:
        code: object = main(words)
    except SystemExit as ended:
        code = ended.code
    assert code == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_without_arguments_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = helps(capsys)
    assert text == helps(capsys, "--help") == helps(capsys, "help")
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [*dict.fromkeys(f"{each.group}:" for each in COMMANDS.values()), "Options:"]
    listed = [line.split()[0] for line in text.splitlines() if line[:2] == "  " and line[2:3].isalpha()]
    assert listed == list(COMMANDS)
    assert text.splitlines()[-1].startswith("Documentation: https://")


def test_the_version_names_the_newest_release(capsys: pytest.CaptureFixture[str]) -> None:
    words = helps(capsys, "--version").split()
    assert words[0] == "cdk8s-spicedb"
    assert words[-1] == f"{known_releases().newest})"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = helps(capsys, "help", name)
    assert text == helps(capsys, name, "--help") == helps(capsys, name, "-h")
    parts = [line for line in text.splitlines() if line and not line.startswith(" ") and line.endswith(":")]
    assert parts[0] == "Examples:"
    assert parts[-1] == "Exit codes:"
    usage = [line for line in text.splitlines() if line.startswith("usage: ")]
    assert len(usage) == 1
    assert usage[0].startswith(f"usage: cdk8s-spicedb {name}")
    assert "{" not in usage[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_codes_and_a_page(name: str) -> None:
    parser = COMMANDS[name]
    assert (ROOT / "docs" / f"{parser.page}.md").is_file()
    assert {0, 2, 130} <= parser.codes.keys() <= EXIT_CODES.keys()
    assert parser.examples
    for example in parser.examples:
        words = example.partition(" > ")[0].split()
        assert words[0] == name
        command_line().parse_args(words)


def test_a_cluster_can_be_out_of_reach_for_every_command_that_asks_one() -> None:
    asks = {name for name, each in COMMANDS.items() if "--kubeconfig" in each.format_help()}
    assert {name for name, each in COMMANDS.items() if 5 in each.codes} == asks - {"repair", "restore"}


@pytest.mark.parametrize(
    ("words", "usage", "error"),
    [
        (["snyth"], "usage: cdk8s-spicedb COMMAND [options]", "unknown command 'snyth'; did you mean synth?"),
        (["frobnicate"], "usage: cdk8s-spicedb COMMAND [options]", "unknown command 'frobnicate'; `cdk8s-spicedb --he"),
        (["help", "chekc"], "usage: cdk8s-spicedb COMMAND [options]", "unknown command 'chekc'; did you mean check?"),
        (
            ["status", "--namspace=x"],
            "usage: cdk8s-spicedb status [NAME] [options]",
            "unrecognized arguments: --namspace=x; did you mean --namespace?",
        ),
        (["synth", "--xyz"], "usage: cdk8s-spicedb synth [options]", "unrecognized arguments: --xyz"),
        (
            ["plan", "--engine", "postgresql", "--from", "v1.52.0"],
            "usage: cdk8s-spicedb plan [options]",
            "argument --engine: invalid choice: 'postgresql'; did you mean postgres?",
        ),
        (
            ["plan", "--eng", "postgres"],
            "usage: cdk8s-spicedb plan [options]",
            "unrecognized arguments: --eng postgres",
        ),
        (
            ["upgrade", "--observe", "5 minutes"],
            "usage: cdk8s-spicedb upgrade [NAME] [options]",
            "argument --observe: '5 minutes' is not a duration; write it as 90s, 5m or 1h30m",
        ),
        (
            ["backup", "x.zedbackup"],
            "usage: cdk8s-spicedb backup [NAME] BACKUP [options]",
            "give the name of the SpiceDB, or use --file",
        ),
        (["plan"], "usage: cdk8s-spicedb plan [options]", "--engine and --from are required without --file"),
        (
            ["plan", "--engine", "mysql", "--from", "v1.52.0", "-n", "a"],
            "usage: cdk8s-spicedb plan [options]",
            "--namespace needs --file",
        ),
    ],
)
def test_wrong_usage_says_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: list[str], usage: str, error: str
) -> None:
    first, second = fails(capsys, *words)
    assert first == usage
    assert second.startswith(f"error: {error}")


def test_words_that_are_not_similar_are_no_hint() -> None:
    assert nearest("snyth", ["synth", "status"]) == "synth"
    assert nearest("frobnicate", ["synth", "status"]) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661), ("0", 0), ("0s", 0)]
)
def test_durations_are_written_as_in_kubernetes(text: str, seconds: int) -> None:
    assert command_line().parse_args(["status", "--wait", "--timeout", text]).timeout == seconds


def test_it_is_a_plugin_of_kubectl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-spicedb"])
    assert "usage: kubectl spicedb status [NAME] [options]" in helps(capsys, "status", "--help")
    assert "  kubectl spicedb status --namespace authz\n" in helps(capsys, "help", "status")


# ---------------------------------------------------------------- completion

_COMPLETES = """
{script}
COMP_WORDS=({words}) COMP_CWORD={number} COMPREPLY=()
$(complete -p cdk8s-spicedb | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completions(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in ("cdk8s-spicedb", *words))
    text = _COMPLETES.format(script=script, words=typed, number=len(words))
    found = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return found.stdout.split()


def test_bash_completes(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("shtab")
    script = helps(capsys, "completion", "bash")
    file = tmp_path / "completion.sh"
    file.write_text(script)
    subprocess.run(["bash", "-n", str(file)], check=True)
    assert completions(script, "roll") == ["rollback"]
    assert completions(script, "status", "--certif") == ["--certificates"]
    assert completions(script, "plan", "--engine", "post") == ["postgres"]
    assert completions(script, "plan", "--output", "ma") == ["markdown"]
    monkeypatch.chdir(tmp_path)
    assert completions(script, "check", "--file", "comp") == ["completion.sh"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete(capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str) -> None:
    pytest.importorskip("shtab")
    script = helps(capsys, "completion", shell)
    assert "rollback" in script
    assert "kubectl config get-contexts" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


# ---------------------------------------------------------------- old spellings


@pytest.mark.parametrize(
    ("words", "warning", "parsed"),
    [
        (["schema"], "`schema` is an old spelling; write `json-schema`", {"command": "json-schema"}),
        (["init", "-o", "a.yaml"], "`-o a.yaml` is an old spelling; write `a.yaml`", {"path": "a.yaml"}),
        (["init", "--output=a.yaml"], "`--output a.yaml` is an old spelling; write `a.yaml`", {"path": "a.yaml"}),
        (["synth", "-oa"], "`-o a` is an old spelling; write `--folder a`", {"folder": "a"}),
        (["learn", "x", "--output", "a"], "`--output a` is an old spelling; write `--write a`", {"write": "a"}),
        (["releases", "--output", "table"], "`table` is an old spelling; write `text`", {"output": "text"}),
        (["releases", "--output=table"], "`table` is an old spelling; write `text`", {"output": "text"}),
        (
            ["status", "--wait", "30", "authz"],
            "`--wait 30` is an old spelling; write `--wait --timeout 30s`",
            {"wait": True, "timeout": 30, "name": "authz"},
        ),
        (
            ["status", "--wait=30"],
            "`--wait=30` is an old spelling; write `--wait --timeout=30s`",
            {"wait": True, "timeout": 30},
        ),
        (["upgrade", "--observe", "5"], "`--observe 5` is an old spelling; write `--observe 5s`", {"observe": 5}),
        (["upgrade", "--observe=5"], "`--observe=5` is an old spelling; write `--observe=5s`", {"observe": 5}),
        (["upgrade", "--no-pull"], "`--no-pull` is an old spelling; write `--no-pull-images`", {"pull_images": False}),
    ],
)
def test_old_spellings_work_with_a_warning(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    warning: str,
    parsed: dict[str, object],
) -> None:
    seen: list[object] = []

    def run(_: str, options: object) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr("cdk8s_spicedb.cli._run", run)
    assert main(words) == 0
    assert capsys.readouterr().err == f"warning: {warning}\n"
    assert {name: getattr(seen[0], name) for name in parsed} == parsed


@pytest.mark.parametrize("words", [["status", "--wait", "authz"], ["upgrade", "--observe=0"], ["synth"], ["releases"]])
def test_new_spellings_work_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr("cdk8s_spicedb.cli._run", lambda *_: 0)
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_a_format_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, "synth", "-o", "json")[1].startswith("error: unrecognized arguments: --output=json")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--verison"], "did you mean --version?"),
        (["-n", "authz", "status"], "write the options after the command: cdk8s-spicedb COMMAND [options]"),
        (["-v", "status"], "-v is not an option of cdk8s-spicedb itself"),
    ],
)
def test_options_follow_the_command(capsys: pytest.CaptureFixture[str], words: list[str], hint: str) -> None:
    assert hint in fails(capsys, *words)[1]


def test_a_hint_is_about_a_similar_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean" not in "\n".join(fails(capsys, "status", "--bogus"))
