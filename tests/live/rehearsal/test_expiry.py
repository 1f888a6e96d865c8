"""Relationships that expire during a rehearsal."""

from __future__ import annotations

from cdk8s_spicedb.live.rehearsal.expiry import expiring

SCHEMA = """
use expiration
caveat old(age int) { age > 18 }
definition user {}
definition group { relation member: user with expiration }
definition document {
    relation reader: user with expiration | user | group#member with expiration | user:* with expiration
    relation writer: user with old and expiration
    relation owner: user
}
"""


def test_one_relationship_for_each_type_that_may_expire() -> None:
    found = [
        (each.resource.object_type, each.relation, each.subject.object.object_type, each.subject.optional_relation)
        for each in expiring(SCHEMA)
    ]
    assert found == [
        ("group", "member", "user", ""),
        ("document", "reader", "user", ""),
        ("document", "reader", "group", "member"),
    ]


def test_a_schema_without_expiration_has_none() -> None:
    assert expiring("definition user {} definition document { relation reader: user }") == []
