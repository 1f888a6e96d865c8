"""Questions of files that people keep beside a schema, as zed reads them."""

from __future__ import annotations

import re

from ...errors import SpiceDBError
from ...files.yaml import load
from .questions import Question

_LISTS = ("assertTrue", "assertFalse", "assertCaveated")
_QUESTION = re.compile(
    r"(?P<resource>[^#@\s]+)#(?P<permission>[^#@\s]+)@(?P<subject>\S+?)(?: with (?P<context>\{.*\}))?"
)


def asserted(text: str, name: str) -> list[Question]:
    """The questions of the assertions in a validation file of zed. Raises `SpiceDBError` if one cannot be read."""
    data, _ = load(text, name)
    assertions = data.get("assertions") if isinstance(data, dict) else None
    if not isinstance(assertions, dict):
        raise SpiceDBError(f"{name} has no assertions; write them as zed does: assertions: {{assertTrue: [...]}}")
    return [_question(each, name) for kind in _LISTS for each in assertions.get(kind) or ()]


def _question(text: object, name: str) -> Question:
    found = _QUESTION.fullmatch(str(text).strip())
    if found is None:
        raise SpiceDBError(f"{name}: {text!r} is no assertion; write it as document:readme#read@user:anne")
    return Question(found["resource"], found["permission"], found["subject"], found["context"] or "")
