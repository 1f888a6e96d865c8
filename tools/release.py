"""Adds releases of SpiceDB to the data of this project: ``python tools/release.py VERSION``

``VERSION`` is the tag of a release, such as ``v1.57.1``. The tool downloads its Go module and builds its program with
``go``, which takes a minute or two. Name several releases in their order, the oldest first.

Instead of a version, you can name folders and programs that you have: a checkout of authzed/spicedb at the release's
tag, or the folder of its Go module, which have the migrations; and a ``spicedb`` program, which has the heads and the
flags. If you have both, give both, the folder first: a program does not name the migrations before its head.

``releases.json`` and ``tests/flags/`` are only written if all data is consistent. ``tests/flags/`` keeps one release of
those that have the same flags, the newest. Review the difference. Then read the release's notes for what the tool
cannot find: required stops and long migrations.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.files.program import Program, head_of, takes, version_of
from cdk8s_spicedb.versions import is_version, read_releases, version_order

ROOT = Path(__file__).parent.parent
DATA = ROOT / "lib" / "cdk8s_spicedb" / "versions" / "releases.json"
FLAGS = ROOT / "tests" / "flags"
FOLDERS = {"postgres": "postgres", "cockroachdb": "crdb", "mysql": "mysql", "spanner": "spanner"}
COMMANDS = ("migrate", "serve")
MODULE = "github.com/authzed/spicedb"
_WIDTH = 120
_FLAG = re.compile(r"^ +(?:-\w, )?--([a-z0-9][-a-z0-9]*)", re.MULTILINE)
_WITHDRAWN = re.compile(r"^## \[(\d+\.\d+\.\d+)\].*\[YANKED\]", re.MULTILINE)
_REGISTERED = re.compile(r'(?:\.Register|registerMigration|RegisterMigration)\(\s*"([^"]+)",\s*"([^"]*)"')
_REGISTERED_INDEX = re.compile(r'registerIndexMigration\(\s*[\w.]+,\s*"([^"]+)",\s*"([^"]*)"')


# A release may need a newer Go than the one that is installed. Go gets it, unless its own setting forbids that.
_GO = {"GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
_INSTEAD = "Install the Go that the release needs, or pass a checkout and a `spicedb` program."


def run(*command: str, **environment: str) -> str:
    """The output of a program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    except FileNotFoundError:
        raise SystemExit(f"There is no program {command[0]}. {_INSTEAD}") from None
    if done.returncode:
        reason = done.stderr.strip() or done.stdout.strip()
        raise SystemExit(f"`{' '.join(command)}` failed:\n{reason}\n{_INSTEAD}")
    return done.stdout.strip()


# ---------------------------------------------------------------- get a release


def module(version: str) -> Path:
    """The folder of a release's Go module."""
    return Path(json.loads(run("go", "mod", "download", "-json", f"{MODULE}@{version}", **_GO))["Dir"])


def program(version: str, folder: Path) -> Path:
    """The program of a release, built in a folder."""
    run("go", "install", f"{MODULE}/cmd/spicedb@{version}", GOBIN=str(folder), **_GO)
    return folder / "spicedb"


# ---------------------------------------------------------------- read a release


def checkout_version(checkout: Path) -> str:
    """The version of a checkout, or of a Go module, whose folder has it in its name."""
    _, at, tag = checkout.name.partition("@")
    if not at:
        tag = run("git", "-C", str(checkout), "describe", "--tags", "--exact-match")
    if not is_version(tag):
        raise SystemExit(f"{checkout} is at {tag}, which is no release")
    return tag


def withdrawn(checkout: Path) -> set[str]:
    """The releases that the changelog marks as withdrawn."""
    file = checkout / "CHANGELOG.md"
    text = file.read_text("utf-8") if file.exists() else ""
    return {f"v{version}" for version in _WITHDRAWN.findall(text)}


def checkout_revisions(checkout: Path, engine: str) -> list[str]:
    """The revisions of an engine, in their order."""
    folder = checkout / "internal" / "datastore" / FOLDERS[engine] / "migrations"
    source = "\n".join(file.read_text() for file in sorted(folder.glob("*.go")) if not file.name.endswith("_test.go"))
    after = {old: new for new, old in [*_REGISTERED.findall(source), *_REGISTERED_INDEX.findall(source)]}
    chain, revision = [], after.pop("", None)
    while revision is not None:
        chain.append(revision)
        revision = after.pop(revision, None)
    if after or not chain:
        raise SystemExit(f"{folder}: cannot put the migrations in order; left over: {after or 'all'}")
    files = len(list(folder.glob("zz_migration.*.go")))
    if files != len(chain):
        raise SystemExit(f"{folder}: {files} files of migrations and {len(chain)} found in them; is there a new form?")
    return chain


def program_flags(program: str) -> dict[str, list[str]]:
    return {
        command: sorted({*_FLAG.findall(run(program, command, "--help")), *_hidden_flags(program, command)})
        for command in COMMANDS
    }


def _hidden_flags(program: str, command: str) -> Iterator[str]:
    """Flags of other releases that this one accepts too, even if its help does not show them."""
    known = {flag for file in FLAGS.glob("*.json") for flag in json.loads(file.read_text("utf-8"))[command]}
    for flag in sorted(known):
        if takes(Program([program]), command, flag):
            yield flag


# ---------------------------------------------------------------- add it to the data


def added(data: Mapping[str, Any], version: str, revisions: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The data with a release added. Its revisions are given by engine: all of them, or only the head."""
    changed: dict[str, Any] = json.loads(json.dumps(data))
    for engine, named in revisions.items():
        known, heads = changed["engines"][engine]["revisions"], changed["engines"][engine]["heads"]
        if len(named) > 1 and known[: len(named)] != list(named)[: len(known)]:
            raise SystemExit(f"{engine}: the release's migrations are not those that are known, and more")
        known += [revision for revision in named if revision not in known]
        told = [head for head, versions in heads.items() if version in versions]
        if told and told != [named[-1]]:
            raise SystemExit(f"{engine}: the head of {version} is {told[0]} already, and now {named[-1]}; which is it?")
        if not told:
            heads.setdefault(named[-1], []).append(version)
            heads[named[-1]].sort(key=version_order)
    read_releases(changed)
    return changed


def add(data: Mapping[str, Any], source: Path) -> tuple[str, dict[str, Any]]:
    """The version of a checkout or a program, and the data with that release added."""
    if source.is_dir():
        version = checkout_version(source)
        return version, added(data, version, {engine: checkout_revisions(source, engine) for engine in FOLDERS})
    path = str(source.resolve())
    program = Program([path])
    version = version_of(program)
    return version, added(data, version, {engine: [head_of(program, engine)] for engine in FOLDERS})


# ---------------------------------------------------------------- write the data


def text(value: Any, indent: str = "", before: int = 0) -> str:
    """JSON in which a value that fits into one line takes one line, so that differences are easy to read."""
    flat = json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    if isinstance(value, dict) and value:
        entries = (f"{inner}{json.dumps(key)}: {text(item, inner, len(key) + 4)}" for key, item in value.items())
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
    if not isinstance(value, list) or not value or len(indent) + before + len(flat) < _WIDTH:
        return flat
    if isinstance(value[0], dict):
        return "[\n" + ",\n".join(inner + text(item, inner) for item in value) + f"\n{indent}]"
    lines: list[str] = []
    line = inner
    for number, item in enumerate(value):
        word = json.dumps(item) + ("," if number + 1 < len(value) else "")
        if len(line) + len(word) + 1 > _WIDTH:
            lines.append(line.rstrip())
            line = inner
        line += f"{word} "
    return "[\n" + "\n".join([*lines, line.rstrip()]) + f"\n{indent}]"


def main(sources: list[str]) -> None:
    if not sources:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        found = [each for source in sources for each in _sources(source, Path(folder))]
        data, files = json.loads(DATA.read_text("utf-8")), {}
        for source in found:
            version, data = add(data, source)
            if not source.is_dir():
                files[FLAGS / f"{version}.json"] = json.dumps(program_flags(str(source.resolve())), indent=2)
            print(f"{version}: {', '.join(f'{engine} {head}' for engine, head in _heads(data, version).items())}")
    for file, content in {DATA: text(data), **files}.items():
        file.write_text(content + "\n", "utf-8")
    for new in files:
        # A release with the same flags stands for the ones before it.
        for old in FLAGS.glob("*.json"):
            if version_order(old.stem) < version_order(new.stem) and old.read_bytes() == new.read_bytes():
                old.unlink()
    marked = {version for source in found if source.is_dir() for version in withdrawn(source)}
    for version in sorted(marked - read_releases(data).withdrawn.keys(), key=version_order):
        print(f"The changelog marks {version} as withdrawn: add it to an advisory, in its list `withdrawn`.")


def _sources(source: str, folder: Path) -> Sequence[Path]:
    """What to read: the module and the program of a version, or what is there."""
    if not is_version(source):
        return [Path(source)]
    (folder / source).mkdir()
    return [module(source), program(source, folder / source)]


def _heads(data: Mapping[str, Any], version: str) -> dict[str, str]:
    return {
        engine: head
        for engine, known in data["engines"].items()
        for head, at in known["heads"].items()
        if version in at
    }


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SpiceDBError as error:
        raise SystemExit(str(error)) from None
