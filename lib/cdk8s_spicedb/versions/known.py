"""Reads the release table of this package.

The data and its sources are in ``releases.json``. Releases that are not in it are valid too: they render with the
settings of the newest known release, and their migrations are not checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import attrs

from ..errors import SpiceDBError
from .engine import Cost, EngineReleases, Rollout, Stop
from .table import ReleaseTable


@cache
def known_releases() -> ReleaseTable:
    """The release table of this package."""
    return read_releases(json.loads(files(__package__).joinpath("releases.json").read_text("utf-8")))


def read_releases(data: Mapping[str, Any]) -> ReleaseTable:
    """A table from data in the format of ``releases.json``. Raises `SpiceDBError` if the data is invalid."""
    engines = {
        name: EngineReleases(
            tuple(engine["revisions"]),
            {version: head for head, versions in engine["heads"].items() for version in versions},
            tuple(_stop(stop) for stop in data["stops"] if name in stop["engines"]),
            {
                revision: entry["caution"]
                for entry in data["cautions"]
                if entry["engine"] == name
                for revision in entry["revisions"]
            },
            {
                revision: _cost(entry)
                for entry in data.get("costs", ())
                if entry["engine"] == name
                for revision in entry["revisions"]
            },
        )
        for name, engine in data["engines"].items()
    }
    return ReleaseTable(engines, data["flags"], data["withdrawn"])


def _cost(data: Mapping[str, Any]) -> Cost:
    place = f"costs of {', '.join(data['revisions'])}"
    values = {name: value for name, value in data.items() if name not in ("engine", "revisions")}
    names = {field.name: field for field in attrs.fields(Cost)}
    missing = [name for name, field in names.items() if field.default is attrs.NOTHING and name not in values]
    if missing or not set(values) <= set(names):
        unknown = sorted(set(values) - set(names))
        wrong = [f"{name} is missing" for name in missing] + [f"unknown field {name}" for name in unknown]
        raise SpiceDBError(f"{place}: {'; '.join(wrong)}")
    try:
        return Cost(**values)
    except SpiceDBError as error:
        raise SpiceDBError(f"{place}: {error}") from None


def _stop(data: Mapping[str, Any]) -> Stop:
    rollouts = tuple(Rollout(**rollout) for rollout in data.get("rollouts", ()))
    return Stop(data["version"], data["before"], data["why"], data["source"], rollouts)
