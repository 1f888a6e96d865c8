"""``cdk8s-spicedb schema``: prints the JSON Schema of files."""

from __future__ import annotations

import argparse
import json

from .options import Commands


def add_to(commands: Commands) -> None:
    """Adds the command."""
    text = "Prints the JSON Schema of a file that describes a SpiceDB, for editors."
    parser = commands.add_parser("schema", help="print the JSON Schema of such a file, for editors", description=text)
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> str:
    from ..files.schema import props_schema

    return json.dumps(props_schema(), indent=2, ensure_ascii=False)
