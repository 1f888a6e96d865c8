"""``cdk8s-spicedb schema``: prints the JSON Schema of files."""

from __future__ import annotations

import argparse
import json

from .options import FILE, Commands


def add_to(commands: Commands) -> None:
    """Adds the command."""
    text = f"Prints the JSON Schema of {FILE}, for editors."
    parser = commands.add_parser("schema", help=f"print the JSON Schema of {FILE}, for editors", description=text)
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> str:
    from ..files.schema import props_schema

    return json.dumps(props_schema(), indent=2, ensure_ascii=False)
