"""What the commands print: characters that nobody sees, and outputs that cannot be written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.output import as_json, say, say_error, styled, visible
from cdk8s_spicedb.live import Cluster
from tests.live.installed import BY_HELM, OLD, applied, props
from tests.programs import ROOT

ACCEPTED = "acceptAdvisories: [GO-2026-6612, GHSA-hrxh-6v49-42gf, GHSA-4vrg-r928-h5vv]\n"
PLAN = ("plan", "--engine", "postgres", "--from", "v1.52.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x08\x0b\x0c\x00", r"a\rb\x08\x0b\x0c\x00"),
        ("\x7f\x80\x9b31m\x85", r"\x7f\x80\x9b31m\x85"),
        ("\u202eevil\u2066\u200f", r"\u202eevil\u2066\u200f"),
        ("a\u200bb\u200d\ufeff\u00ad\u2060", r"a\u200bb\u200d\ufeff\xad\u2060"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u3164\uffa0\ufe0f\U000e0100\U000e0041", r"\u3164\uffa0\ufe0f\U000e0100\U000e0041"),
        ("\udc80", r"\udc80"),
        ("line 1\n\tline 2", "line 1\n\tline 2"),
        ("grüße, 漢字, ✓ … 😀", "grüße, 漢字, ✓ … 😀"),
        ("[bold]x[/bold] :smile: C:\\x1b", "[bold]x[/bold] :smile: C:\\x1b"),
    ],
)
def test_characters_that_nobody_sees_are_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_no_control_character_is_left() -> None:
    left = visible("".join(map(chr, [*range(0x3000), *range(0xD700, 0x10000), *range(0xE0000, 0xE0200)])))
    kinds = {each: unicodedata.category(each) for each in set(left)}
    assert not set(kinds.values()) & {"Cf", "Cs", "Zl", "Zp", "Co", "Cn"}
    assert {each for each, kind in kinds.items() if kind == "Cc"} == {"\t", "\n"}


def test_a_text_with_styles_is_one_line() -> None:
    text = styled("a\nb", ("\x1b[31mc", "bold"), "[d]")
    assert text.plain == r"a b\x1b[31mc[d]"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(3, 12, "bold")]


def test_json_has_only_printable_characters() -> None:
    text = as_json({"a": "\x1b\x7f\x9b\u202e\n"})
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == {"a": "\x1b\x7f\x9b\u202e\n"}


# ---------------------------------------------------------------- outputs that cannot be written


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file. What it describes runs in the cluster, for the commands that ask one."""
    monkeypatch.chdir(tmp_path)
    uri = "{name: spicedb, key: datastore-uri}"
    Path("spicedb.yaml").write_text(f"{ACCEPTED}version: v1.52.0\ndatastore: {{engine: postgres, uri: {uri}}}\n")
    api = applied(props(OLD), **BY_HELM)
    monkeypatch.setattr(Cluster, "connect", lambda **_: api.cluster())
    return tmp_path


COMMANDS = (
    *(" ".join(PLAN), "releases", "json-schema", "init other.yaml", "synth", "status", "status -A", "status --watch"),
    *("check --no-database --no-schema", "diff", "status --output json", "diff --output json"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_cannot_be_written_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        assert main(command.split()) == 1
    assert capsys.readouterr().err == "error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_is_no_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    usual = 0 if "--watch" in command else main(command.replace("other", "another").split())
    capsys.readouterr()
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", pipe)
        code = main(command.split())
    assert "--watch" in command or code == usual
    assert capsys.readouterr().err == ""


def test_what_an_encoding_lacks_is_escaped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    assert say("grüße")
    assert written.getvalue() == b"gr\\xfc\\xdfe\n"


def test_standard_error_that_is_closed_hides_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say_error("nobody listens")
    assert main(["synth", "-f", "no.yaml"]) == 1
    with pytest.raises(SystemExit) as raised:
        main(["plan"])
    assert raised.value.code == 2


def _shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m cdk8s_spicedb"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib"), **environment}
    return subprocess.run(
        command.replace("RUN", program), shell=True, capture_output=True, text=True, env=env, check=False
    )


@pytest.mark.parametrize("arguments", [" ".join(PLAN), "plan --help"])
@pytest.mark.parametrize(
    ("redirect", "code", "error"),
    [
        ("> /dev/full", 1, "error: cannot write the output: No space left on device\n"),
        (">&-", 0, ""),
        ("2>&- > /dev/null", 0, ""),
        ("| true", 0, ""),
    ],
)
def test_the_program_ends_with_one_line(arguments: str, redirect: str, code: int, error: str) -> None:
    found = _shell(f"RUN {arguments} {redirect}")
    assert (found.returncode, found.stderr) == (code, error)


def test_the_program_prints_in_every_locale() -> None:
    found = _shell("RUN synth --help && RUN plan --help", PYTHONIOENCODING="ascii")
    assert found.returncode == 0
    assert r"{name: \u2026}" in found.stdout


def test_standard_input_that_is_closed_is_an_error() -> None:
    found = _shell("RUN synth -f - <&-")
    assert (found.returncode, found.stderr) == (1, "error: cannot read standard input: it is closed\n")
