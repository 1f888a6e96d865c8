"""Copies what a file holds into a SpiceDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import grpc
from authzed.api.v1 import Relationship

from ...errors import SpiceDBError
from .file import Head, NotABackupError, Scratch, beside, expiration, reading
from .schema import same
from .server import FOR_A_MOMENT, RequestError, Server
from .summary import Summary

T = TypeVar("T")
_BATCH, _BATCHES = 1000, 10
"""Relationships in a message, and messages in a transaction."""
_MOST_BYTES = 2 << 20
"""Half of what SpiceDB accepts in a message."""
_MARGIN = timedelta(hours=1)


class NotEmptyError(SpiceDBError):
    """A SpiceDB into which a backup should be restored has a schema or relationships."""


class DifferentError(SpiceDBError):
    """What a SpiceDB holds after a restore is not what the file has."""


def restore(
    path: Path | Scratch, server: Server, *, go_on: bool = False, notify: Callable[[int], object] = lambda _: None
) -> Summary:
    """Writes the schema and the relationships of a file to an empty SpiceDB, and compares the result with the file.

    Relationships that have expired are left out. With ``go_on``, the SpiceDB may already have the same schema and some
    of the relationships, from a restore that was interrupted.

    ``notify`` gets the number of relationships from time to time. Returns what the SpiceDB then holds. Raises
    `NotEmptyError`, `DifferentError`, `NotABackupError`, or `RequestError`, for example if the release does not accept
    the schema.
    """
    require_whole(path)
    done = 0
    with reading(path) as (head, relationships):
        _require_empty(server, head, go_on)
        server.write_schema(head.schema)
        for transaction in _parts(batches(_valid(relationships, server)), _BATCHES):
            _load(server, transaction, go_on)
            done += sum(map(len, transaction))
            notify(done)
    return verify(path, server)


def verify(path: Path | Scratch, server: Server) -> Summary:
    """Compares a SpiceDB with a file, apart from relationships that expire soon. Returns what the SpiceDB holds.

    Raises `DifferentError` with the numbers that differ.
    """
    # A SpiceDB does not return what expires in the meantime.
    after = server.clock.now() + _MARGIN
    held = Summary.of((each for page in server.export("") for each in page.relationships), after)
    with reading(path) as (_, relationships):
        wanted = Summary.of(relationships, after)
    differences = wanted.differences(held)
    if differences:
        raise DifferentError(f"{server.name} does not hold what {path} has: {'; '.join(differences)}")
    return held


def require_whole(path: Path | Scratch) -> Summary:
    """Reads a file once before anything is written, and sums it up. Raises `NotABackupError` if it is damaged."""
    with reading(path) as (_, relationships):
        found = Summary.of(relationships)
    if isinstance(path, Scratch):
        return found  # This process has just written it.
    about = beside(path, "json")
    try:
        told = json.loads(about.read_text("utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return found  # zed writes no such file.
    if told != found.digest:
        raise NotABackupError(f"{path} does not hold what {about.name} says: one of the two files was changed")
    return found


def _require_empty(server: Server, head: Head, go_on: bool) -> None:
    schema, _ = server.schema()
    if not schema or (go_on and same(schema, head.schema)):
        return
    count = sum(1 for _ in islice((each for page in server.export("") for each in page.relationships), 1))
    holds = "a schema and relationships" if count else "a schema"
    raise NotEmptyError(f"{server.name} has {holds}; restore into a SpiceDB whose database is empty")


def _valid(relationships: Iterable[Relationship], server: Server) -> Iterator[Relationship]:
    now: datetime = server.clock.now()
    return (each for each in relationships if (expiration(each) or now + _MARGIN) > now)


def _load(server: Server, batches: Sequence[Sequence[Relationship]], go_on: bool) -> None:
    try:
        server.load(batches)
    except RequestError as error:
        if error.code in FOR_A_MOMENT or (go_on and error.code is grpc.StatusCode.ALREADY_EXISTS):
            # The answer may have been lost. This writes what is missing, and changes nothing else.
            for batch in batches:
                server.touch(batch)
        else:
            raise


def batches(relationships: Iterable[Relationship]) -> Iterator[list[Relationship]]:
    """Parts that fit into messages."""
    part, size = list[Relationship](), 0
    for each in relationships:
        if part and (len(part) == _BATCH or size + each.ByteSize() > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(each)
        size += each.ByteSize()
    if part:
        yield part


def _parts(values: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
