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
from .file import BackupWriter, Head, NotABackupError, beside, reading
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


def _back_up(server: Server, path: Path, about: Mapping[str, Any], notify: Callable[[int], object]) -> Backup:
    state = beside(path, "state")
    with closing(BackupWriter.open(beside(path, "partial"))) as writer:
        work = _copy(server, writer, state, notify)
        told = {**about, "at": work.at, "written": _now(server), **work.summary.json()}
        _write(beside(path, "json"), told)
        writer.path.rename(path)
    state.unlink(missing_ok=True)
    return Backup(path, work.head, work.summary)


def _now(server: Server) -> str:
    return f"{server.clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _copy(server: Server, writer: BackupWriter, state: Path, notify: Callable[[int], object]) -> _Work:
    schema, token = server.schema()
    begun = _begun(writer, state, server.name, schema)
    if begun is not None:
        try:
            return _export(server, writer, state, notify, begun)
        except RequestError as error:
            if error.code not in _TOO_OLD:
                raise
    if not schema:
        raise EmptyError(f"{server.name} has no schema, so there is nothing to back up")
    work = _Work(Head(schema, token), _now(server))
    writer.begin(work.head)
    return _export(server, writer, state, notify, work)


def _begun(writer: BackupWriter, state: Path, name: str, schema: str) -> _Work | None:
    """What an interrupted backup of the same SpiceDB has written. None if there is none, or if the schema is another
    one now."""
    try:
        told = json.loads(state.read_text("utf-8"))
        size, cursor, at = int(told["size"]), str(told["cursor"]), str(told["at"])
        if writer.path.stat().st_size < size or told["name"] != name:
            return None
        writer.go_on(size)
        with reading(writer.path) as (head, relationships):
            return _Work(head, at, Summary.of(relationships), cursor) if same(head.schema, schema) else None
    except (OSError, ValueError, KeyError, TypeError, NotABackupError):
        return None


def _export(server: Server, writer: BackupWriter, state: Path, notify: Callable[[int], object], work: _Work) -> _Work:
    summary, flushed = work.summary, work.summary.total
    for page in server.export(work.head.token, work.cursor):
        for each in page.relationships:
            writer.append(each)
            summary.add(each)
        if summary.total - flushed >= _FLUSH:
            flushed = summary.total
            told = {"name": server.name, "at": work.at, "size": writer.flush(), "cursor": page.cursor}
            _write(state, told)
            notify(flushed)
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
