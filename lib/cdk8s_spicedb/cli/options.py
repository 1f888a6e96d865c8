"""What commands make of their options: the releases, and the files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..versions import ReleaseTable, known_releases


def releases(options: argparse.Namespace) -> ReleaseTable:
    """The known releases, with those of the file in ``--releases``."""
    table = known_releases()
    if options.releases is None:
        return table
    # Commands without a file do not load YAML.
    from ..files.yaml import load

    data, _ = load(read(options.releases), options.releases)
    if not isinstance(data, dict) or not all(isinstance(added, dict) for added in data.values()):
        raise SpiceDBError(f"{options.releases}: write releases as v1.99.0: {{postgres: [the-revision-that-it-adds]}}")
    for version, added in data.items():
        lists = {engine: revisions or [] for engine, revisions in added.items()}
        if not all(isinstance(name, str) for each in lists.values() for name in each):
            raise SpiceDBError(f"{options.releases}: {version}: give a list of revisions for each engine")
        try:
            table = table.with_release(str(version), lists)
        except SpiceDBError as error:
            raise SpiceDBError(f"{options.releases}: {error}") from None
    return table


def read(path: str, hint: str = "") -> str:
    """The text of a file."""
    try:
        return Path(path).read_bytes().decode()
    except OSError as error:
        raise SpiceDBError(f"cannot read {path}: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise SpiceDBError(f"cannot read {path}: it is not UTF-8 text; write it as YAML") from None


def by_option(error: InvalidProps, command: str, options: Mapping[str, str]) -> InvalidProps:
    """An error in the words of the command line."""
    problems = [attrs.evolve(problem, field=options.get(problem.field, problem.field)) for problem in error.problems]
    return InvalidProps(f"cdk8s-spicedb {command}", problems)
