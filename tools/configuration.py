"""Generates ``docs/reference/configuration.md``, the table of flags, fields and values: ``make reference``"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.helm.values import chart_values
from cdk8s_spicedb.props.fields import settings
from cdk8s_spicedb.props.flags import flags_of
from tools.objects import PLAIN
from tools.reference import classes, in_cell

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
_OPENING = """\
# Flags, fields and values

Find the prop that sets a flag of SpiceDB or a field of Kubernetes, and the values that you can set in a written
chart. [Props](props.md) has the meaning and the default of each prop.

If a flag is not listed here, set it with `ServerProps.extra_args`. If a field of Kubernetes has no prop, use `patches`.

`make reference` generates this page from the code.
"""
_CHART = """\
## Values of a written chart

You can set these values when you install a chart. Their defaults are the props that the chart was written with. The
defaults below are those of a SpiceDB that sets only its datastore: PostgreSQL, by a URI from the Secret `spicedb`.

| Value | Default | Meaning |
| --- | --- | --- |
"""
_FIELD = re.compile(r"\(``([a-z][A-Za-z.]+)``\)")


def page() -> str:
    """The page, Markdown."""
    flags, fields = _table("Flag of SpiceDB or zed", list(_flags())), _table("Field of Kubernetes", list(_fields()))
    return "\n".join([_OPENING, flags, fields, _CHART]) + "\n".join(_values()) + "\n"


def _flags() -> Iterator[tuple[str, str, str]]:
    """Each flag, with the prop that sets it and the class of that prop."""
    for kind in classes():
        for path, flags in flags_of(kind).items():
            # A class that others hold has only the rest of its flags.
            yield from ((f"--{flag.name}", path, kind.__name__) for flag in flags if "…" not in flag.name)


def _fields() -> Iterator[tuple[str, str, str]]:
    """Each field of Kubernetes, with the prop that sets it and the class of that prop."""
    for kind in classes():
        for setting in settings(kind):
            for field in _FIELD.findall(field_texts(kind)[setting.name]):
                yield field, setting.name, kind.__name__


def _table(what: str, found: list[tuple[str, str, str]]) -> str:
    owners: dict[tuple[str, str], list[str]] = {}
    for name, prop, owner in sorted(found):
        of = owners.setdefault((name, prop), [])
        of.extend([owner] if owner not in of else [])
    rows = [f"| `{name}` | `{prop}` | {', '.join(of)} |" for (name, prop), of in owners.items()]
    return "\n".join(
        [f"## By {what.split()[0].lower()}\n", f"| {what} | Prop | Class |", "| --- | --- | --- |", *rows, ""]
    )


def _values() -> Iterator[str]:
    for value in chart_values(PLAIN):
        default = f"`{value.default}`" if value.default not in ("", [], {}) else ""
        yield f"| `{value.path}` | {in_cell(default)} | {in_cell(value.text)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
