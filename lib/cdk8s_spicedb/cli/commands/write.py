"""The commands that write a file, a chart or manifests, with their options."""

from __future__ import annotations

from ...delivery import Delivery
from ..exits import DONE, NO
from ..options import FILE, Commands, add_command, add_each, add_file, add_releases
from ..parser import Parser


def add_init(commands: Commands) -> Parser:
    """Adds ``init``."""
    parser = add_command(
        commands,
        "init",
        f"write a first {FILE}, with comments",
        "Writes a file with the settings of a SpiceDB, and with comments that explain them.",
        examples={"init": f"Write {FILE}", "init prod.yaml": "Write another file"},
        codes={DONE: "the file is written", NO: "the file exists, or it cannot be written"},
        page="install/files",
    )
    text = f"file to write, which must not exist; defaults to {FILE}"
    parser.add_argument("path", nargs="?", default=FILE, metavar="FILE", help=text)
    return parser


def add_synth(commands: Commands) -> Parser:
    """Adds ``synth``."""
    parser = add_command(
        commands,
        "synth",
        f"write a Helm chart or manifests from {FILE}",
        "Reads a file with the settings of a SpiceDB, and writes a Helm chart or manifests.",
        examples={
            "synth": f"Write a Helm chart for {FILE} to dist/",
            "synth -f base.yaml -f prod.yaml --folder charts/prod": "Merge two files, and write to another folder",
            "synth --delivery kubectl": "Write plain manifests for kubectl",
            "synth -f base.yaml --each tenants/*.yaml": "Write a chart for each of several SpiceDBs",
        },
        codes={DONE: "the output is written", NO: "there is an error (see stderr); nothing is written"},
        page="install/files",
    )
    add_file(parser)
    tools = [each.value for each in Delivery]
    text = (
        "files that describe one SpiceDB each. Each is merged with the files of --file, and written to a folder with "
        "its name. If one has a problem, nothing is written"
    )
    add_each(parser, text)
    text = "folder to write to; defaults to dist. The whole folder is replaced"
    parser.add_argument("--folder", default="dist", metavar="FOLDER", help=text)
    text = f"tool that applies the output: {', '.join(tools)}; defaults to the one in the file, or to helm"
    parser.add_argument("--delivery", choices=tools, metavar="TOOL", help=text)
    text = "version of the Helm chart; defaults to 0.1.0"
    parser.add_argument("--chart-version", default="0.1.0", metavar="VERSION", help=text)
    text = "YAML file with the metadata of the Helm chart, such as {maintainers: [{name: …}], icon: https://…}"
    parser.add_argument("--chart-metadata", metavar="FILE", help=text)
    add_releases(parser)
    return parser


def add_json_schema(commands: Commands) -> Parser:
    """Adds ``json-schema``."""
    return add_command(
        commands,
        "json-schema",
        f"print the JSON Schema of {FILE}, for editors",
        f"Prints the JSON Schema of {FILE}. Editors use it to complete and check the file.",
        examples={"json-schema > spicedb.schema.json": "Write the JSON Schema to a file"},
        codes={DONE: "the JSON Schema is printed"},
        page="install/files",
    )
