"""Writes the flags of SpiceDB's commands into the data of the package: ``python -m tools.flags PROGRAM …``

Each ``PROGRAM`` is a ``spicedb`` program of another release. Name all releases: the data is written from scratch. The
tool reads their help, and asks each program for the flags that only others show. Flags that no help shows, such as
deprecated ones, stay if the file ``versions/flags.json`` has them already and the program takes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cdk8s_spicedb.versions import version_order
from tools.release import COMMANDS, program_flags, program_version, text

DATA = Path(__file__).parent.parent / "lib" / "cdk8s_spicedb" / "versions" / "flags.json"


def takes(program: str, command: str, flag: str) -> bool:
    """Whether a program knows a flag, also one that its help does not show."""
    answer = subprocess.run([program, command, f"--{flag}=", "--help"], capture_output=True, text=True)
    return f"unknown flag: --{flag}" not in answer.stdout + answer.stderr


def table(found: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, Any]:
    """The data of releases: the flags of each command by the first and the last release that has them."""
    releases = sorted(found, key=version_order)
    commands: dict[str, dict[str, list[str]]] = {}
    for command in COMMANDS:
        groups: dict[str, list[str]] = {}
        for flag in sorted({flag for flags in found.values() for flag in flags[command]}):
            having = [release for release in releases if flag in found[release][command]]
            first, last = releases.index(having[0]), releases.index(having[-1])
            if having != releases[first : last + 1]:
                raise SystemExit(
                    f"{command} --{flag}: in {having}, so it was gone in between; the data cannot say that"
                )
            groups.setdefault(f"{having[0]} to {having[-1]}", []).append(flag)
        commands[command] = groups
    return {"releases": releases, "commands": commands}


def main(programs: list[str]) -> None:
    if not programs:
        raise SystemExit(__doc__)
    known = json.loads(DATA.read_text("utf-8"))["commands"] if DATA.exists() else {}
    paths = [str(Path(program).resolve()) for program in programs]
    shown = {path: program_flags(path) for path in paths}
    found: dict[str, dict[str, set[str]]] = {}
    for path in paths:
        version = program_version(path)
        for command in COMMANDS:
            others = {flag for flags in shown.values() for flag in flags[command]}
            others |= {flag for flags in known.get(command, {}).values() for flag in flags}
            others -= {*shown[path][command]}
            more = {flag for flag in others if takes(path, command, flag)}
            found.setdefault(version, {})[command] = ({*shown[path][command]} | more) - {"help"}
    DATA.write_text(text(table(found)) + "\n", "utf-8")
    for release, commands in found.items():
        print(f"{release}: {', '.join(f'{command} {len(flags)}' for command, flags in commands.items())}")


if __name__ == "__main__":
    main(sys.argv[1:])
