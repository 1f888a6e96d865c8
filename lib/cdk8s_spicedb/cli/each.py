"""``synth --each``: writes one folder for each of several files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from ..errors import InvalidProps, some_of
from ..props import SpiceDBProps
from ..props.chart import ChartMetadata
from .many import SHOWN, read_each, warn
from .options import by_option, needed_secrets, read_metadata


def write_each(options: argparse.Namespace) -> str:
    """Writes a folder for each file of ``--each``: all of them, or none. Returns what was written."""
    from ..helm import write_all

    metadata = read_metadata(options)
    _check(options.chart_version, metadata)
    found = read_each(options, delivery=options.delivery)
    warn(found)
    changed = write_all(options.output, found, version=options.chart_version, metadata=metadata)
    return "\n".join(_summary(options.output, found, changed))


def _check(version: str, metadata: ChartMetadata) -> None:
    """Raises `InvalidProps` if Helm does not accept the version of the charts, or if their metadata is invalid."""
    from ..helm import require_chart

    try:
        require_chart("spicedb", version, metadata)
    except InvalidProps as error:
        raise by_option(error, "synth", {"version": "--chart-version"}) from None


def _summary(folder: str, found: Mapping[str, SpiceDBProps], changed: frozenset[str]) -> Iterator[str]:
    """What was written, and what to do next."""
    count, removed = len(found), sorted(changed - found.keys())
    folders = f"{count} folder{'s' if count > 1 else ''}"
    what = f"{some_of(sorted(changed & found.keys()), SHOWN)} changed" if changed & found.keys() else "nothing changed"
    yield f"Wrote {folder}: {folders}; {what}."
    if removed:
        yield f"Removed {some_of(removed, SHOWN)}, which no file describes any longer."
    name, props = next(iter(found.items()))
    keys = needed_secrets(props)
    yield f"Create the Secrets of each SpiceDB before you install it. For {name}, with these keys: {keys}."
    command = props.delivery.next_command(f"{folder}/{name}", props.name, props.migration.helm_timeout)
    yield f"Next, for each folder, such as {name}: {command}"
