"""Files of releases that this package does not know, and of what is known to be wrong with releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SpiceDBError
from ..versions import ReleaseTable, read_advisory
from .program import Learned

_ADVISORIES, _FLAGS, _MODES = "advisories", "flags", "schemaModes"
_FORM = "write releases as v1.99.0: {postgres: [the-revision-that-it-adds]}"


def with_file(table: ReleaseTable, data: Any) -> ReleaseTable:
    """A table with what a file adds. Raises `SpiceDBError` if the file is invalid."""
    if not isinstance(data, dict):
        raise SpiceDBError(_FORM)
    for version, entry in data.items():
        if version == _ADVISORIES:
            if not isinstance(entry, list) or not all(isinstance(each, dict) for each in entry):
                raise SpiceDBError(f"{_ADVISORIES}: write a list, such as [{{id: …, severity: severe, …}}]")
            table = table.with_advisories([read_advisory(each) for each in entry])
        elif isinstance(entry, dict):
            table = _with_release(table, str(version), entry)
        else:
            raise SpiceDBError(_FORM)
    return table


def _with_release(table: ReleaseTable, version: str, entry: Mapping[str, Any]) -> ReleaseTable:
    lists = {str(name): [] if names is None else names for name, names in entry.items()}
    if not all(isinstance(name, str) for names in lists.values() for name in names):
        raise SpiceDBError(f"{version}: give a list of revisions for each engine")
    flags, modes = lists.pop(_FLAGS, None), lists.pop(_MODES, None)
    if any(isinstance(names, str) for names in (flags, modes)):
        raise SpiceDBError(f"{version}: {_FLAGS} and {_MODES} are lists of names")
    return table.with_release(version, lists, flags=flags, schema_modes=modes)


def entry_of(learned: Learned) -> str:
    """What a program says of its release, as YAML that `with_file` reads."""
    return "\n".join(_entry(learned)) + "\n"


def _entry(learned: Learned) -> Iterator[str]:
    yield f"{learned.version}:"
    yield from (f"  {engine}: [{head}]" for engine, head in learned.heads.items())
    yield f"  {_FLAGS}: [{', '.join(learned.flags)}]"
    yield f"  {_MODES}: [{', '.join(learned.schema_modes)}]"
