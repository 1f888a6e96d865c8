"""``synth --each``: writes one folder for each of several files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..delivery import Delivery
from ..errors import InvalidProps
from ..props import SpiceDBProps, require
from ..props.chart import ChartMetadata
from .many import read_each, some_of, warn
from .options import by_option, needed_secrets, read_metadata


def write_each(options: argparse.Namespace) -> str:
    """Writes a folder for each file of ``--each``: all of them, or none. Returns what was written."""
    from ..files.folder import write_files

    metadata = read_metadata(options)
    _check(options.chart_version, metadata)
    found = read_each(options, delivery=options.delivery)
    warn(found)
    files = {
        f"{name}/{path}": text
        for name, props in found.items()
        for path, text in _files(props, options.chart_version, metadata).items()
    }
    written = write_files(Path(options.output), files)
    changed = {path.split("/")[0] for path in (*written.changed, *written.removed)}
    return "\n".join(_summary(options.output, found, changed))


def _check(version: str, metadata: ChartMetadata) -> None:
    """Raises `InvalidProps` if Helm does not accept the version of the charts, or if their metadata is invalid."""
    from ..helm import require_chart

    try:
        require_chart("spicedb", version, metadata)
    except InvalidProps as error:
        raise by_option(error, "synth", {"version": "--chart-version"}) from None


def _files(props: SpiceDBProps, chart_version: str, metadata: ChartMetadata) -> Mapping[str, str]:
    """The files of the folder of one SpiceDB."""
    if props.delivery is Delivery.HELM:
        from ..helm import chart_files, require_helm

        require_helm(props)
        return chart_files(props, props.name, chart_version, metadata)
    from ..files.write import manifest_files

    require(props)
    return manifest_files(props)


def _summary(folder: str, found: Mapping[str, SpiceDBProps], changed: set[str]) -> Iterator[str]:
    """What was written, and what to do next."""
    count, removed = len(found), sorted(changed - found.keys())
    folders = f"{count} folder{'s' if count > 1 else ''}"
    what = f"{some_of(sorted(changed & found.keys()))} changed" if changed & found.keys() else "nothing changed"
    yield f"Wrote {folder}: {folders}; {what}."
    if removed:
        yield f"Removed {some_of(removed)}, which no file describes any longer."
    name, props = next(iter(found.items()))
    keys = needed_secrets(props)
    yield f"Create the Secrets of each SpiceDB before you install it. For {name}, with these keys: {keys}."
    command = props.delivery.next_command(f"{folder}/{name}", props.name, props.migration.helm_timeout)
    yield f"Next, for each folder, such as {name}: {command}"
