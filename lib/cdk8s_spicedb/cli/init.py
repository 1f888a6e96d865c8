"""``cdk8s-spicedb init`` and ``schema``: a file to start with, and the JSON Schema of such files."""

from __future__ import annotations

import argparse
import json
from importlib.resources import files

from ..errors import SpiceDBError
from ..versions import known_releases
from .options import FILE, Commands, printing


def add_to(commands: Commands) -> None:
    """Adds the commands."""
    text = f"write a commented {FILE} to start with"
    description = "Writes a commented file with the settings of a SpiceDB."
    parser = commands.add_parser("init", help=text, description=description)
    parser.add_argument("-o", "--output", default=FILE, metavar="FILE", help=f"file to write; defaults to {FILE}")
    parser.set_defaults(run=printing(_init))

    text = f"Prints the JSON Schema of {FILE}, for editors."
    parser = commands.add_parser("schema", help=f"print the JSON Schema of {FILE}, for editors", description=text)
    parser.set_defaults(run=printing(_schema))


def _init(options: argparse.Namespace) -> str:
    text = (files("cdk8s_spicedb.files") / "init.yaml").read_text("utf-8").replace("VERSION", known_releases().newest)
    try:
        with open(options.output, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpiceDBError(f"{options.output} already exists; use another file with --output, or remove it") from None
    except OSError as error:
        raise SpiceDBError(f"cannot write {options.output}: {error.strerror}") from None
    return f"Wrote {options.output}. Edit it, then run: cdk8s-spicedb synth --file {options.output}"


def _schema(_: argparse.Namespace) -> str:
    from ..files.schema import props_schema

    return json.dumps(props_schema(), indent=2, ensure_ascii=False)
