"""Parts of backups, in which questions have the same answers as in the whole."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from cdk8s_spicedb.live.data.file import BackupWriter, Head, reading
from cdk8s_spicedb.live.data.part import write_sample
from tests.spicedbserver import relationship

TEXTS = [
    *(f"document:d{number}#reader@group:g{number % 10}#member" for number in range(100)),
    *(f"group:g{number}#member@group:g{number + 10}#member" for number in range(10)),
    *(f"group:g{number}#member@user:u{number}" for number in range(10, 20)),
    *(f"folder:f{number}#owner@user:u1" for number in range(50)),
    "document:d7#reader@user:*",
    "user:*#self@user:u99",
]
_KNOWN = {relationship(text).SerializeToString(deterministic=True): text for text in TEXTS}


def _whole(folder: Path) -> Path:
    path = folder / "whole.zedbackup"
    with closing(BackupWriter.open(path)) as writer:
        writer.begin(Head("definition user {}", "token"))
        for text in TEXTS:
            writer.append(relationship(text))
        writer.flush()
    return path


def _texts(path: Path) -> list[str]:
    with reading(path) as (_, relationships):
        return [_KNOWN[each.SerializeToString(deterministic=True)] for each in relationships]


def test_a_sample_has_all_on_which_its_answers_depend(tmp_path: Path) -> None:
    part = tmp_path / "part.zedbackup"
    number = write_sample(_whole(tmp_path), part, 5)
    found = _texts(part)
    assert len(found) == number < len(TEXTS)
    assert set(found) <= set(TEXTS)
    objects = {text.partition("#")[0] for text in found}
    for text in TEXTS:
        resource, _, rest = text.partition("#")
        if resource in objects:
            assert text in found, "all relationships of an object"
            subject = rest.partition("@")[2].partition("#")[0]
            of_subject = [each for each in TEXTS if each.startswith(f"{subject}#") and not subject.endswith(":*")]
            assert set(of_subject) <= set(found), "and of what they lead to"


def test_a_sample_has_the_schema_and_the_token(tmp_path: Path) -> None:
    part = tmp_path / "part.zedbackup"
    write_sample(_whole(tmp_path), part, 5)
    with reading(part) as (head, _):
        assert head == Head("definition user {}", "token")


def test_a_sample_of_everything_is_the_whole(tmp_path: Path) -> None:
    part = tmp_path / "part.zedbackup"
    assert write_sample(_whole(tmp_path), part, 10_000) == len(TEXTS)
    assert _texts(part) == TEXTS
