"""What a SpiceDB schema defines, as far as questions and comparisons need it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

_TOKENS = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<text> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<word> [\w/]+ )
    | (?P<sign> \S )
    """,
    re.DOTALL | re.VERBOSE,
)
_MEMBERS = ("relation", "permission")
EXPIRATION = "expiration"


@frozen
class SubjectType:
    """A type of subjects that a relation allows."""

    type: str
    relation: str = ""
    """The relation of a set of subjects, or ``*`` for all subjects of the type. Empty: single subjects."""
    traits: Sequence[str] = ()
    """What follows ``with``: the name of a caveat, and ``expiration``."""

    def __str__(self) -> str:
        of = f":{self.relation}" if self.relation == "*" else f"#{self.relation}" if self.relation else ""
        traits = f" with {' and '.join(self.traits)}" if self.traits else ""
        return f"{self.type}{of}{traits}"


@frozen
class Definition:
    """A type of objects."""

    relations: Mapping[str, Sequence[SubjectType]]
    permissions: Sequence[str]

    @property
    def names(self) -> Sequence[str]:
        """The names of its relations and permissions: all that can be asked about."""
        return [*self.relations, *self.permissions]


def definitions(schema: str) -> Mapping[str, Definition]:
    """The definitions of a SpiceDB schema, by name."""
    return dict(_definitions(_tokens(schema)))


def names(schema: Mapping[str, Definition]) -> set[str]:
    """All that can be asked about, as in ``document#read``."""
    return {f"{kind}#{name}" for kind, definition in schema.items() for name in definition.names}


def same(first: str, second: str) -> bool:
    """Whether two schemas say the same, maybe in another order. Releases and storage modes write it differently."""
    return sorted(_tokens(first)) == sorted(_tokens(second))


def _tokens(schema: str) -> Iterator[str]:
    return (found[0] for found in _TOKENS.finditer(schema) if found.lastgroup in ("word", "sign"))


def _definitions(tokens: Iterator[str]) -> Iterator[tuple[str, Definition]]:
    for token in tokens:
        if token == "{":  # Of a caveat.
            list(_content(tokens))
        elif token == "definition":
            name = next(tokens, "")
            if next(tokens, "") == "{":
                yield name, _definition(list(_content(tokens)))


def _content(tokens: Iterator[str]) -> Iterator[str]:
    """What follows up to the closing brace."""
    depth = 1
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token, 0)
        if not depth:
            return
        yield token


def _definition(tokens: Sequence[str]) -> Definition:
    starts = [number for number, token in enumerate(tokens) if token in _MEMBERS]
    members = [tokens[start:end] for start, end in pairwise([*starts, len(tokens)]) if end - start > 1]
    relations = {each[1]: _types(each[3:]) for each in members if each[0] == "relation"}
    return Definition(relations, [each[1] for each in members if each[0] == "permission"])


def _types(tokens: Sequence[str]) -> Sequence[SubjectType]:
    found = [part.split() for part in " ".join(tokens).split("|")]
    return [_type(words) for words in found if words]


def _type(words: Sequence[str]) -> SubjectType:
    before = words[: words.index("with")] if "with" in words else words
    traits = [word for word in words[len(before) + 1 :] if word != "and"]
    return SubjectType(before[0], before[2] if len(before) > 2 else "", traits)
