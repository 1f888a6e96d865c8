"""A changed schema, judged before it is written."""

from __future__ import annotations

from cdk8s_spicedb.live.data.change import SchemaChange, Use, change
from tests.spicedbserver import relationship

OLD = """
definition user {}
definition group { relation member: user | user:* }
definition document {
    relation reader: user | group#member
    relation writer: user
    permission read = reader + writer
    permission write = writer
}
"""
NEW = """
definition user {}
definition group { relation member: user }
definition document {
    relation reader: user
    relation owner: user
    permission read = reader + owner
    permission delete = owner
}
"""
HELD = [
    relationship("document:1#reader@user:1"),
    relationship("document:1#reader@group:1#member"),
    relationship("document:2#reader@group:1#member"),
    relationship("group:1#member@user:*"),
]


def changed(*held: int) -> SchemaChange:
    return change(OLD, NEW, [HELD[number] for number in held or range(len(HELD))])


def test_what_is_removed_and_who_uses_it() -> None:
    assert changed().removed == {
        Use("document", "reader", "group#member"): 2,
        Use("document", "writer", "user"): 0,
        Use("group", "member", "user:*"): 1,
    }
    assert changed().blocked


def test_unused_parts_block_nothing() -> None:
    assert not changed(0).blocked


def test_names() -> None:
    assert changed().lost == ["document#write", "document#writer"]
    assert changed().added == ["document#delete", "document#owner"]


def test_lines() -> None:
    assert list(changed().lines()) == [
        "removes document#reader@group#member: 2 live relationships use it, so SpiceDB rejects the schema",
        "removes document#writer@user: no live relationship uses it",
        "removes group#member@user:*: 1 live relationship uses it, so SpiceDB rejects the schema",
        "removes document#write: requests for it will fail",
        "removes document#writer: requests for it will fail",
        "adds document#delete",
        "adds document#owner",
        "write the schema before you roll out an application that asks for what it adds",
        "roll out an application that no longer uses what it removes, and delete the relationships, before you write "
        "the schema",
    ]


def test_only_additions_need_one_order() -> None:
    found = change(OLD, OLD.replace("permission read", "permission see = reader permission read"), HELD)
    assert list(found.lines()) == [
        "adds document#see",
        "write the schema before you roll out an application that asks for what it adds",
    ]


def test_caveats_and_expirations_are_types_of_their_own() -> None:
    old = "definition user {} definition a { relation b: user | user with cav and expiration }"
    held = [
        relationship("a:1#b@user:1"),
        relationship("a:1#b@user:2[cav]"),
        relationship("a:1#b@user:3[expiration:2100-01-02T03:04:05Z]"),
    ]
    found = change(old, old.replace("user | user with", "user with"), held)
    assert found.removed == {Use("a", "b", "user"): 1}
    found = change(old, old.replace(" | user with cav and expiration", ""), held)
    assert list(map(str, found.removed)) == ["a#b@user with cav and expiration"]
