"""What the commands print for people. No other module writes to standard output or standard error.

Part of it is the text of others: whoever writes a log, an event or an annotation. It must not control a terminal.
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import attrs

from ..errors import SpiceDBError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ANSWER_SECONDS = 15 * 60
"""How long a question waits for its answer. The lock of the release is held meanwhile."""
GOOD, BAD, BUSY, FAINT = "green", "bold red", "yellow", "dim"
"""Styles of texts."""
DRY_RUN = "This was a dry run. Nothing was changed."
"""The last line of a dry run."""
_UNUSUAL = re.compile(r"[^\n\t -~]")
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that are printable to Python, and that nobody sees."""


def visible(text: str) -> str:
    """A text with escapes such as ``\\x1b`` for control characters and for others that nobody sees."""
    return _UNUSUAL.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    usual = found[0].isprintable() and not _BLANK.match(found[0])
    return found[0] if usual else found[0].encode("unicode_escape").decode()


DATA = ("json", "yaml")
"""The formats for programs."""


def as_data(value: Any, form: str) -> str:
    """What `as_json` returns, or the same data as YAML."""
    text = as_json(value)
    if form == "json":
        return text
    import yaml  # Only this format needs it.

    return str(yaml.safe_dump(json.loads(text), sort_keys=False, width=1000)).rstrip()


def as_json(value: Any) -> str:
    """Attrs objects as JSON, with the names of their fields. All characters in it are printable."""
    return json.dumps(value, default=_plain, indent=2).replace("\x7f", "\\u007f")


def _plain(value: Any) -> Any:
    return attrs.asdict(value, recurse=False) if attrs.has(type(value)) else value.value


# ---------------------------------------------------------------- plain text


def _write(text: str, file: TextIO | None) -> bool:
    """Writes to standard output or standard error. What their encoding lacks is escaped.

    Returns False if nobody reads it: the reader has gone, such as ``head``, or the shell has closed it. Raises
    `SpiceDBError` if the text cannot be written for another reason.
    """
    if file is None:
        return False
    try:
        encoding = file.encoding or "utf-8"
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
        file.flush()
        return True
    except (OSError, ValueError) as error:
        # Python would report the error once more when it exits.
        with suppress(AttributeError, OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        if isinstance(error, BrokenPipeError):
            return False
        raise SpiceDBError(f"cannot write the output: {getattr(error, 'strerror', None) or error}") from None


def say(text: str) -> bool:
    """Prints a text, as `_write` does."""
    return _write(f"{visible(text)}\n", sys.stdout)


def say_after(text: str) -> None:
    """Prints a text after something was changed. If it cannot be written, the exit code still tells the outcome."""
    try:
        say(text)
    except SpiceDBError as error:
        say_error(f"error: {error}")


def say_error(text: str) -> None:
    """Prints a text to standard error, if anybody listens there."""
    with suppress(SpiceDBError):
        _write(f"{visible(text)}\n", sys.stderr)


def ask(question: str, *, seen: bool = True) -> bool:
    """Asks a question on the terminal. Ctrl-D means no, and so does no answer in time. ``seen`` says whether the lines
    before it could be written.

    Raises `SpiceDBError` if there is no terminal, or if nobody sees the question.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise SpiceDBError("there is no terminal to ask on: add --yes to go on without a question")
    if not seen or not _write(f"{question} [y/N] ", sys.stdout):
        raise SpiceDBError("the output cannot be written: add --yes to go on without a question")
    # A terminal is readable when a whole line was typed.
    if not select.select([sys.stdin], [], [], ANSWER_SECONDS)[0]:
        say("")
        say_error(f"error: there was no answer within {ANSWER_SECONDS // 60} minutes. Nothing was changed.")
        return False
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        say("")
        return False


# ---------------------------------------------------------------- text with styles, which needs the extra `live`


class Stream:
    """Standard output, for rich. With ``lasting``, an error ends only the output, and not what is at work."""

    def __init__(self, *, lasting: bool = False) -> None:
        self._file, self._lasting = sys.stdout, lasting
        self.works = self._file is not None
        """Whether somebody may still read."""
        self.encoding = getattr(self._file, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.works and self._file.isatty()

    def write(self, text: str) -> None:
        """Writes as `_write` does."""
        if not self.works and self._lasting:
            return
        try:
            self.works = _write(text, self._file)
        except SpiceDBError as error:
            self.works = False
            if not self._lasting:
                raise
            say_error(f"error: {error}")

    def flush(self) -> None:
        """Does nothing, because `_write` does it."""


def console(stream: Stream | None = None) -> Console:
    """Writes with colors on a terminal, and plain lines elsewhere. It interprets nothing in a text."""
    from rich.console import Console

    file: Any = stream or Stream()
    return Console(file=file, markup=False, emoji=False, highlight=False, width=None if file.isatty() else 1000)


def styled(*parts: str | tuple[str, str] | Text, style: str = "") -> Text:
    """One line, of parts with or without a style. A part may also be a line that this has made."""
    from rich.text import Text

    def shown(part: str | tuple[str, str] | Text) -> tuple[str, str] | Text:
        if isinstance(part, Text):
            return part
        text, own = (part, "") if isinstance(part, str) else part
        return visible(text).replace("\n", " "), own

    return Text.assemble(*map(shown, parts), style=style)


def tell(options: Any, data: Any, lines: Callable[[], Iterable[Text]], code: int = 0) -> int:
    """Prints what was found, in the format of ``--output``, and returns the exit code. ``lines`` are for people."""
    if options.output in DATA:
        say(as_data(data, options.output))
    else:
        show(lines())
    return code


def show(lines: Iterable[Text]) -> None:
    """Prints lines, which the terminal itself wraps."""
    output = console()
    for line in lines:
        output.print(line, soft_wrap=True)
