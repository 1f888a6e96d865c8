"""Generates ``docs/reference/props.md`` and the pages of ``docs/reference/props/``, all settings: ``make reference``"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.props.datastores import ENGINES, Datastore
from cdk8s_spicedb.props.fields import camel, fields_of
from tools import examples
from tools.pages import NOTE, REFERENCE, described, paragraph, table, write
from tools.props import (
    GROUPS,
    Field,
    Group,
    Kind,
    anchor,
    default_of,
    in_words_of_files,
    inherited_from,
    link,
    only_in_python,
    own_settings,
    places,
    title,
    type_in_words,
)

INDEX = REFERENCE / "props.md"
_FOLDER = "props"
_INDEX = """\
# Props

This page lists everything that you can set in `spicedb.yaml` or in Python. Each name links to its type, its default,
its meaning and an example.

In Python, settings are called props. Their names have underscores instead of capital letters: `logLevel` in a file is
`log_level` in Python. A mapping in a file is an object in Python: its type names the class, such as `ServerProps`. A
duration such as `90s` is `timedelta(seconds=90)`.

"""
_HEAD = ("Setting", "Meaning")


def pages() -> Mapping[Path, str]:
    """The pages by their path, Markdown."""
    found = {INDEX.with_suffix("") / f"{group.page}.md": _page(group) for group in GROUPS}
    return {INDEX: NOTE + _INDEX + "\n".join(map(_listed, GROUPS)), **found}


# ---------------------------------------------------------------- the index


def _listed(group: Group) -> str:
    """A group in the index."""
    rows = [(_address(kind), ", ".join(_names(kind))) for kind in group.kinds]
    heading = f"## [{group.title}]({_FOLDER}/{group.page}.md)\n\n"
    return heading + table(("Class", "Settings"), *rows)


def _address(kind: Kind) -> str:
    """A class in the index, and its place in a file if it has one only. Its anchor is the one on its page."""
    where, address = places(kind), link(kind, folder=f"{_FOLDER}/")
    place = f" ({where})" if where and "," not in where else ""
    return f'<a id="{anchor(kind)}"></a>[{title(kind)}]({address}){place}'


def _names(kind: Kind) -> Iterator[str]:
    """The settings of a class as links."""
    folder = f"{_FOLDER}/"
    if kind is Datastore:
        yield f"[`engine`]({link(kind, 'engine', folder=folder)})"
    for field in own_settings(kind):
        yield f"[`{camel(field.name)}`]({link(kind, field.name, folder=folder)})"
    yield from (f"those of [{title(base)}]({link(base, folder=folder)})" for base in inherited_from(kind))


# ---------------------------------------------------------------- the page of a group


def _page(group: Group) -> str:
    sections = "\n".join(map(_section, group.kinds))
    opening = paragraph(f"{group.text} [All props](../props.md) lists the names of all settings.")
    return f"{NOTE}# {group.title}\n\n{opening}\n{sections}"


def _section(kind: Kind) -> str:
    """A class: where it belongs, what it is, and its settings."""
    where = places(kind)
    parts = [
        f"## {title(kind)}\n",
        *([paragraph(f"In a file: {where}.")] if where else []),
        *map(paragraph, in_words_of_files(inspect.getdoc(kind) or "").split("\n\n")),
        *([paragraph(text)] if (text := _inherited(kind)) else []),
    ]
    rows = [
        *([_engine()] if kind is Datastore else []),
        *(_row(kind, field) for field in own_settings(kind)),
        *(described(f"`{each.name}`", "only in Python", _text(kind, each.name)) for each in only_in_python(kind)),
    ]
    return "\n".join([*parts, *([table(_HEAD, *rows)] if rows else [])])


def _inherited(kind: Kind) -> str:
    """A sentence with the classes from which a class has more settings."""
    found = [f"[{title(owner)}]({link(owner)})" for owner in inherited_from(kind)]
    return f"It also has the settings of {' and of '.join(found)}." if found else ""


def _row(kind: Kind, field: Field) -> tuple[str, str]:
    required = ", required" if field.default is attrs.NOTHING else ""
    return described(
        f'<a id="{anchor(kind, field.name)}"></a>`{camel(field.name)}`',
        type_in_words(fields_of(kind)[field.name]) + required,
        _text(kind, field.name),
        default=default_of(field),
        example=examples.in_yaml(kind, field.name),
    )


def _text(kind: Kind, name: str) -> str:
    """What a setting means. The type already says that it is required."""
    return in_words_of_files(field_texts(kind)[name]).removesuffix(" Required.")


def _engine() -> tuple[str, str]:
    engines = ", ".join(f"`{name}`" for name in ENGINES)
    kinds = ", ".join(f"[{kind.__name__}]({link(kind)})" for kind in ENGINES.values())
    text = f"Engine of the database, which has its own settings: {kinds}. In Python, this is the class."
    name = f'<a id="{anchor(Datastore, "engine")}"></a>`engine`'
    return described(name, f"one of {engines}, required", text, example="engine: postgres")


if __name__ == "__main__":
    write(pages())
