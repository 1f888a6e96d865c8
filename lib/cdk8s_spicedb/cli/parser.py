"""The parser of the command line: argparse, with help, hints and errors as people expect them from kubectl."""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..text import link
from .exits import USAGE, codes_of
from .output import say, say_error

PROGRAM, PLUGIN = "cdk8s-spicedb", "kubectl-spicedb"
_MARGIN, _WIDEST = 2, 100
_TITLES = {"positional arguments": "Arguments"}


def program() -> str:
    """The name by which the user has started the program."""
    return "kubectl spicedb" if Path(sys.argv[0]).stem == PLUGIN else PROGRAM


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most similar to a wrong one. None: no word is similar."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.6)), None)


class Formatter(argparse.HelpFormatter):
    """Writes ``-f, --file FILE``, as all versions of Python from 3.13 do."""

    def __init__(self, prog: str, **options: Any) -> None:
        width = min(shutil.get_terminal_size().columns - _MARGIN, _WIDEST)
        super().__init__(prog, max_help_position=28, width=max(width, 40))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return invocation(action)


def invocation(action: argparse.Action) -> str:
    """An option as one writes it, or the name of a positional argument."""
    if not action.option_strings:
        return str(action.metavar)
    return f"{', '.join(action.option_strings)} {_value(action)}".strip()


def _value(action: argparse.Action) -> str:
    """The placeholder for the value of an option."""
    if action.nargs == 0:
        return ""
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "+": f"{name} [{name} ...]"}.get(str(action.nargs), name)


class Parser(argparse.ArgumentParser):
    """The parser of the program, or of one command.

    ``examples`` are command lines without the name of the program, each with what it does. ``codes`` are the exit codes
    that the command has in addition to those of all commands. ``page`` is its page in docs/, without the ending.
    """

    def __init__(
        self,
        *,
        group: str = "",
        examples: Mapping[str, str] | None = None,
        codes: Mapping[int, str] | None = None,
        page: str = "",
        summary: str = "",
        **options: Any,
    ) -> None:
        options |= {"allow_abbrev": False, "formatter_class": Formatter, "add_help": False}
        super().__init__(**options)
        self.color = False  # Python 3.14 colors the help. Earlier versions do not.
        self.group, self.examples, self.page, self.summary = group, dict(examples or {}), page, summary
        self.codes = codes_of(codes or {})
        self.add_argument("-h", "--help", action="help", help="show this help")

    @property
    def commands(self) -> dict[str, Parser]:
        """The parsers of the commands, by their names. Empty if this is the parser of a command."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def command(self, name: str) -> Parser:
        """The parser of a command. Ends the program if there is no such command."""
        if name not in self.commands:
            self._unknown_command(name)
        return self.commands[name]

    def require_command(self, word: str) -> None:
        """Ends the program if the first word is neither a command nor an option of the program itself."""
        own = [name for action in self._actions for name in action.option_strings]
        if word.startswith("-") and word not in own:
            found = nearest(word, own)
            hint = f"did you mean {found}?" if found else f"write the options after the command: {self.synopsis()}"
            self.error(f"{word} is not an option of {self.prog} itself; {hint}")

    def _unknown_command(self, name: str) -> NoReturn:
        found = nearest(name, self.commands)
        self.error(
            f"unknown command {name!r}; {f'did you mean {found}?' if found else f'`{self.prog} --help` lists all'}"
        )

    def options(self) -> Iterator[tuple[str, list[argparse.Action]]]:
        """The title of each argument group, with its visible arguments. ``--help`` comes last."""
        groups = [group for group in self._action_groups if group.title != "options"]
        general = [group for group in self._action_groups if group.title == "options"]
        for group in [*groups[:1], *general, *groups[1:]]:
            shown = [action for action in group._group_actions if action.help is not argparse.SUPPRESS]
            shown = [action for action in shown if not isinstance(action, argparse._SubParsersAction)]
            shown.sort(key=lambda action: isinstance(action, argparse._HelpAction))
            if shown:
                title = str(group.title)
                yield _TITLES.get(title, title[0].upper() + title[1:]), shown

    # ------------------------------------------------------------ help

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip())

    def format_usage(self) -> str:
        return f"usage: {self.synopsis()}\n"

    def synopsis(self) -> str:
        """One line with what is required, and ``[options]`` for all the rest."""
        if self.commands:
            return f"{self.prog} COMMAND [options]"
        parts = [self.prog]
        for action in self._actions:
            if action.option_strings and action.required:
                parts.append(invocation(action))
            elif not action.option_strings:
                parts.append(_value(action))
        return " ".join([*parts, "[options]"])

    def format_help(self) -> str:
        """The help: what the command does, examples, options in groups, exit codes, and where to read more."""
        return "\n\n".join("\n".join(part) for part in self._parts()) + "\n"

    def _parts(self) -> Iterator[Sequence[str]]:
        width: int = Formatter(self.prog)._width
        yield textwrap.wrap(str(self.description), width, break_on_hyphens=False)
        yield [self.format_usage().strip()]
        if self.examples:
            yield ["Examples:", *self._examples()]
        yield from self._commands(width)
        for title, actions in self.options():
            formatter = Formatter(self.prog)
            formatter.start_section(title)
            formatter.add_arguments(actions)
            formatter.end_section()
            yield formatter.format_help().strip("\n").splitlines()
        if not self.commands:
            rows = ((str(code), text) for code, text in self.codes.items())
            yield ["Exit codes:", *_listed(rows, width, 5)]
        yield [f"Documentation: {link(self.page)}"]

    def _examples(self) -> Iterator[str]:
        for number, (command, text) in enumerate(self.examples.items()):
            yield from [""] if number else []
            yield from [f"  # {text}", f"  {program()} {command}"]

    def _commands(self, width: int) -> Iterator[Sequence[str]]:
        """The commands in their groups, with a line each."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, parser in self.commands.items():
            groups.setdefault(parser.group, []).append((name, parser.summary))
        for group, rows in groups.items():
            yield [f"{group}:", *_listed(rows, width, 13)]

    # ------------------------------------------------------------ errors

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options of a command. The command reports arguments that it does not know."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            own = self.commands.get(getattr(options, "command", ""), self)
            own.error(f"unrecognized arguments: {' '.join(unknown)}{own._hint(unknown)}")
        return options

    def _hint(self, unknown: Sequence[str]) -> str:
        known = [name for action in self._actions for name in action.option_strings]
        for word in unknown:
            name = word.partition("=")[0]
            long = {each[2:]: each for each in known if each.startswith("--")}
            found = nearest(name[2:], long) if word.startswith("--") else None
            if found:
                return f"; did you mean {long[found]}?"
        return ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self._unknown_command(str(value))
        known = [str(each) for each in action.choices]
        found = nearest(str(value), known)
        hint = f"did you mean {found}?" if found else f"choose from {', '.join(known)}"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}; {hint}")

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with the usage, and ends the program."""
        say_error(f"{self.format_usage()}error: {message}")
        sys.exit(USAGE)


def _listed(rows: Iterable[tuple[str, str]], width: int, column: int) -> Iterator[str]:
    """Lines with a word and a text."""
    for word, text in rows:
        yield from textwrap.wrap(
            text,
            width,
            initial_indent=f"  {word:<{column}}",
            subsequent_indent=" " * (column + 2),
            break_on_hyphens=False,
        )
