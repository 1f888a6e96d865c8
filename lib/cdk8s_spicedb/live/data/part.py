"""A part of a backup in which questions have the same answers as in the whole."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from authzed.api.v1 import ObjectReference, Relationship

from .file import BackupWriter, Scratch, reading
from .questions import sample

_Object = tuple[str, str]
_ANY = "*"


def write_sample(path: Path | Scratch, part: Path | Scratch, size: int) -> int:
    """Writes a part of a backup to a new file: some relationships, and all that their answers depend on. Returns the
    number of relationships.

    Reads the file several times. The memory that this needs grows with the part, and not with the backup.
    """
    with reading(path) as (head, relationships):
        chosen = sample(relationships, size)
    objects = _closed(path, {_key(each.resource) for each in chosen} | {_key(each.subject.object) for each in chosen})
    with closing(BackupWriter.open(part)) as writer, reading(path) as (_, relationships):
        writer.begin(head)
        number = 0
        for each in relationships:
            if _key(each.resource) in objects:
                writer.append(each)
                number += 1
        writer.flush()
    return number


def _closed(path: Path | Scratch, objects: set[_Object]) -> set[_Object]:
    """These objects, and those that their relationships lead to."""
    while True:
        with reading(path) as (_, relationships):
            found = {key for each in relationships if _key(each.resource) in objects for key in _leads_to(each)}
        if found <= objects:
            return objects
        objects |= found


def _leads_to(relationship: Relationship) -> list[_Object]:
    key = _key(relationship.subject.object)
    return [] if key[1] == _ANY else [key]


def _key(found: ObjectReference) -> _Object:
    return found.object_type, found.object_id
