"""Writes down which flags released SpiceDB programs have: ``python tests/flags/collect.py PROGRAM...``

For each program, ``<version>.json`` beside this file holds, by command, the names of all flags that its ``--help``
lists, global ones included. The tests hold what the package renders against them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

COMMANDS = ("migrate", "serve")
_FLAG = re.compile(r"^ +(?:-\w, )?--([a-z0-9][-a-z0-9]*)", re.MULTILINE)


def run(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def version(program: str) -> str:
    match = re.search(r"v\d+\.\d+\.\d+\S*", run(program, "version"))
    if match is None:
        raise SystemExit(f"{program} does not say its version")
    return match.group()


def flags(program: str, command: str) -> list[str]:
    return sorted(set(_FLAG.findall(run(program, command, "--help"))))


def main(programs: list[str]) -> None:
    if not programs:
        raise SystemExit(__doc__)
    for program in programs:
        found = {command: flags(program, command) for command in COMMANDS}
        path = Path(__file__).with_name(f"{version(program)}.json")
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
