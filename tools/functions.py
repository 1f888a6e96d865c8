"""Generates ``docs/reference/functions.md``, the functions behind the commands: ``make reference``"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any

import attrs
from attrs import frozen
from markdown.extensions.toc import slugify

from cdk8s_spicedb import SpiceDBProps, live
from cdk8s_spicedb.files.schema import docstrings, field_texts
from cdk8s_spicedb.live import data, rehearsal

from . import output, props
from .pages import NOTE, REFERENCE, described, in_cell, paragraph, table

PAGE = REFERENCE / "functions.md"
MODULES = (live, data, rehearsal)
"""The modules with public names. Each has them in ``__all__``."""
_OPENING = (
    NOTE
    + """\
# Functions for a live SpiceDB

The commands that look at a SpiceDB in a cluster, or change it, are made of these functions. They need the extra `live`,
and those of `cdk8s_spicedb.live.data` and `cdk8s_spicedb.live.rehearsal` also the extra `data`:

    pip install 'cdk8s-spicedb[live,data]'

```python
from cdk8s_spicedb.live import Cluster, status


def print_status() -> None:
    found = status(Cluster.connect(namespace="authz"), "spicedb")
    print(found.version, "healthy" if found.healthy else found.problems)
```

`cluster` is always a [`Cluster`](#class-cluster), and `props` are the [`SpiceDBProps`](props/spicedb.md#spicedbprops)
of one SpiceDB. In a signature, `...` is a default that is a function or a clock. Without `confirm`, a function asks
nothing. Without `report` or `notify`, it tells nothing while it runs. The errors are subclasses of
`cdk8s_spicedb.SpiceDBError`.
"""
)
_FOR_COMMANDS = (live.Cluster, data.Server, live.Record)
"""Classes whose methods are for this package: requests, and steps of an upgrade. The sections have the others."""
_EVERYWHERE = ("Cluster", "SpiceDBProps")
"""Types of most functions, which the opening explains."""
_LONGEST = 100
"""Columns of a signature in one line."""


@frozen
class Section:
    """Functions that belong together."""

    title: str
    module: types.ModuleType
    names: tuple[str, ...]
    """The functions. A dotted name is a method."""
    see: str
    """The page about the subject, as a link."""


_COMMANDS = "[See and check what runs](../operate/commands.md)"
_UPGRADES = "[Upgrade a live release](../upgrade/live.md)"
_BACKUPS = "[Back up and restore](../operate/backup.md)"
SECTIONS = (
    Section("Connect to a cluster", live, ("Cluster.connect",), _COMMANDS),
    Section("See what runs", live, ("status", "statuses", "find_running", "observe"), _COMMANDS),
    Section("Wait for a roll-out", live, ("settled", "wait_until_settled", "wait_until_safe"), _UPGRADES),
    Section("Check a release", live, ("check", "probe", "diff"), _COMMANDS),
    Section(
        "Install and uninstall",
        live,
        ("plan_install", "install", "address_of", "plan_uninstall", "uninstall"),
        "[Uninstall](../install/uninstall.md)",
    ),
    Section(
        "Upgrade a SpiceDB", live, ("preview", "upgrade", "read_record", "write_next_step", "upgrade_fleet"), _UPGRADES
    ),
    Section("Roll back", live, ("plan_rollback", "roll_back"), "[Roll back](../upgrade/rollback.md)"),
    Section("Rehearse an upgrade", rehearsal, ("rehearse",), "[Rehearse an upgrade](../upgrade/rehearse.md)"),
    Section(
        "Connect to a SpiceDB", data, ("reaching", "Server.connect", "Server.schema", "Server.write_schema"), _BACKUPS
    ),
    Section("Back up and restore", data, ("back_up", "restore", "verify", "reading", "copy", "write_sample"), _BACKUPS),
    Section(
        "Compare answers",
        data,
        ("sample", "questions", "looked_up", "compare", "look_up", "different_lookups"),
        "[Compare answers](../operate/compare.md)",
    ),
    Section("Judge a new SpiceDB schema", data, ("change", "judge_schema"), _COMMANDS),
)


def page() -> str:
    """The page, Markdown."""
    parts = [
        _OPENING,
        _index(),
        *(part for section in SECTIONS for part in _section(section)),
        "## Options\n",
        *(part for kind in _options() for part in _class(kind)),
        "## Results\n",
        paragraph("[Output of the commands](output.md) lists the fields of these classes."),
        table(("Class", "Properties and methods"), *map(_result, _results())),
        "## Other classes\n",
        *(part for kind in _others() for part in _class(kind)),
        "## Enumerations\n",
        table(("Class", "Members"), *map(_enumeration, _subclasses(Enum))),
        "## Errors\n",
        table(("Error", "Meaning"), *map(_error, _subclasses(Exception))),
    ]
    return "\n".join(parts)


def exported() -> Mapping[str, Any]:
    """All public functions and classes, by their module and name."""
    return {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in module.__all__}


# ---------------------------------------------------------------- functions


def _index() -> str:
    rows = ((section.title, ", ".join(map(_listed, section.names))) for section in SECTIONS)
    return table(("To", "Functions"), *((f"[{title}](#{_anchor_of(title)})", names) for title, names in rows))


def _listed(name: str) -> str:
    return f"[`{name}`](#{_anchor_of(name)})"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield paragraph(f"From `{section.module.__name__}`. See also {section.see}.")
    for name in section.names:
        yield from _function(name, attrgetter(name)(section.module))


def _function(name: str, function: Callable[..., Any]) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"```py\n{_signature(name, function)}\n```\n"
    names = _names(function)
    yield from (paragraph(_text(text, names)) for text in (inspect.getdoc(function) or "").split("\n\n"))
    if linked := _types(function):
        yield paragraph(f"Types: {', '.join(linked)}.")


def _signature(name: str, function: Callable[..., Any]) -> str:
    """A function as Python calls it: in one line, or else with one parameter in each line."""
    parameters, end = _own(function), f") -> {_returned(function)}"
    shown = [_parameter(each, _names(function)) for each in parameters]
    named = [each.kind is each.KEYWORD_ONLY for each in parameters]
    if any(named):
        shown.insert(named.index(True), "*")
    line = f"{name}({', '.join(shown)}{end}"
    return line if len(line) <= _LONGEST else "\n".join([f"{name}(", *(f"    {each}," for each in shown), end])


def _own(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that a caller passes."""
    return [each for each in inspect.signature(function).parameters.values() if each.name != "self"]


def _parameter(parameter: inspect.Parameter, names: Mapping[str, Any]) -> str:
    end = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
    return f"{parameter.name}: {_spelled(parameter.annotation, names)}{end}"


def _returned(function: Callable[..., Any]) -> str:
    """The type of the result. Generators that are decorated are for ``with``."""
    result = _spelled(inspect.signature(function).return_annotation, _names(function))
    is_context = inspect.unwrap(function) is not function and inspect.isgeneratorfunction(inspect.unwrap(function))
    return re.sub("^Iterator", "AbstractContextManager", result) if is_context else result


def _spelled(annotation: str, names: Mapping[str, Any]) -> str:
    """A type without names that only this package has for it, such as ``Report``."""

    def whole(found: re.Match[str]) -> str:
        known = names.get(found[0])
        return (
            re.sub(r"\b(?:\w+\.)+(?=\w)", "", repr(known)).replace("'", "")
            if isinstance(known, types.GenericAlias)
            else found[0]
        )

    return re.sub(r"\b[A-Z]\w+\b", whole, annotation).replace("PathLike[str]", "PathLike")


def _value(value: Any) -> str:
    """A default as Python."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (str, int, float, tuple, frozenset, type(None))):
        return json.dumps(value) if isinstance(value, str) else repr(value)
    factory = getattr(value, "factory", None)
    return "..." if factory is None else "{}" if factory is dict else f"{factory.__name__}()"


def _types(function: Callable[..., Any]) -> list[str]:
    """The documented types of a signature as links, in their order."""
    words = dict.fromkeys(re.findall(r"\b[A-Z]\w+\b", _signature("", function)))
    documented = [word for word in words if word not in _EVERYWHERE and _target(word, _names(function))]
    return [_linked(word, _names(function)) for word in documented]


# ---------------------------------------------------------------- classes


@cache
def _classes() -> tuple[Any, ...]:
    """The public classes, each one once."""
    return tuple(dict.fromkeys(each for each in exported().values() if isinstance(each, type)))


def _subclasses(base: type) -> list[Any]:
    return [kind for kind in _classes() if issubclass(kind, base)]


def _options() -> list[Any]:
    return [kind for kind in _classes() if kind.__name__.endswith("Options")]


def _results() -> list[Any]:
    """The classes with fields that the page about the output has already."""
    return [kind for kind in _classes() if kind in output.classes()]


def _others() -> list[Any]:
    """The other classes with fields."""
    listed = [*_options(), *_results()]
    return [kind for kind in _classes() if attrs.has(kind) and kind not in listed]


def _class(kind: Any) -> Iterator[str]:
    yield f"### Class {kind.__name__}\n"
    names = _names(kind)
    yield from (paragraph(_text(text, names)) for text in (inspect.getdoc(kind) or "").split("\n\n"))
    rows = [*_fields(kind), *_members(kind)]
    if rows:
        yield table(("Field", "Meaning"), *rows)


def _fields(kind: Any) -> Iterator[tuple[str, str]]:
    for field in attrs.fields(kind):
        if not field.name.startswith("_"):
            has_default = field.default is not attrs.NOTHING
            text = _text(field_texts(kind).get(field.name, ""), _names(kind))
            type_ = _type(field.type, _names(kind)) + ("" if has_default else ", required")
            yield described(f"`{field.name}`", type_, text, default=_value(field.default) if has_default else "")


def _members(kind: Any) -> Iterator[tuple[str, str]]:
    """The properties and methods, each with its type and its meaning."""
    for shown, function in _callables(kind):
        text = (inspect.getdoc(function) or "").split("\n\n")[0]
        yield described(f"`{shown}`", _type(_returned(function), _names(kind)), _text(text, _names(kind)))


def _callables(kind: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The properties and methods, each with what calls it."""
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property) and member.fget:
            yield name, member.fget
        elif isinstance(member, (classmethod, types.FunctionType)) and kind not in _FOR_COMMANDS:
            function = getattr(kind, name)
            names = (f"{'*' * (each.kind is each.VAR_POSITIONAL)}{each.name}" for each in _own(function))
            yield f"{name}({', '.join(names)})", function


def _result(kind: Any) -> tuple[str, str]:
    members = [f"{head.partition('<br>')[0]}: {text}" for head, text in _members(kind)]
    return f"[`{kind.__name__}`](output.md#{kind.__name__.lower()})", "<br>".join(members)


def _enumeration(kind: type[Enum]) -> tuple[str, str]:
    texts = dict(docstrings(kind))
    members = [f"`{each.name}`" + (f": {texts[each.name]}" if each.name in texts else "") for each in kind]
    return _anchored(kind), in_cell("<br>".join([inspect.getdoc(kind) or "", *members]))


def _error(kind: type[Exception]) -> tuple[str, str]:
    return _anchored(kind), in_cell(_text(inspect.getdoc(kind) or "", _names(kind)))


def _anchored(kind: type) -> str:
    return f'<a id="{_anchor(kind)}"></a>`{kind.__name__}`'


# ---------------------------------------------------------------- text and links


def _names(of: Any) -> Mapping[str, Any]:
    """The names in the module of a function or a class."""
    return vars(sys.modules[inspect.unwrap(of).__module__])


def _text(docstring: str, names: Mapping[str, Any]) -> str:
    """A paragraph of a docstring in Markdown: names of functions and classes are links."""
    text = re.sub(r"(?<!`)`(\w+(?:\.\w+)?)`(?!`)", lambda found: _linked(found[1], names), " ".join(docstring.split()))
    return text.replace("``", "`")


def _type(annotation: str, names: Mapping[str, Any]) -> str:
    """A type for a cell of a table, in which code cannot have a vertical line."""
    options = re.split(r" \| (?![^\[]*\])", _spelled(annotation, names))
    return " or ".join(_linked(each, names).replace(" | ", " or ") for each in options)


def _linked(name: str, names: Mapping[str, Any]) -> str:
    """A name as code, and as a link if it is documented."""
    target = _target(name.partition(".")[0], names)
    return f"[`{name}`]({target})" if target else f"`{name}`"


def _target(name: str, names: Mapping[str, Any]) -> str:
    """Where a name is documented. Empty if it is not."""
    known = names.get(name) or _public().get(name)
    if known is SpiceDBProps:
        return props.link(SpiceDBProps, folder="props/")
    if known in output.classes():
        return f"output.md#{name.lower()}"
    if isinstance(known, type):
        return f"#{_anchor(known)}" if known in _classes() else ""
    return f"#{_anchor_of(name)}" if inspect.isfunction(known) and known in exported().values() else ""


@cache
def _public() -> Mapping[str, Any]:
    """What is documented, by its name, for modules that do not import it, or only for type checkers."""
    modules = {name: getattr(module, name) for module in reversed(MODULES) for name in module.__all__}
    return {**{kind.__name__: kind for kind in output.classes()}, **modules}


def _anchor_of(title: str) -> str:
    """The anchor of a heading."""
    return str(slugify(title, "-"))


def _anchor(kind: type) -> str:
    return f"class-{kind.__name__.lower()}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
