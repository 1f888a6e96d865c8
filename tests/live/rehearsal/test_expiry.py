"""Relationships that expire during a rehearsal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from authzed.api.v1 import CheckPermissionResponse
from authzed.api.v1.permission_service_pb2 import (
    CheckBulkPermissionsPair,
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsResponse,
    CheckBulkPermissionsResponseItem,
)

from cdk8s_spicedb.live.rehearsal.expiry import SECONDS, expiring, lasting
from tests.live.clock import FakeClock

NO_PERMISSION = CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION

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


@pytest.mark.parametrize(("keeps", "asked"), [(0, range(8, 12)), (10, range(26, 32)), (1000, range(60, 72))])
def test_what_lasts_is_asked_all_the_time(keeps: float, asked: range) -> None:
    """A server that forgets so many seconds too late is asked until it does, or until it never will."""
    clock, questions = FakeClock(), list[CheckBulkPermissionsRequest]()
    end = clock.monotonic() + SECONDS + keeps

    def check(request: CheckBulkPermissionsRequest) -> CheckBulkPermissionsResponse:
        questions.append(request)
        granted = clock.monotonic() <= end
        answer = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION if granted else NO_PERMISSION
        item = CheckBulkPermissionsResponseItem(permissionship=answer)
        return CheckBulkPermissionsResponse(pairs=[CheckBulkPermissionsPair(item=item) for _ in request.items])

    server: Any = SimpleNamespace(clock=clock, check=check)
    found = lasting(server, expiring(SCHEMA)[:2])
    names = ("group:cdk8s-spicedb-rehearsal#member", "document:cdk8s-spicedb-rehearsal#reader")
    lasts = [f"{name}@user:cdk8s-spicedb-rehearsal" for name in names] if keeps == 1000 else []
    assert [str(each.question) for each in found] == lasts
    assert len(questions) in asked
