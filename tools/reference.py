"""Generates ``docs/reference/props.md``, the reference of all props: ``make reference``"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

import cdk8s_spicedb
from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.props.fields import camel

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "props.md"
_OPENING = """\
# Props

This page lists everything that you can configure. Use the first name in Python, and the name in brackets in a YAML
file. If there is only one name, it is the same in both.

`make reference` generates this page from the docstrings.
"""
_FIRST = (
    "SpiceDBProps",
    "ServerProps",
    "MigrationProps",
    "CleanupProps",
    "SchemaProps",
    "PermissionTest",
    "BackupProps",
)


def page() -> str:
    """The page, Markdown."""
    return "\n".join([_OPENING, *(line for kind in classes() for line in _section(kind))])


def classes() -> list[Any]:
    """The classes of props, the most used ones first."""
    known = {name: getattr(cdk8s_spicedb, name) for name in cdk8s_spicedb.__all__}
    return [known[name] for name in _FIRST] + [
        kind for name, kind in sorted(known.items()) if name not in _FIRST and _is_props(kind)
    ]


def in_cell(text: str) -> str:
    """The text of a docstring, for a cell of a table."""
    return _markdown(" ".join(text.split())).replace("|", "\\|")


def _is_props(kind: Any) -> bool:
    is_said = getattr(kind, "__module__", "").startswith("cdk8s_spicedb.props")
    return is_said and inspect.isclass(kind) and attrs.has(kind)


def _section(kind: Any) -> Iterator[str]:
    texts = field_texts(kind)
    yield f"## {kind.__name__}\n"
    yield _markdown(inspect.getdoc(kind) or "") + "\n"
    if attrs.fields(kind):
        yield "| Prop | Meaning |\n| --- | --- |"
    for setting in attrs.fields(kind):
        in_file = camel(setting.name)
        shown = f"`{setting.name}`" + (f" (`{in_file}`)" if in_file != setting.name else "")
        yield f"| {shown} | {in_cell(texts[setting.name])} |"
    yield ""


def _markdown(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
