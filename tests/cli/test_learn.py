"""``learn``: asks a SpiceDB program for what this package has to know of its release."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cdk8s_spicedb import SpiceDBError, known_releases
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.commands import command_line
from cdk8s_spicedb.cli.options import releases
from cdk8s_spicedb.files import program as programs
from cdk8s_spicedb.files.program import Program, disagreements, find_program, learn
from cdk8s_spicedb.versions import SCHEMA_MODES

REAL = sorted(
    path.resolve()
    for folder in os.environ["PATH"].split(os.pathsep)
    for path in Path(folder).glob("spicedb*")
    if re.fullmatch(r"spicedb(-v[\d.]+)?", path.name) and os.access(path, os.X_OK)
)
"""SpiceDB programs on ``PATH``: ``spicedb``, or ``spicedb-v1.57.1``."""
TABLE = known_releases()
HEADS = {engine: known.revisions[-1] for engine, known in TABLE.engines.items()}
MODES = f"      --experimental-schema-mode string   mode: {', '.join(SCHEMA_MODES)} (default x)"
HIDDEN = "termination-log-path"
"""A flag that the program takes, and does not show."""
REMOVED = "telemetry-endpoint"
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a program that answers as SpiceDB does, and returns its path."""

    def write(version: str, heads: Mapping[str, str] = HEADS, modes: str = MODES, more: str = "") -> str:
        shown = [flag for flag in TABLE.flags if flag not in (HIDDEN, REMOVED, "experimental-schema-mode")]
        text = "\\n".join([*(f"      --{flag} string   x" for flag in shown), modes])
        cases = [f'"datastore head --datastore-engine {engine}") echo {head};;' for engine, head in heads.items()]
        lines = [
            "#!/bin/sh",
            more,
            'case "$*" in',
            f'version) echo "spicedb {version}"; echo "a log line" >&2;;',
            *cases,
            f'"serve --help"|"migrate --help") printf "Flags:\\n{text}\\n";;',
            f'*"--{REMOVED}= --help") echo "unknown flag: --{REMOVED}" >&2; exit 1;;',
            '*" --help") echo "invalid argument" >&2; exit 1;;',
            '*) echo "unknown command" >&2; exit 1;;',
            "esac",
        ]
        path = tmp_path / "spicedb"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)
        return str(path)

    return write


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["learn", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.skipif(not REAL, reason="needs a SpiceDB program")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_a_real_program_says_what_the_data_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learned = learn(find_program(str(path)), TABLE)
    assert learned.version in TABLE
    assert disagreements(learned, TABLE) == []
    code, out, err = run(capsys, str(path))
    assert (code, out.splitlines()[0]) == (0, f"{learned.version}:")
    assert "the program says the same" in err


def test_an_entry_is_what_the_other_commands_read(
    make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "releases.yaml"
    heads = {**HEADS, "postgres": "add-something"}
    code, out, err = run(capsys, make("v1.99.0", heads), "--write", str(file))
    assert (code, out) == (0, f"Wrote {file}. Pass it to the other commands with --releases {file}.\n")
    assert "v1.99.0 has new migrations on postgres. A program names only the last one" in err
    options = command_line().parse_args(["releases", "--releases", str(file)])
    table = releases(options)
    assert table.newest == "v1.99.0"
    assert table.revisions("postgres", "v1.99.0")[-1] == "add-something"
    assert table.revisions("mysql", "v1.99.0") == TABLE.revisions("mysql", TABLE.newest)
    # What it no longer takes is an error later.
    assert not table.takes(REMOVED, "v1.99.0")
    assert table.takes(REMOVED, TABLE.newest)
    assert all(table.takes(flag, "v1.99.0") for flag in TABLE.flags if flag != REMOVED)
    assert table.modes("v1.99.0") == tuple(SCHEMA_MODES)
    assert run(capsys, make("v1.99.0"), "--write", str(file))[::2] == (
        1,
        f"error: {file} already exists; leave out --write, and add what is printed to it\n",
    )


def test_modes_are_those_of_the_program(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    modes = "      --experimental-schema-mode string   mode: read-new-write-new, read-newer-write-newer"
    _, out, err = run(capsys, make("v1.99.0", modes=modes))
    assert out.splitlines()[-1] == "  schemaModes: [read-new-write-new, read-newer-write-newer]"
    assert err == ""


def test_a_program_that_contradicts_the_table_is_named(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, make("v1.57.1", {**HEADS, "spanner": "add-more"}))
    assert code == 1
    assert err == (
        "error: the program and this package disagree about v1.57.1: the head of spanner is add-more, and "
        f"not populate-schema-tables; it does not take --{REMOVED}.\n"
    )


@pytest.mark.parametrize(
    ("version", "heads", "message"),
    [
        ("(devel)", HEADS, "does not say its version; use the program of a release"),
        ("v1.99.0", {**HEADS, "mysql": "'$(rm) x'"}, "does not say its newest revision of mysql"),
        ("v1.99.0", {}, "datastore head --datastore-engine cockroachdb` failed: unknown command"),
    ],
)
def test_a_program_of_no_release_is_refused(
    version: str, heads: Mapping[str, str], message: str, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, make(version, heads))
    assert (code, out) == (1, "")
    assert message in err


def test_a_program_has_a_limit_of_time(make: Make) -> None:
    path = make("v1.99.0", more="exec sleep 60")
    with pytest.raises(SpiceDBError, match=r"has not ended within 0 s"):
        Program([path], 0.2).ask("version")


def test_variables_of_spicedb_do_not_reach_the_program(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEDB_LOG_LEVEL", "trace")
    path = make("v1.99.0", more='[ -z "$SPICEDB_LOG_LEVEL" ] || exit 3; [ "$SPICEDB_SKIP_RELEASE_CHECK" ] || exit 4')
    assert programs.version_of(Program([path])) == "v1.99.0"


def test_nothing_in_a_name_reaches_a_shell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, f"$(touch {tmp_path}/made)")
    assert code == 1
    assert err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("runner", ["docker", "podman"])
def test_an_image_is_run(
    runner: str, make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("v1.99.0")
    tool = tmp_path / "bin" / runner
    tool.parent.mkdir()
    options = "run --rm --network=none --entrypoint=spicedb registry.example.com/spicedb:v1.99.0"
    tool.write_text(f'#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "{options}" ] || exit 9\nshift 5\nexec {path} "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr("cdk8s_spicedb.files.program.shutil.which", lambda name: str(tool) if name == runner else None)
    code, out, _ = run(capsys, "registry.example.com/spicedb:v1.99.0")
    assert (code, out.splitlines()[0]) == (0, "v1.99.0:")


def test_an_image_without_docker_and_podman_is_copied_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdk8s_spicedb.files.program.shutil.which", lambda name: None)
    code, _, err = run(capsys, "authzed/spicedb:v1.99.0")
    assert code == 1
    assert re.search(r"install docker or podman\. Or copy the program out of the image, .*crane export authzed/", err)
    for name in ("nothing", "./spicedb", "/opt/spicedb", "-v:1"):
        said = f"there is no program {name}; pass the path of a `spicedb` program, or an image"
        with pytest.raises(SpiceDBError, match=re.escape(said)):
            find_program(name)
