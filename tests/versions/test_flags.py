"""The flags of releases, against those that were recorded from programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk8s_spicedb.versions import Command, known_flags, version_order
from tests.programs import ROOT
from tools import flags
from tools.flags import read, table
from tools.release import text

TABLE = known_flags()
RECORDED = {file.stem: json.loads(file.read_text("utf-8")) for file in (ROOT / "tests" / "flags").glob("*.json")}


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_recorded_flags_are_known(version: str, command: Command) -> None:
    flags = [flag for flag in RECORDED[version][command] if flag != "help"]
    assert len(flags) > 10
    assert [flag for flag in flags if TABLE.takes(command, flag, version) is False] == []


@pytest.mark.parametrize(
    ("flag", "version", "taken"),
    [
        ("grpc-addr", "v1.30.0", True),
        ("grpc-addr", "v1.57.1", True),
        # Added between v1.37.1 and v1.52.0, and between v1.56.0 and v1.57.1.
        ("datastore-allowed-migrations", "v1.37.1", False),
        ("datastore-allowed-migrations", "v1.40.0", True),
        ("datastore-allowed-migrations", "v1.52.0", True),
        ("experimental-full-relation-cache", "v1.56.0", False),
        ("experimental-full-relation-cache", "v1.56.1", True),
        # In no help, but taken.
        ("dashboard-addr", "v1.57.1", True),
        ("no-such-flag", "v1.56.0", False),
        ("no-such-flag", "v1.50.0", False),
        # Older and newer than the known ones.
        ("grpc-addr", "v1.20.0", True),
        ("grpc-addr", "v1.99.0", True),
        ("datastore-allowed-migrations", "v1.20.0", None),
        ("no-such-flag", "v1.99.0", None),
    ],
)
def test_whether_a_release_has_a_flag(flag: str, version: str, taken: bool | None) -> None:
    assert TABLE.takes("serve", flag, version) is taken


def test_a_flag_of_one_command_is_not_one_of_the_other() -> None:
    assert TABLE.takes("migrate", "grpc-addr", "v1.56.0") is False
    assert TABLE.takes("serve", "migration-timeout", "v1.56.0") is False


def test_the_file_has_the_format_of_the_tool() -> None:
    file = Path(ROOT) / "lib" / "cdk8s_spicedb" / "versions" / "flags.json"
    data = json.loads(file.read_text("utf-8"))
    assert text(data) + "\n" == file.read_text("utf-8")


def test_the_newest_recorded_flags_are_in_the_table() -> None:
    newest = max(RECORDED, key=version_order)
    assert version_order(TABLE.newest) >= version_order(newest), "run python -m tools.flags with the newest program"


PROGRAM = """#!/bin/sh
case "$*" in
version) echo "spicedb v1.2.0" ;;
*" --help")
    case "$2" in
    --old=) ;;
    --help) printf 'Flags:\\n      --new string   x\\n' ;;
    *) echo "unknown flag: ${2%=}" >&2 && exit 1 ;;
    esac
    ;;
esac
"""
"""A program of a release whose help shows one flag, and which takes another one too."""


def test_the_tool_adds_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "flags.json"
    found = {"releases": ["v1.1.0"], "commands": {"migrate": {"v1.1.0 to v1.1.0": ["old"]}, "serve": {}}}
    data.write_text(json.dumps(found))
    monkeypatch.setattr(flags, "DATA", data)
    program = tmp_path / "spicedb"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    flags.main([str(program)])
    assert json.loads(data.read_text()) == {
        "releases": ["v1.1.0", "v1.2.0"],
        "commands": {
            "migrate": {"v1.2.0 to v1.2.0": ["new"], "v1.1.0 to v1.2.0": ["old"]},
            "serve": {"v1.2.0 to v1.2.0": ["new"]},
        },
    }


def test_the_tool_writes_the_first_and_the_last_release_of_a_flag() -> None:
    found = {"v1.10.0": {"serve": ["a", "b"], "migrate": []}, "v1.9.0": {"serve": ["a"], "migrate": ["c"]}}
    serve = {"v1.9.0 to v1.10.0": ["a"], "v1.10.0 to v1.10.0": ["b"]}
    commands = {"migrate": {"v1.9.0 to v1.9.0": ["c"]}, "serve": serve}
    data = {"releases": ["v1.9.0", "v1.10.0"], "commands": commands}
    assert table(found) == data
    assert table(read(data)) == data
    gone = {f"v1.{minor}.0": {"serve": [] if minor == 2 else ["a"], "migrate": []} for minor in (1, 2, 3)}
    with pytest.raises(SystemExit, match="so it was gone in between"):
        table(gone)
