"""Files with a schema and relationships, in the format of ``zed backup``.

Such a file is an Avro object container: the schema, then the relationships, in blocks that snappy compresses. Its
metadata has the ZedToken at which it was read. zed reads these files, and this module reads those of zed.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, cast

import fastavro
from attrs import define, frozen
from authzed.api.v1 import ObjectReference, Relationship, SubjectReference
from cramjam import DecompressionError
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from ...errors import SpiceDBError

_NAMESPACE = "com.authzed.spicedb.backup"
_RELATIONSHIP, _SCHEMA = f"{_NAMESPACE}.relationship_v1", f"{_NAMESPACE}.schema_v1"
_TOKEN = "com.authzed.spicedb.zedtoken.v1"
_TEXTS = ("object_type", "object_id", "relation", "subject_object_type", "subject_object_id", "subject_relation")
_AVRO = fastavro.parse_schema(
    [
        {
            "name": _RELATIONSHIP,
            "type": "record",
            "fields": [
                *({"name": name, "type": "string"} for name in (*_TEXTS, "caveat_name")),
                {"name": "caveat_context", "type": "bytes"},
                {"name": "expiration", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            ],
        },
        {"name": _SCHEMA, "type": "record", "fields": [{"name": "schema_text", "type": "string"}]},
    ]
)
_BROKEN = (ValueError, LookupError, TypeError, EOFError, StopIteration, OverflowError, DecompressionError, DecodeError)
"""What is raised for a file that is damaged."""
_NEVER = datetime(1, 1, 1, tzinfo=timezone.utc)
"""How zed writes that a relationship does not expire."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def beside(path: Path, suffix: str) -> Path:
    """A file that belongs to a backup: ``json``, or before it is whole ``partial`` and ``state``."""
    return path.with_name(f"{path.name}.{suffix}")


@frozen
class Scratch:
    """A file without a name: nobody can open it, and it is gone with this process, however the process ends."""

    _file: IO[bytes]

    @classmethod
    @contextmanager
    def create(cls) -> Iterator[Scratch]:
        """Creates a file that exists until the context ends. Raises `SpiceDBError` if there is no room for it."""
        try:
            with tempfile.TemporaryFile() as file:
                yield cls(file)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise SpiceDBError(
                f"cannot write the relationships to a temporary file: {error.strerror}; set TMPDIR to a folder with "
                "free space"
            ) from None

    def open(self, _: str = "rb") -> IO[bytes]:
        """A reader that begins at the start, whatever others read or write."""
        return cast(IO[bytes], io.BufferedReader(_FromStart(self._file.fileno())))

    def writer(self) -> IO[bytes]:
        """A writer of its own."""
        return os.fdopen(os.dup(self._file.fileno()), "r+b")

    def __str__(self) -> str:
        return "the copy"


class _FromStart(io.RawIOBase):
    """Reads a file that is open already, and has a position of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class NotABackupError(SpiceDBError):
    """A file is not one of ``zed backup``, or is damaged."""


@frozen
class Head:
    """What a file says before its relationships."""

    schema: str
    """The SpiceDB schema."""
    token: str
    """The ZedToken of the revision at which schema and relationships were read. Empty if zed did not know it."""


@define
class BackupWriter:
    """Appends relationships to a file that only its owner can read, and that no other process writes."""

    _file: IO[bytes]
    _writer: Any = None

    @classmethod
    def open(cls, path: Path | Scratch) -> BackupWriter:
        """Opens or creates a file. Raises `SpiceDBError` if another process writes it."""
        if isinstance(path, Scratch):
            return cls(path.writer())
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise SpiceDBError(f"another process writes {path}; wait for it") from None
        return cls(file)

    def begin(self, head: Head) -> None:
        """Makes the file one that has no relationships yet."""
        self._file.seek(0)
        self._file.truncate()
        metadata = {_TOKEN: head.token} if head.token else {}
        self._writer = fastavro.write.Writer(self._file, _AVRO, codec="snappy", metadata=metadata)
        self._writer.write((_SCHEMA, {"schema_text": head.schema}))

    def go_on(self, size: int) -> None:
        """Makes the file what it was when it had this size."""
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)
        self._writer = fastavro.write.Writer(self._file, _AVRO, codec="snappy")

    def append(self, relationship: Relationship) -> None:
        """Adds a relationship."""
        self._writer.write((_RELATIONSHIP, _record(relationship)))

    def flush(self) -> int:
        """Writes everything to the disk. Returns the size of the file."""
        self._writer.flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Closes the file, without what was not flushed."""
        self._file.close()


@contextmanager
def reading(path: Path | Scratch) -> Iterator[tuple[Head, Iterator[Relationship]]]:
    """What a file holds. Raises `NotABackupError`, also while the relationships are read."""
    with path.open("rb") as file:
        try:
            records: Any = fastavro.reader(file, return_record_name=True)
            name, first = next(records)
            if name != _SCHEMA:
                raise ValueError("it does not begin with a schema")
            head = Head(first["schema_text"], records.metadata.get(_TOKEN, ""))
        except _BROKEN as error:
            why = str(error) or "it is empty"
            raise NotABackupError(f"{path} is not a file of `zed backup`: {why}") from None
        yield head, _relationships(path, records)


def _relationships(path: Path | Scratch, records: Any) -> Iterator[Relationship]:
    try:
        for _, record in records:
            yield _relationship(record)
    except _BROKEN as error:
        raise NotABackupError(f"{path} is damaged: {error or 'it ends in the middle of a block'}") from None


def _record(found: Relationship) -> dict[str, Any]:
    subject = found.subject
    values = (
        found.resource.object_type,
        found.resource.object_id,
        found.relation,
        subject.object.object_type,
        subject.object.object_id,
        subject.optional_relation,
    )
    caveat = found.optional_caveat if found.HasField("optional_caveat") else None
    return {
        **dict(zip(_TEXTS, values, strict=True)),
        "caveat_name": caveat.caveat_name if caveat else "",
        "caveat_context": caveat.context.SerializeToString(deterministic=True) if caveat else b"",
        "expiration": expiration(found) or _NEVER,
    }


def _relationship(record: dict[str, Any]) -> Relationship:
    kind, name, relation, subject_kind, subject_name, subject_relation = (record[each] for each in _TEXTS)
    found = Relationship(
        resource=ObjectReference(object_type=kind, object_id=name),
        relation=relation,
        subject=SubjectReference(
            object=ObjectReference(object_type=subject_kind, object_id=subject_name),
            optional_relation=subject_relation,
        ),
    )
    if record["caveat_name"]:
        found.optional_caveat.caveat_name = record["caveat_name"]
        if record["caveat_context"]:
            found.optional_caveat.context.CopyFrom(Struct.FromString(record["caveat_context"]))
    if record["expiration"] > _NEVER:
        found.optional_expires_at.FromDatetime(record["expiration"])
    return found


def expiration(found: Relationship) -> datetime | None:
    """When a relationship expires. None: never."""
    if not found.HasField("optional_expires_at"):
        return None
    expires: datetime = found.optional_expires_at.ToDatetime(tzinfo=timezone.utc)
    return expires
