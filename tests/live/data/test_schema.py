"""What a schema defines."""

from __future__ import annotations

import pytest

from cdk8s_spicedb.live.data.schema import SubjectType, definitions, same

SCHEMA = """
use expiration

/** definition no { relation nothing: user } */
definition user {}

caveat old(age int, names list<string>) {
    age >= 18 && names.exists(name, name == "definition x {")
}

// definition neither { relation nothing: user }
definition team/group {
    relation member: user | user:* | team/group#member
}

definition document {
    relation reader: user with expiration
        | user with old and expiration // relation commented: user
        | team/group#member with old
    relation parent: document
    permission read = reader + parent->read
    permission both = (reader & parent->read) - parent.all(reader)
}
"""


def test_definitions() -> None:
    found = definitions(SCHEMA)
    assert list(found) == ["user", "team/group", "document"]
    assert found["user"].names == []
    assert found["document"].names == ["reader", "parent", "read", "both"]


def test_names() -> None:
    text = """
        use expiration
        caveat adult(age int, names list<string>) { age > 18 && names == ["}", '{ relation no: x }'] }
        // definition no { relation no: user }
        /** definition no {} */
        definition user {}
        definition team/document {
            relation reader: user | user with adult // permission no = reader
            relation permission_x: user
            permission read = reader + (reader->read)
            permission definition_y = nil
        }
    """
    names = ["reader", "permission_x", "read", "definition_y"]
    assert {name: each.names for name, each in definitions(text).items()} == {"user": [], "team/document": names}


@pytest.mark.parametrize(
    ("definition", "relation", "types"),
    [
        ("team/group", "member", ["user", "user:*", "team/group#member"]),
        (
            "document",
            "reader",
            ["user with expiration", "user with old and expiration", "team/group#member with old"],
        ),
        ("document", "parent", ["document"]),
    ],
)
def test_types_of_relations(definition: str, relation: str, types: list[str]) -> None:
    assert [str(each) for each in definitions(SCHEMA)[definition].relations[relation]] == types


def test_parts_of_a_type() -> None:
    assert definitions("definition a { relation b: c#d with e and expiration }")["a"].relations["b"] == [
        SubjectType("c", "d", ["e", "expiration"])
    ]


def test_order_and_comments_make_no_other_schema() -> None:
    one = "definition a {}\n// x\ndefinition b {\n relation c: a\n}"
    other = "definition b {relation c: a}\n\n/** y */ definition a {\n}"
    assert same(one, other)
    assert not same(one, other.replace("c: a", "c: b"))


@pytest.mark.parametrize("text", ["", "definition", "definition a", "definition a {", "relation b: c", "{{{", "'open"])
def test_what_is_no_schema_defines_little(text: str) -> None:
    assert list(definitions(text)) in ([], ["a"])
