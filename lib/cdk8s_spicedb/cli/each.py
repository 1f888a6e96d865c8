"""``synth --each``: writes one folder for each of several files."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..delivery import Delivery
from ..errors import InvalidProps, SpiceDBError
from ..props import SpiceDBProps, require
from ..props.chart import ChartMetadata
from ..props.rules.warnings import all_warnings
from .options import by_option, needed_secrets, read_document, read_documents, read_metadata, releases

_SHOWN = 5
"""How many files with problems, or names of folders, the command prints."""


def write_each(options: argparse.Namespace) -> str:
    """Writes a folder for each file of ``--each``: all of them, or none. Returns what was written."""
    from ..files.folder import write_files

    metadata = read_metadata(options)
    _check(options.chart_version, metadata)
    found = _read(options)
    _warn(found)
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


def _read(options: argparse.Namespace) -> dict[str, SpiceDBProps]:
    """The props of each file, merged with the files of ``--file``, by the name of its folder."""
    from ..files.merge import merge
    from ..files.read import props_of

    base = read_documents(options.file) if options.file else None
    table, found, invalid = releases(options), dict[str, SpiceDBProps](), list[InvalidProps]()
    for name, path in _folders(options.each).items():
        own = read_document(path)
        try:
            document = merge(base, own) if base else own
            found[name] = props_of(document, delivery=options.delivery, releases=table)
        except InvalidProps as error:
            invalid.append(error)
    if invalid:
        more = len(invalid) - _SHOWN
        raise SpiceDBError(
            "\n".join([*map(str, invalid[:_SHOWN]), *([f"{more} more files have problems"] if more > 0 else [])])
        )
    return found


def _folders(patterns: Sequence[str]) -> dict[str, str]:
    """The paths of the files, by the names of their folders. Also expands patterns, for shells that do not."""
    found: dict[str, str] = {}
    for pattern in patterns:
        if pattern == "-":
            raise SpiceDBError("--each cannot read standard input, which has no name for its folder; pass it to --file")
        paths = [pattern] if Path(pattern).exists() or not glob.has_magic(pattern) else sorted(glob.glob(pattern))
        if not paths:
            raise SpiceDBError(f"cannot read {pattern}: no file has such a name")
        for path in paths:
            name = Path(path).stem
            if name in found:
                raise SpiceDBError(f"{found[name]} and {path} would both be written to {name}; rename one of them")
            found[name] = path
    return found


def _files(props: SpiceDBProps, chart_version: str, metadata: ChartMetadata) -> Mapping[str, str]:
    """The files of the folder of one SpiceDB."""
    if props.delivery is Delivery.HELM:
        from ..helm import chart_files, require_helm

        require_helm(props)
        return chart_files(props, props.name, chart_version, metadata)
    from ..files.write import manifest_files

    require(props)
    return manifest_files(props)


def _warn(found: Mapping[str, SpiceDBProps]) -> None:
    """Prints each warning once, with the folders that it is about."""
    about: dict[str, list[str]] = {}
    for name, props in found.items():
        for warning in all_warnings(props):
            about.setdefault(warning, []).append(name)
    for warning, names in about.items():
        print(f"Warning for {_names(names)}: {warning}", file=sys.stderr)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _summary(folder: str, found: Mapping[str, SpiceDBProps], changed: set[str]) -> Iterator[str]:
    """What was written, and what to do next."""
    count, removed = len(found), sorted(changed - found.keys())
    folders = f"{count} folder{'s' if count > 1 else ''}"
    what = f"{_names(sorted(changed & found.keys()))} changed" if changed & found.keys() else "nothing changed"
    yield f"Wrote {folder}: {folders}; {what}."
    if removed:
        yield f"Removed {_names(removed)}, which no file describes any longer."
    name, props = next(iter(found.items()))
    keys = needed_secrets(props)
    yield f"Create the Secrets of each SpiceDB before you install it. For {name}, with these keys: {keys}."
    command = props.delivery.next_command(f"{folder}/{name}", props.name, props.migration.helm_timeout)
    yield f"Next, for each folder, such as {name}: {command}"
