"""Copies what a SpiceDB holds to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
from attrs import define, field, frozen

from ...errors import SpiceDBError
from ..poll import timestamp
from .file import BackupWriter, Head, NotABackupError, Scratch, beside, reading
from .schema import same
from .server import RequestError, Server
from .summary import Summary

_FLUSH = 10_000
"""Relationships that are written again, at most, if the backup is interrupted."""
_TOO_OLD = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INVALID_ARGUMENT)
"""Codes with which a SpiceDB answers if it no longer has the data of a revision."""


class EmptyError(SpiceDBError):
    """A SpiceDB has no schema, so there is nothing to back up."""


@frozen
class Backup:
    """A backup that is whole."""

    path: Path
    """The file."""
    head: Head
    """What it says before its relationships."""
    summary: Summary
    """Its relationships, summed up."""


@define
class _Work:
    """A backup that has begun."""

    head: Head
    at: str
    """When the revision was read (ISO 8601)."""
    summary: Summary = field(factory=Summary)
    """The relationships that are written."""
    cursor: str = ""
    """Where the export goes on."""


_Flushed = Callable[[_Work], object]


def copy(server: Server, scratch: Scratch, *, notify: Callable[[int], object] = lambda _: None) -> tuple[Head, Summary]:
    """Writes the schema and all relationships of one revision to a file that is gone when this process ends.

    ``notify`` gets the number of relationships from time to time. Raises `EmptyError` if there is no schema, and
    `RequestError` if the SpiceDB does not answer.
    """
    with closing(BackupWriter.open(scratch)) as writer:
        work = _begin(server, writer, *server.schema())
        _export(server, writer, work, lambda work: notify(work.summary.total))
        return work.head, work.summary


def back_up(
    server: Server,
    path: Path,
    *,
    about: Mapping[str, Any] | None = None,
    notify: Callable[[int], object] = lambda _: None,
) -> Backup:
    """Writes the schema and all relationships of one revision to a file, in the format of ``zed backup``.

    A file beside it, with the suffix ``.json``, has the time of the revision, the numbers of relationships, their
    digest, and what ``about`` says. Until the backup is whole, the file has the suffix ``.partial``. Call this again to
    go on after an interruption, as long as the SpiceDB still has the data of that revision
    (``--datastore-gc-window``). If it does not, the backup starts again.

    ``notify`` gets the number of relationships from time to time. Raises `SpiceDBError` if the file exists, if another
    process writes it, or if the SpiceDB does not answer, and `EmptyError` if there is no schema.
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

        def flushed(work: _Work) -> None:
            _write(state, {"name": server.name, "at": work.at, "size": writer.flush(), "cursor": work.cursor})
            notify(work.summary.total)

        work = _all(server, writer, _Place(partial, state), flushed)
        told = {**about, "at": work.at, "written": _now(server), **work.summary.json()}
        _write(beside(path, "json"), told)
        partial.rename(path)
    state.unlink(missing_ok=True)
    return Backup(path, work.head, work.summary)


@frozen
class _Place:
    """The files of a backup that is not whole yet."""

    partial: Path
    state: Path


def _all(server: Server, writer: BackupWriter, place: _Place, flushed: _Flushed) -> _Work:
    schema, token = server.schema()
    begun = _begun(writer, place, server.name, schema)
    if begun is not None:
        try:
            return _export(server, writer, begun, flushed)
        except RequestError as error:
            if error.code not in _TOO_OLD:
                raise
    return _export(server, writer, _begin(server, writer, schema, token), flushed)


def _begin(server: Server, writer: BackupWriter, schema: str, token: str) -> _Work:
    if not schema:
        raise EmptyError(f"{server.name} has no schema, so there is nothing to back up")
    work = _Work(Head(schema, token), _now(server))
    writer.begin(work.head)
    return work


def _now(server: Server) -> str:
    return timestamp(server.clock.now())


def _begun(writer: BackupWriter, place: _Place, name: str, schema: str) -> _Work | None:
    """What an interrupted backup of the same SpiceDB has written. None if there is none, or if the schema is another
    one now."""
    try:
        told = json.loads(place.state.read_text("utf-8"))
        size, cursor, at = int(told["size"]), str(told["cursor"]), str(told["at"])
        if place.partial.stat().st_size < size or told["name"] != name:
            return None
        writer.go_on(size)
        with reading(place.partial) as (head, relationships):
            return _Work(head, at, Summary.of(relationships), cursor) if same(head.schema, schema) else None
    except (OSError, ValueError, KeyError, TypeError, NotABackupError):
        return None


def _export(server: Server, writer: BackupWriter, work: _Work, flushed: _Flushed) -> _Work:
    """Appends all relationships, or those after the cursor."""
    last = work.summary.total
    for page in server.export(work.head.token, work.cursor):
        for each in page.relationships:
            writer.append(each)
            work.summary.add(each)
        work.cursor = page.cursor
        if work.summary.total - last >= _FLUSH:
            last = work.summary.total
            flushed(work)
    writer.flush()
    return work


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON to a file, which is complete or as it was."""
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{json.dumps(content, indent=2)}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
