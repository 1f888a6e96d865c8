"""Copies what a SpiceDB holds to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
from attrs import frozen

from ...errors import SpiceDBError
from .file import BackupWriter, Head, NotABackupError, Scratch, beside, reading
from .schema import same
from .server import RequestError, Server
from .summary import Summary

_FLUSH = 10_000
"""Relationships that are written again, at most, if the backup is interrupted."""
_TOO_OLD = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INVALID_ARGUMENT)
"""Codes with which a SpiceDB answers if it no longer has the data of a revision."""


_Flushed = Callable[[int, str], object]


@frozen
class Backup:
    """A backup that is whole."""

    path: Path
    """The file."""
    head: Head
    """What it says before its relationships."""
    summary: Summary
    """Its relationships, summed up."""


def copy(server: Server, scratch: Scratch, *, notify: Callable[[int], object] = lambda _: None) -> tuple[Head, Summary]:
    """Writes the schema and all relationships of one revision to a file that is gone when this process ends.

    ``notify`` gets the number of relationships from time to time. Raises `SpiceDBError` if there is no schema, or if
    the SpiceDB does not answer.
    """
    with closing(BackupWriter.open(scratch)) as writer:
        head = _begin(server, writer, *server.schema())
        return head, _export(server, writer, head, lambda number, _: notify(number))


def back_up(
    server: Server,
    path: Path,
    *,
    about: Mapping[str, Any] | None = None,
    notify: Callable[[int], object] = lambda _: None,
) -> Backup:
    """Writes the schema and all relationships of one revision to a file, in the format of ``zed backup``.

    A file beside it, with the suffix ``.json``, has the numbers of relationships, their digest, and what ``about``
    says. Until the backup is whole, the file has the suffix ``.partial``. Call this again to go on after an
    interruption, as long as the SpiceDB still has the data of that revision (``--datastore-gc-window``). If it does
    not, the backup starts again.

    ``notify`` gets the number of relationships from time to time. Raises `SpiceDBError` if the file exists, if another
    process writes it, if there is no schema, or if the SpiceDB does not answer.
    """
    if path.exists():
        raise SpiceDBError(f"{path} exists; choose another file, or remove it")
    partial = beside(path, "partial")
    try:
        return _back_up(server, path, about or {}, notify)
    finally:
        if partial.exists() and not partial.stat().st_size:
            partial.unlink()


def _back_up(server: Server, path: Path, about: Mapping[str, Any], notify: Callable[[int], object]) -> Backup:
    state, partial = beside(path, "state"), beside(path, "partial")
    with closing(BackupWriter.open(partial)) as writer:

        def flushed(number: int, cursor: str) -> None:
            _write(state, {"name": server.name, "size": writer.flush(), "cursor": cursor})
            notify(number)

        head, summary = _all(server, writer, _Place(partial, state), flushed)
        told = {**about, "written": f"{server.clock.now():%Y-%m-%dT%H:%M:%SZ}", **summary.json()}
        _write(beside(path, "json"), told)
        partial.rename(path)
    state.unlink(missing_ok=True)
    return Backup(path, head, summary)


@frozen
class _Place:
    """The files of a backup that is not whole yet."""

    partial: Path
    state: Path


def _all(server: Server, writer: BackupWriter, place: _Place, flushed: _Flushed) -> tuple[Head, Summary]:
    schema, token = server.schema()
    begun = _begun(writer, place, server.name, schema)
    if begun is not None:
        head, summary, cursor = begun
        try:
            return head, _export(server, writer, head, flushed, summary, cursor)
        except RequestError as error:
            if error.code not in _TOO_OLD:
                raise
    head = _begin(server, writer, schema, token)
    return head, _export(server, writer, head, flushed)


def _begin(server: Server, writer: BackupWriter, schema: str, token: str) -> Head:
    if not schema:
        raise SpiceDBError(f"{server.name} has no schema, so there is nothing to back up")
    head = Head(schema, token)
    writer.begin(head)
    return head


def _begun(writer: BackupWriter, place: _Place, name: str, schema: str) -> tuple[Head, Summary, str] | None:
    """What an interrupted backup of the same SpiceDB has written: its head, its relationships, and the cursor after
    them. None if there is none, or if the schema is another one now."""
    try:
        told = json.loads(place.state.read_text("utf-8"))
        size, cursor = int(told["size"]), str(told["cursor"])
        if place.partial.stat().st_size < size or told["name"] != name:
            return None
        writer.go_on(size)
        with reading(place.partial) as (head, relationships):
            return (head, Summary.of(relationships), cursor) if same(head.schema, schema) else None
    except (OSError, ValueError, KeyError, TypeError, NotABackupError):
        return None


def _export(
    server: Server,
    writer: BackupWriter,
    head: Head,
    flushed: _Flushed,
    summary: Summary | None = None,
    cursor: str = "",
) -> Summary:
    """Appends all relationships, or those after a cursor. Calls ``flushed`` with their number and a cursor."""
    summary = summary or Summary()
    last = summary.total
    for page in server.export(head.token, cursor):
        for each in page.relationships:
            writer.append(each)
            summary.add(each)
        if summary.total - last >= _FLUSH:
            last = summary.total
            flushed(last, page.cursor)
    writer.flush()
    return summary


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON to a file, which is complete or as it was."""
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{json.dumps(content, indent=2)}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
