"""Asks a SpiceDB program what release it is, and what it can do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from ..errors import SpiceDBError
from ..props.flags import ENGINE, flags_of, variable_name
from ..props.server import SCHEMA_MODE, ServerProps
from ..versions import VERSION, ReleaseTable

SECONDS = 60
"""Limit of time for an answer."""
_PULL_SECONDS = 600
_COMMANDS = ("serve", "migrate")
_NO_REQUESTS = flags_of(ServerProps)["telemetry_enabled"][1].name
_RUNNERS = ("docker", "podman")
_HELP = r"^\s+--{}\s(.*)$"
_MODES = re.compile(r"\b(?:read|write)-[a-z]+-(?:read|write)-[a-z]+\b")
_IMAGE = re.compile(r"[a-z0-9][\w.-]*(?::\d+)?(?:[/:@][\w.:@-]+)+")
"""A reference of an image, as opposed to a path or a word."""
_REVISION = re.compile(r"[\w-]+")
_EXTRACT = "crane export {} - | tar --extract --to-stdout usr/local/bin/spicedb > spicedb && chmod +x spicedb"


@frozen
class Program:
    """A SpiceDB program: a file, or in an image."""

    command: Sequence[str]
    """How to start it."""
    seconds: float = field(default=SECONDS)
    """Limit of time for one answer."""
    hint: str = ""
    """What to do instead if it does not start."""

    def ask(self, *arguments: str) -> tuple[bool, str, str]:
        """Whether it succeeds, and what it writes to standard output and to standard error."""
        # The variables of SpiceDB must not change its answers, and it need not ask for newer releases.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPICEDB_", "OTEL_"))}
        env = {**kept, variable_name(_NO_REQUESTS): "true"}
        command = [*self.command, *arguments]
        try:
            done = subprocess.run(
                command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise SpiceDBError(f"`{' '.join(command)}` has not ended within {self.seconds:.0f} s") from None
        except OSError as error:
            raise SpiceDBError(f"cannot run {command[0]}: {error.strerror or error}") from None
        return done.returncode == 0, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def answer(self, *arguments: str) -> str:
        """What it writes to standard output. Raises `SpiceDBError` if it fails."""
        succeeds, output, errors = self.ask(*arguments)
        if not succeeds:
            lines = [line for line in (errors or output).splitlines() if line.strip()] or ["no message"]
            hint = f". {self.hint}" if self.hint else ""
            raise SpiceDBError(f"`{' '.join([*self.command, *arguments])}` failed: {lines[0].strip()}{hint}")
        return output


@frozen(kw_only=True)
class Learned:
    """What a program says of its release."""

    version: str
    """Its release."""
    heads: Mapping[str, str]
    """Its newest revision of each engine."""
    flags: Sequence[str]
    """Those flags of the table that it takes."""
    schema_modes: Sequence[str]
    """Its modes of ``--experimental-schema-mode``. Empty if it has none."""


def find_program(name: str) -> Program:
    """The program with this path or name, or the one in this image. Raises `SpiceDBError` if nothing can start it."""
    path = name if Path(name).is_file() else shutil.which(name)
    if path is not None:
        return Program([str(Path(path).absolute())])
    if not _IMAGE.fullmatch(name):
        raise SpiceDBError(f"there is no program {name}; pass the path of a `spicedb` program, or an image")
    hint = f"Or copy the program out of the image, such as with `{_EXTRACT.format(name)}`, and pass ./spicedb"
    for runner in _RUNNERS:
        if shutil.which(runner):
            command = [runner, "run", "--rm", "--network=none", "--entrypoint=spicedb", name]
            return Program(command, _PULL_SECONDS, hint)
    raise SpiceDBError(f"there is no file {name}; to run it as an image, install {' or '.join(_RUNNERS)}. {hint}")


def learn(program: Program, table: ReleaseTable) -> Learned:
    """What a program says of its release, as far as the table has it. Raises `SpiceDBError` if it does not say it."""
    help_of = {command: program.answer(command, "--help") for command in _COMMANDS}
    return Learned(
        version=version_of(program),
        heads={engine: head_of(program, engine) for engine in sorted(table.engines)},
        flags=tuple(flag for flag in table.flags if _takes(program, flag, help_of)),
        schema_modes=tuple(_modes(help_of.values())),
    )


def version_of(program: Program) -> str:
    """The release that a program says it is."""
    words = program.answer("version").split()
    found = [word for word in words if re.fullmatch(VERSION, word)]
    if not found:
        raise SpiceDBError(f"{program.command[-1]} does not say its version; use the program of a release")
    return found[0]


def head_of(program: Program, engine: str) -> str:
    """The newest revision of an engine that a program knows."""
    lines = program.answer("datastore", "head", f"--{ENGINE}", engine).split("\n")
    head = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if not _REVISION.fullmatch(head):
        raise SpiceDBError(f"{program.command[-1]} does not say its newest revision of {engine}")
    return head


def takes(program: Program, command: str, flag: str) -> bool:
    """Whether a command has a flag, even if its help does not show it."""
    _, output, errors = program.ask(command, f"--{flag}=", "--help")
    return f"unknown flag: --{flag}" not in output + errors


def _takes(program: Program, flag: str, help_of: Mapping[str, str]) -> bool:
    shown = any(_shown(text, flag) is not None for text in help_of.values())
    return shown or any(takes(program, command, flag) for command in help_of)


def _shown(text: str, flag: str) -> str | None:
    """What a help says of a flag. None if it does not show it."""
    found = re.search(_HELP.format(re.escape(flag)), text, re.MULTILINE)
    return found[1] if found else None


def _modes(texts: Iterable[str]) -> list[str]:
    shown = " ".join(_shown(text, SCHEMA_MODE) or "" for text in texts)
    return list(dict.fromkeys(_MODES.findall(shown)))


def disagreements(learned: Learned, table: ReleaseTable) -> list[str]:
    """In what a program says something else than the table, of a release that the table knows."""
    found = []
    for engine, head in learned.heads.items():
        known = table.engines[engine].heads.get(learned.version)
        if known != head:
            found.append(f"the head of {engine} is {head}, and not {known}")
    for flag in table.flags:
        if table.takes(flag, learned.version) is not (flag in learned.flags):
            found.append(f"it {'takes' if flag in learned.flags else 'does not take'} --{flag}")
    if tuple(table.modes(learned.version)) != tuple(learned.schema_modes):
        found.append(f"its schema modes are {', '.join(learned.schema_modes) or 'none'}")
    return found
