"""``cdk8s-spicedb synth``: writes a Helm chart or manifests from a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from ..errors import InvalidProps
from ..files.read import metadata_of
from ..helm import require_chart, write_all, write_release
from ..props import SpiceDBProps, needed_config_maps, secret_keys
from ..props.chart import ChartMetadata
from ..props.rules.warnings import all_warnings
from ..text import count, some_of
from .files import SHOWN, read_document, read_each, read_file, warn
from .options import by_option
from .output import say, say_error


def run(options: argparse.Namespace) -> int:
    """Writes a folder, or one for each file of ``--each``: all of them, or none. Prints what was written."""
    folder, version, metadata = options.folder, options.chart_version, _metadata(options)
    if options.each is not None:
        found = read_each(options, delivery=options.delivery)
        warn(found)
        changed = write_all(folder, found, version=version, metadata=metadata)
        say("\n".join(_next_of_each(folder, found, changed)))
        return 0
    props = read_file(options, delivery=options.delivery)
    for warning in all_warnings(props):
        say_error(f"Warning: {warning}")
    write_release(folder, props, version=version, metadata=metadata)
    say("\n".join(_next(folder, props)))
    return 0


def _metadata(options: argparse.Namespace) -> ChartMetadata:
    """What the file of ``--chart-metadata`` says. Raises `InvalidProps` if Helm does not accept it, or the version."""
    found = metadata_of(read_document(options.chart_metadata)) if options.chart_metadata else ChartMetadata()
    try:
        require_chart("spicedb", options.chart_version, found)
    except InvalidProps as error:
        raise by_option(error, "synth", {"version": "--chart-version"}) from None
    return found


def _next(folder: str, props: SpiceDBProps) -> Iterator[str]:
    yield f"Wrote {folder}: SpiceDB {props.version} on {props.datastore.engine}, for {props.delivery.value}."
    yield f"Create these Secrets before you install, with these keys: {_secrets(props)}."
    yield f"Next: {_command(folder, props)}"


def _next_of_each(folder: str, found: Mapping[str, SpiceDBProps], changed: frozenset[str]) -> Iterator[str]:
    written, removed = sorted(changed & found.keys()), sorted(changed - found.keys())
    what = f"{some_of(written, SHOWN)} changed" if written else "nothing changed"
    yield f"Wrote {folder}: {count(len(found), 'folder')}; {what}."
    if removed:
        yield f"Removed {some_of(removed, SHOWN)}, which no file describes any longer."
    name, props = next(iter(found.items()))
    yield f"Create the Secrets of each SpiceDB before you install it. For {name}, with these keys: {_secrets(props)}."
    yield f"Next, for each folder, such as {name}: {_command(f'{folder}/{name}', props)}"


def _secrets(props: SpiceDBProps) -> str:
    maps = [f"ConfigMap {key.config_map} ({key.key})" for key in needed_config_maps(props)]
    return ", ".join([*(f"{key.name} ({key.key})" for key in secret_keys(props)), *maps])


def _command(folder: str, props: SpiceDBProps) -> str:
    return props.delivery.next_command(folder, props.name, props.migration.helm_timeout)
