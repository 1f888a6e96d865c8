"""YAML as Kubernetes reads and writes it."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from types import NoneType
from typing import Any

import yaml

from ..errors import SpiceDBError

_MERGE, _TEXT, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("merge", "str", "int", "float"))
_MOST = 20_000
"""How many keys and values a file may have. An alias counts as all that it stands for: a few lines of aliases can stand
for more than fits into the memory. A long text counts once more for each 100 characters."""
_TOO_LARGE = f"too large: a file may have {_MOST:,} keys and values, and {_MOST // 10_000} MB of text"
_WRITE_LESS = "write less, or use fewer aliases (*), which count as all that they stand for"
_LONGEST_NUMBER = 50
"""In characters. Python needs minutes to read a number that is much longer."""


def load(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """The value of a YAML text, and the line of each of its parts by dotted path. ``name`` is its name in errors.

    As `yaml.safe_load`, but a duplicate key is an error. Raises `SpiceDBError` if the text is too large, or no YAML.
    """
    if len(text) > 100 * _MOST:
        raise SpiceDBError(f"{name}: {_TOO_LARGE}; {_WRITE_LESS}")
    lines: dict[str, int] = {}
    try:
        root = yaml.compose(text, _Loader)
        return {} if root is None else _value(root, (), lines), lines
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        fix = error.note or "correct the YAML there"
        raise SpiceDBError(f"{name}:{line} {error.problem or error.context}; {fix}") from None
    except yaml.YAMLError:
        raise SpiceDBError(f"{name}: it contains characters that YAML does not allow") from None
    except RecursionError:
        raise SpiceDBError(f"{name}: it is nested too deeply, or an alias in it contains itself") from None


# PyYAML's parser in C is faster, but it accepts tabs as indents, and deep nesting crashes Python.
class _Loader(yaml.SafeLoader):
    """Counts what it reads, and stops when it is too much."""

    _size = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        before, is_alias = self._size, self.check_event(yaml.AliasEvent)
        node: Any = super().compose_node(parent, index)
        # A node has no size yet if the alias is inside it.
        self._size += getattr(node, "size", 1) if is_alias else 1 + len(node.value) // 100
        if self._size > _MOST:
            raise _wrong(node, _TOO_LARGE, _WRITE_LESS)
        if not is_alias:
            node.size = self._size - before
        return node


def _value(node: yaml.Node, path: tuple[str, ...], lines: dict[str, int]) -> Any:
    lines.setdefault(".".join(path), node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, str(number)), lines) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node)
    found: dict[Any, Any] = {}
    merged, own = _merge(node), set()
    for number, (key_node, value_node) in enumerate(node.value):
        key = _scalar(key_node)
        if key in own:
            raise _wrong(key_node, f"the key {key!r} appears twice", "remove one of the two, or rename it")
        if number >= merged:
            own.add(key)
        inner = (*path, str(key))
        lines[".".join(inner)] = key_node.start_mark.line + 1
        found[key] = _value(value_node, inner, lines)
    return found


def _merge(node: Any) -> int:
    """Resolves the merge keys (``<<``) of a mapping, once. Returns the number of keys that come from them, first."""
    if not hasattr(node, "merged"):
        own = [key for key, _ in node.value if key.tag != _MERGE]
        loader: Any = yaml.SafeLoader("")
        loader.flatten_mapping(node)
        loader.dispose()
        node.merged = len(node.value) - len(own)
    return int(node.merged)


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise _wrong(node, "a key must be a text")
    if node.tag == _TEXT:
        return node.value
    if node.tag in (_INT, _FLOAT) and len(node.value) > _LONGEST_NUMBER:
        problem = f"this number has more than {_LONGEST_NUMBER} characters"
        raise _wrong(node, problem, "write a shorter one, or quote it if it is a text")
    loader: Any = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (AttributeError, LookupError, ValueError):
        # The value may be a secret.
        raise _wrong(node, f"this value is not of the type {node.tag.rpartition(':')[2]}") from None
    finally:
        loader.dispose()


def _wrong(node: yaml.Node, problem: str, fix: str | None = None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark, note=fix)


# ---------------------------------------------------------------- values to text


class _UnusualError(Exception):
    """The document has a part that only PyYAML writes as it should be."""


class _Dumper(yaml.SafeDumper):
    """Indents lists, as cdk8s does, and writes repeated values out instead of as aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Characters that end a line for some readers of YAML, and are ordinary for others."""
_NOT_A_TEXT = re.compile(
    r"""(
        [yYnN]
        | [-+]? _* 0 _* [xXoObB] [0-9a-fA-F_]+
        | [-+]? [0-9_]* \.? [0-9_]* ([eE] _* [-+]? [0-9_]+)?
        | [0-9]{4} - [0-9]{1,2} - [0-9]{1,2} ([Tt ].*)?
    )$""",
    re.VERBOSE,
)
"""What Kubernetes reads as a number, a boolean or a time. PyYAML alone quotes only what is one in YAML 1.1."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """A text of several lines as a block, for reviews."""
    style = '"' if _LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _text)
# PyYAML quotes a text that a reader would take for something else.
_Dumper.add_implicit_resolver("!kubernetes", _NOT_A_TEXT, [*"yYnN+-.0123456789"])


def dump(*documents: Any) -> str:
    """Documents as YAML text, with the keys in the given order."""
    try:
        return "---\n".join(map(_document, documents))
    except _UnusualError:
        return _dump(*documents)


def _document(document: Any) -> str:
    """A document exactly as `_dump` writes it, but much faster. Raises `_UnusualError` if it cannot."""
    if not document or not isinstance(document, (dict, list, tuple)):
        raise _UnusualError
    lines: list[str] = []
    _add(document, "", lines)
    return "".join(f"{line}\n" for line in lines)


def _add(value: Any, indent: str, lines: list[str]) -> None:
    """Adds the lines of a mapping or a list that is not empty, each with its indent."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not 0 < len(key) < 100 or "\n" in key:
                raise _UnusualError
            _add_entry(f"{indent}{_scalar_text(key)}:", item, indent, lines)
        return
    for item in value:
        if item and isinstance(item, (dict, list, tuple)):
            first = len(lines)
            _add(item, f"{indent}  ", lines)
            lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"
        else:
            _add_entry(f"{indent}-", item, indent, lines)


def _add_entry(head: str, item: Any, indent: str, lines: list[str]) -> None:
    """Adds the lines of a value after its key or dash."""
    if isinstance(item, (dict, list, tuple)):
        if item:
            lines.append(head)
            _add(item, f"{indent}  ", lines)
        else:
            lines.append(f"{head} {'{}' if isinstance(item, dict) else '[]'}")
        return
    if type(item) not in (str, int, float, bool, NoneType):
        raise _UnusualError
    first, *rest = _scalar_text(item).split("\n")
    if rest and (not first.startswith("|") or "+" in first):
        raise _UnusualError
    lines.append(f"{head} {first}")
    lines.extend(f"{indent}{line}" if line else "" for line in rest)


def _scalar_text(value: Any) -> str:
    """A scalar at the indent of a list's item. The cache cannot tell 0.0 from -0.0."""
    return _item(value) if isinstance(value, float) else _cached_item(value)


def _item(value: Any) -> str:
    return _dump([value])[2:-1]


_cached_item = lru_cache(maxsize=10_000, typed=True)(_item)


def _dump(*documents: Any) -> str:
    options: dict[str, Any] = {"default_flow_style": False, "sort_keys": False, "width": sys.maxsize}
    text: str = yaml.dump_all(documents, Dumper=_Dumper, allow_unicode=True, **options)
    return text
