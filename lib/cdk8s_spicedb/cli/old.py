"""Spellings of earlier versions, which still work with a warning. The parser knows only the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .output import say_error

Words = list[str]
_COMMANDS = {"schema": "json-schema"}
_OPTIONS = {
    "init": {"-o": "", "--output": ""},
    "synth": {"-o": "--folder", "--output": "--folder"},
    "learn": {"-o": "--write", "--output": "--write"},
    "upgrade": {"--no-pull": "--no-pull-images"},
}
"""The new name of an option, by the command and the old name. Empty: its value stands alone."""
_FORMATS = ("text", "json", "yaml", "markdown")
_DURATIONS = {"upgrade": ("--observe",), "status": ("--timeout",)}


def modern(words: Sequence[str]) -> Words:
    """A command line in the new spellings. Prints a warning for each old one."""
    found = list(words)
    if not found:
        return found
    found[0] = _replaced(found[0], _COMMANDS.get(found[0]))
    rules: tuple[Callable[[str, Words], Iterator[str]], ...] = (_renamed, _tables, _waits, _seconds)
    for rule in rules:
        found = [found[0], *rule(found[0], found[1:])]
    return found


def _replaced(old: str, new: str | None) -> str:
    if new is None:
        return old
    say_error(f"warning: `{old}` is an old spelling; write `{new}`")
    return new


def _split(words: Sequence[str]) -> Iterator[tuple[str, str | None, str]]:
    """Splits each word: the name of the option, the value after = or after the letter, and the whole word."""
    for word in words:
        name, equals, value = word.partition("=")
        if word[:1] == "-" and word[1:2] not in ("", "-") and len(word) > 2:
            name, equals, value = word[:2], "=", word[2:]
        yield name, value if equals else None, word


def _renamed(command: str, words: Words) -> Iterator[str]:
    names, rest = _OPTIONS.get(command, {}), _split(words)
    for name, value, word in rest:
        new = names.get(name)
        if new is None:
            yield word
            continue
        if name in ("-o", "--output"):
            value = next((each for _, _, each in rest), "") if value is None else value
            if value in _FORMATS or not value:
                # It would be taken for the name of a file.
                yield f"--output={value}"
                continue
        parts = [part for part in (new, value) if part]
        _replaced(" ".join([name, *([value] if value else [])]), " ".join(parts))
        yield from parts


def _tables(command: str, words: Words) -> Iterator[str]:
    """``--output table`` is ``--output text``."""
    rest = _split(words)
    for name, value, word in rest:
        if command not in ("plan", "releases") or name != "--output":
            yield word
            continue
        value = next((each for _, _, each in rest), "") if value is None else value
        yield from (name, _replaced(value, "text") if value == "table" else value)


def _waits(command: str, words: Words) -> Iterator[str]:
    """``--wait SECONDS`` is ``--wait --timeout DURATION``."""
    for number, (name, value, word) in enumerate(_split(words)):
        before = words[number - 1] if number else ""
        if command == "status" and name == "--wait" and value is not None:
            new = f"--timeout={value}s" if value.isdecimal() else f"--timeout={value}"
            _replaced(word, f"--wait {new}")
            yield from ("--wait", new)
        elif command == "status" and before == "--wait" and word.isdecimal():
            _replaced(f"--wait {word}", f"--wait --timeout {word}s")
            yield f"--timeout={word}s"
        else:
            yield word


def _seconds(command: str, words: Words) -> Iterator[str]:
    """Adds the unit to a plain number of seconds."""
    names = _DURATIONS.get(command, ())
    for number, (name, value, word) in enumerate(_split(words)):
        before = words[number - 1] if number else ""
        if name in names and (value or "").isdecimal() and value != "0":
            yield _replaced(word, f"{word}s")
        elif before in names and word.isdecimal() and word != "0":
            _replaced(f"{before} {word}", f"{before} {word}s")
            yield f"{word}s"
        else:
            yield word
