"""``cdk8s-spicedb init`` and ``schema``: a file to start with, and the JSON Schema of such files."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from importlib.resources import files

from ..errors import SpiceDBError
from ..versions import concerns, known_releases
from .output import say
from .parser import program


def run(options: argparse.Namespace) -> int:
    """Writes the file, or prints the schema."""
    say(_schema() if options.command == "json-schema" else _write(options.path))
    return 0


def _schema() -> str:
    # Only this command loads YAML.
    from ..files.schema import props_schema

    return json.dumps(props_schema(), indent=2, ensure_ascii=False)


def _write(path: str) -> str:
    text = (files("cdk8s_spicedb.files") / "init.yaml").read_text("utf-8").replace("VERSION", known_releases().newest)
    is_new = False
    try:
        with open(path, "x", encoding="utf-8") as file:
            is_new = True
            file.write(text)
    except FileExistsError:
        raise SpiceDBError(f"{path} already exists; name another file, or remove it") from None
    except OSError as error:
        if is_new:
            os.unlink(path)
        raise SpiceDBError(f"cannot write {path}: {error.strerror}; name another file") from None
    faults = concerns(known_releases().advisories, known_releases().newest, None, {})
    names = ", ".join(each.advisory.id for each in faults)
    note = f"{known_releases().newest} has known faults, which `cdk8s-spicedb releases` explains: {names}.\n"
    next_step = f"Wrote {path}. Edit it, then run: {program()} synth --file {shlex.quote(path)}"
    return f"{note if faults else ''}{next_step}"
