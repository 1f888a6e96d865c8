"""Whatever the cluster answers: one clear error, or an answer. Never another exception, and never a secret.

Each example takes what a cluster answers, and replaces or removes parts of it.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live import diff, plan_rollback, status, statuses
from cdk8s_spicedb.live.check.check import check
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.record import RecordFile, read_record
from cdk8s_spicedb.live.upgrade.metrics import counts
from tests.apiserver import NAMESPACE, ApiServer
from tests.live.installed import NEW, OLD, deploy, helm_revision, migration_job, props
from tests.live.test_record import RECORD

HOSTILE = settings(deadline=None, suppress_health_check=[*HealthCheck])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["", "\x1b[2J", "٣", "-1"])
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def changed(draw: st.DrawFn, value: Any, most: int = 3) -> Any:
    """A value of which up to so many parts are replaced or removed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, most))):
        parent, key = _place(draw, value)
        if parent is None:
            return draw(VALUES)
        if draw(st.booleans()):
            del parent[key]
        else:
            parent[key] = draw(VALUES)
    return value


def _place(draw: st.DrawFn, value: Any) -> tuple[Any, Any]:
    """A part of a value: what contains it, and its key."""
    parent, key = None, None
    while isinstance(value, (dict, list)) and value and (parent is None or draw(st.integers(0, 4))):
        keys = [*value] if isinstance(value, dict) else [*range(len(value))]
        parent, key = value, draw(st.sampled_from(keys))
        value = parent[key]
    return parent, key


def record_with(text: str) -> Cluster:
    api = ApiServer()
    api.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}, "data": {"record.json": text}})
    return api.cluster()


def _record() -> Any:
    api = ApiServer()
    RecordFile(api.cluster(), "spicedb").write(RECORD)
    return json.loads(api.get("configmaps", "spicedb-upgrade")["data"]["record.json"])


@HOSTILE
@given(content=changed(_record()) | VALUES)
def test_records(content: Any) -> None:
    with contextlib.suppress(SpiceDBError):
        read_record(record_with(json.dumps(content)), "spicedb")


@HOSTILE
@given(text=st.text() | st.sampled_from(["[" * 100_000, '{"format": 1, "plan": ' * 50_000]))
def test_texts_of_records(text: str) -> None:
    with contextlib.suppress(SpiceDBError):
        read_record(record_with(text), "spicedb")


METRICS = """\
grpc_server_handled_total{grpc_code="OK",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 10
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="0.1"} 9
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="+Inf"} 10
"""
_PIECES = st.sampled_from(
    ['"', "{", "}", "=", ",", " ", "NaN", "-1", "1e999", "\\", "\n", "le", "grpc_code", "\x00", "# TYPE x"]
)


@HOSTILE
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(METRICS)), st.integers(0, 20), _PIECES | st.text(max_size=4)), max_size=4
    )
)
def test_metrics(edits: list[tuple[int, int, str]]) -> None:
    text = METRICS
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    with contextlib.suppress(SpiceDBError):
        counts(text).figures()


def _cluster() -> ApiServer:
    """A cluster with everything that the commands look at."""
    api = ApiServer()
    deploy(api, props(OLD))
    helm_revision(api, 1)
    migration_job(api)
    RecordFile(api.cluster(), "spicedb").write(RECORD)
    about = {"kind": "Pod", "name": "spicedb-57954bb68b-p87mn"}
    event = {"metadata": {"name": "e"}, "type": "Warning", "reason": "X", "message": "m", "involvedObject": about}
    api.put("events", {**event, "lastTimestamp": "2030-01-01T00:00:00Z"})
    return api


COMMANDS: dict[str, Callable[[Cluster], object]] = {
    "status": lambda cluster: status(cluster, "spicedb", drift=True, certificates=True),
    "list": lambda cluster: statuses(cluster, everywhere=True),
    "check": lambda cluster: check(cluster, props(NEW), database=False, schema=False),
    "diff": lambda cluster: diff(cluster, props(NEW)),
    "rollback": lambda cluster: plan_rollback(cluster, "spicedb"),
}


class Answers:
    """The answers of a cluster, by request. Some may be replaced."""

    def __init__(self, **replaced: bytes) -> None:
        self.api, self.replaced, self.given = _cluster(), replaced, dict[str, bytes]()

    def cluster(self) -> Cluster:
        return Cluster(
            httpx2.Client(transport=httpx2.MockTransport(self._answer), base_url="https://cluster"), NAMESPACE
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        response = self.api.answer(request)
        key = f"{request.method} {request.url.path}"
        self.given.setdefault(key, response.content)
        return httpx2.Response(response.status_code, content=self.replaced.get(key, response.content))


@cache
def answers_to(command: str) -> dict[str, Any]:
    """What a cluster answers to the requests of a command, as far as it is JSON."""
    answers = Answers()
    with contextlib.suppress(SpiceDBError):
        COMMANDS[command](answers.cluster())
    return {key: json.loads(text) for key, text in answers.given.items() if text[:1] == b"{"}


@pytest.mark.parametrize("command", COMMANDS)
@settings(HOSTILE, max_examples=20)
@given(data=st.data())
def test_answers(command: str, data: st.DataObject) -> None:
    key, answer = data.draw(st.sampled_from(sorted(answers_to(command).items(), key=lambda item: item[0])))
    odd = json.dumps(data.draw(changed(answer))).encode()
    with contextlib.suppress(SpiceDBError):
        COMMANDS[command](Answers(**{key: odd}).cluster())
