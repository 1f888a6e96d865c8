"""Generates ``docs/reference/cli.md``, the page of the command line, from its parser: ``make reference``"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from cdk8s_spicedb.cli import command_line
from cdk8s_spicedb.cli.exits import EXIT_CODES, VARIABLES
from cdk8s_spicedb.cli.parser import PROGRAM, Parser, invocation

from .pages import NOTE, REFERENCE, in_cell, table

PAGE = REFERENCE / "cli.md"
_OPENING = (
    NOTE
    + """\
# Command line

This page lists every command of `cdk8s-spicedb` with its options. `cdk8s-spicedb help COMMAND` prints the same. If
`kubectl-spicedb` is on your `PATH`, you can also write `kubectl spicedb` instead of `cdk8s-spicedb`.

Results go to standard output, and errors and warnings to standard error. An error begins with `error: `, and a warning
with `warning: `. With `--output json` or `--output yaml`, the result has the fields in
[Output of the commands](output.md).

Write durations as in Kubernetes: `90s`, `5m` or `1h30m`.
"""
)
_COMPLETION = """\
## Complete commands in your shell

```sh
source <(cdk8s-spicedb completion bash)   # bash, for this shell
source <(cdk8s-spicedb completion zsh)    # zsh, for this shell
cdk8s-spicedb completion fish | source    # fish, for this shell
```

To install the script for every shell that you start, see the examples of [`completion`](#completion).
"""


def page() -> str:
    """The page, Markdown."""
    parser = command_line()
    parts = [
        _OPENING,
        "\n".join(_commands(parser)),
        "\n".join(["## Exit codes", "", _table(("Code", "Meaning"), _codes(EXIT_CODES))]),
        "\n".join(["## Environment variables", "", _table(("Variable", "Meaning"), _variables())]),
        _COMPLETION,
        *("\n".join(_command(name, each)) for name, each in parser.commands.items()),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def _commands(parser: Parser) -> Iterator[str]:
    yield "## Commands"
    for group, found in groupby(parser.commands.items(), key=lambda item: item[1].group):
        rows = ((f"[`{name}`](#{name})", each.summary) for name, each in found)
        yield f"\n**{group}**\n\n{_table(('Command', 'What it does'), rows)}"


def _command(name: str, parser: Parser) -> Iterator[str]:
    yield from (f"## {name}", "", in_cell(str(parser.description)), "", "```text", _synopsis(name, parser), "```", "")
    if parser.page != "reference/cli":
        yield from (f"See also [{_title(parser.page)}](../{parser.page}.md).", "")
    yield from ("Examples:", "", "```sh")
    for command, text in parser.examples.items():
        yield from (f"# {text}", f"{PROGRAM} {command}")
    yield "```"
    for title, actions in parser.options():
        rows = ((f"`{invocation(each)}`", str(each.help)) for each in actions)
        yield from ("", _table((title, "Meaning"), rows))
    yield from ("", _table(("Exit code", "Meaning"), _codes(parser.codes)))


def _title(page: str) -> str:
    """The title of a page, which is its first heading."""
    return (PAGE.parent.parent / f"{page}.md").read_text("utf-8").partition("# ")[2].partition("\n")[0]


def _synopsis(name: str, parser: Parser) -> str:
    return parser.synopsis().replace(parser.prog, f"{PROGRAM} {name}")


def _codes(codes: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    return ((str(code), text) for code, text in codes.items())


def _variables() -> Iterator[tuple[str, str]]:
    return ((f"`{name}`", text) for name, text in VARIABLES.items())


def _table(headings: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    return table(headings, *((first, in_cell(text)) for first, text in rows)).rstrip()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
