"""Generates ``flags.md``, ``fields.md`` and ``chart-values.md`` of ``docs/reference/``: ``make reference``"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.helm.value import Value
from cdk8s_spicedb.helm.values import chart_values
from cdk8s_spicedb.props.datastores import ENGINES, Datastore
from cdk8s_spicedb.props.fields import camel, fields_of
from cdk8s_spicedb.props.fieldtypes import Schema
from cdk8s_spicedb.props.flags import flags_of
from tools import examples
from tools.objects import PLAIN
from tools.pages import NOTE, REFERENCE, described, table, write
from tools.props import KINDS, Kind, flow, kinds_in, link, mappings_in_yaml, own_settings, owner_of, paths, title

_FLAGS = """\
# Flags of SpiceDB

Find the setting for a flag of SpiceDB or of `zed`. If a flag is not listed here, set it with `extraArgs` under
`server` or `migration`. [Props](props.md) lists all settings.

"""
_FIELDS = """\
# Fields of Kubernetes

Find the setting for a field of Kubernetes. If a field has no setting, change the object with `patches`.
[Props](props.md) lists all settings.

"""
_VALUES = """\
# Values of a written chart

You can set these values when you install a chart. Their defaults are the settings that the chart was written with. The
defaults below are those of a SpiceDB that sets only its datastore: PostgreSQL, by a URI from the Secret `spicedb`.

The values under `pods` are for all pods. You can also set them for one kind of pod, with the same types and meanings:
at the top level for the servers, under `migrations`, or under `migrations.cleanup`.

"""
_FIELD = re.compile(r"\(``([a-z][A-Za-z.]+)``\)")
_FOLDER = "props/"
_PODS = "pods."
_ENGINES = tuple(ENGINES.values())
_FEW = 10
"""A type with this many texts or more does not list them."""
_MANY = 5
"""A setting with this many places or more is not repeated for each."""


def pages() -> Mapping[Path, str]:
    """The pages by their path, Markdown."""
    return {
        REFERENCE / "flags.md": NOTE + _FLAGS + table(("Flag", "Setting"), *_rows(_flags())),
        REFERENCE / "fields.md": NOTE + _FIELDS + table(("Field", "Setting"), *_rows(_fields())),
        REFERENCE / "chart-values.md": NOTE + _VALUES + table(("Value", "Meaning"), *_values()),
    }


def _rows(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A row for each name, with the settings that set it."""
    of: dict[str, list[str]] = {}
    for name, setting in sorted(found):
        of.setdefault(name, []).append(setting)
    yield from ((f"`{name}`", "<br>".join(dict.fromkeys(all_))) for name, all_ in of.items())


# ---------------------------------------------------------------- flags and fields


def _flags() -> Iterator[tuple[str, str]]:
    """Each flag, with a setting that sets it."""
    for kind in KINDS:
        places = paths()[kind]
        # A class inside another is listed with that one, and a base class of the engines with each engine.
        if len(places) == 1 and "." not in places[0] and (kind in _ENGINES or not issubclass(kind, Datastore)):
            for prop, flags in flags_of(kind).items():
                names = prop.split(".")
                engine = f" ({title(owner_of(kind, names[0]))})" if kind in _ENGINES else ""
                setting = _linked(kind, places[0], names) + engine
                yield from ((f"--{flag.name}", setting) for flag in flags)


def _linked(kind: Kind, place: str, names: list[str]) -> str:
    """The path of a setting in a file, with a link to it."""
    for name in names[:-1]:
        kind = next(inner for inner, _ in kinds_in(fields_of(kind)[name]))
    path = ".".join([*([place] if place else []), *map(camel, names)])
    return f"[`{path}`]({link(owner_of(kind, names[-1]), names[-1], folder=_FOLDER)})"


def _fields() -> Iterator[tuple[str, str]]:
    """Each field, with a setting that sets it."""
    for kind in KINDS:
        for setting in own_settings(kind):
            for field in _FIELD.findall(field_texts(kind)[setting.name]):
                yield field, _everywhere(kind, setting.name)


def _everywhere(kind: Kind, name: str) -> str:
    """A setting of a class, with all paths that it has in a file."""
    found = [path.replace("[]", "") for path in paths()[kind]]
    if len(found) < _MANY:
        return "<br>".join(_linked(kind, path, [name]) for path in found)
    return f"{_linked(kind, '', [name])} under {', '.join(f'`{path}`' for path in found)}"


# ---------------------------------------------------------------- values of a chart


def values() -> list[Value]:
    """The values of the page. It leaves out those for one kind of pod that are the same as for all pods."""
    found = chart_values(PLAIN)
    shared = {each.path.removeprefix(_PODS): each for each in found if each.path.startswith(_PODS)}
    return [each for each in found if each.path.startswith(_PODS) or not _is_shared(each, shared)]


def _is_shared(value: Value, shared: Mapping[str, Value]) -> bool:
    path = re.sub(r"^migrations\.(cleanup\.)?", "", value.path)
    return path in shared and value.text.startswith(shared[path].text)


def example(value: Value) -> Any:
    """A value that can be set."""
    given = examples.of_value(value.path)
    if given is not None:
        return given
    if value.prop:
        *parts, name = value.prop.split(".")
        owner: Any = reduce(getattr, parts, PLAIN)
        return examples.example(type(owner), name)
    return value.default is not True


def shown(value: Value) -> str:
    """The example of a value as a line of values.yaml."""
    first, *inner = value.path.split(".")
    found = example(value)
    for name in reversed(inner):
        found = {name: found}
    return f"{first}: {flow(found)}"


def _values() -> Iterator[tuple[str, str]]:
    for value in values():
        default = flow(value.default) if value.default not in ("", [], {}) else ""
        text = mappings_in_yaml(value.text)
        yield described(f"`{value.path}`", _type(value.schema), text, default=default, example=shown(value))


def _type(schema: Schema) -> str:
    """The type of a value in words, from its JSON Schema."""
    options = [each for each in schema.get("anyOf", ()) if each != {"const": ""} and each.get("pattern") != r"\{\{"]
    if options:
        return " or ".join(dict.fromkeys(map(_type, options)))
    if texts := [f"`{text}`" for text in schema.get("enum", ()) if text]:
        return f"one of {', '.join(texts)}" if len(texts) < _FEW else "text"
    match schema.get("type", "object"):
        case "integer":
            return f"number from {schema['minimum']:,} to {schema['maximum']:,}"
        case "array":
            return f"list of {' or '.join(f'{each}s' for each in _type(schema['items']).split(' or '))}"
    words = {"string": "text", "boolean": "`true` or `false`", "object": "mapping"}
    kinds = schema.get("type", "object")
    return " or ".join(words[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


if __name__ == "__main__":
    write(pages())
