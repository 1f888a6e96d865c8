"""Adds the flags of releases to the data of the package: ``python -m tools.flags PROGRAM …``

Each ``PROGRAM`` is a ``spicedb`` program. The tool reads its help, and asks it for the flags of other releases that its
help does not show, such as deprecated ones. It replaces what ``versions/flags.json`` says of the release.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cdk8s_spicedb.files.program import Program, takes, version_of
from cdk8s_spicedb.versions import version_order
from tools.release import COMMANDS, program_flags, text

DATA = Path(__file__).parent.parent / "lib" / "cdk8s_spicedb" / "versions" / "flags.json"
Found = dict[str, dict[str, set[str]]]
"""Flags by release and command."""


def read(data: Mapping[str, Any]) -> Found:
    """The flags of each release in the data."""
    releases = data["releases"]
    found: Found = {version: {command: set() for command in COMMANDS} for version in releases}
    for command, groups in data["commands"].items():
        for span, flags in groups.items():
            first, last = map(releases.index, span.split(" to "))
            for version in releases[first : last + 1]:
                found[version][command] |= set(flags)
    return found


def table(found: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, Any]:
    """The data: the flags of each command by the first and the last release that has them."""
    releases = sorted(found, key=version_order)
    commands: dict[str, dict[str, list[str]]] = {}
    for command in COMMANDS:
        groups: dict[str, list[str]] = {}
        for flag in sorted({flag for flags in found.values() for flag in flags[command]}):
            having = [version for version in releases if flag in found[version][command]]
            first, last = releases.index(having[0]), releases.index(having[-1])
            if having != releases[first : last + 1]:
                raise SystemExit(f"{command} --{flag}: in {having}, so it was gone in between: not possible here")
            groups.setdefault(f"{having[0]} to {having[-1]}", []).append(flag)
        commands[command] = groups
    return {"releases": releases, "commands": commands}


def flags_of(program: str, known: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The flags of a program: those in its help, and those of other releases that it takes too."""
    shown = {command: {*flags} - {"help"} for command, flags in program_flags(program).items()}
    asked = Program([program])
    return {
        command: flags | {flag for flag in known[command] if flag in flags or takes(asked, command, flag)}
        for command, flags in shown.items()
    }


def main(programs: list[str]) -> None:
    if not programs:
        raise SystemExit(__doc__)
    found = read(json.loads(DATA.read_text("utf-8")))
    known = {command: {flag for flags in found.values() for flag in flags[command]} for command in COMMANDS}
    for program in programs:
        path = str(Path(program).resolve())
        version = version_of(Program([path]))
        found[version] = flags_of(path, known)
        print(f"{version}: {', '.join(f'{command} {len(flags)}' for command, flags in found[version].items())}")
    DATA.write_text(text(table(found)) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
