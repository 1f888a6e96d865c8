"""Requests to the API server: what is repeated, for how long, and how much is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from cdk8s_spicedb.live import http
from cdk8s_spicedb.live.apierror import ClusterError, Conflict, NotFound, OddAnswer, Unreachable, reads
from cdk8s_spicedb.live.cluster import CONFIG_MAP, DEPLOYMENT, POD, SECRET, Cluster, Kind
from cdk8s_spicedb.live.poll import CLOCK
from tests.apiserver import ApiServer, Object, matches
from tests.live.clock import FakeClock

RESET = httpx2.ReadError("connection reset")
NEVER_ARRIVED = httpx2.ConnectError("connection refused")
SLOW = httpx2.ReadTimeout("timed out")
ETCD = (500, "etcdserver: leader changed")
TEMPORARY = [RESET, NEVER_ARRIVED, SLOW, 429, 502, 503, 504, ETCD, httpx2.Response(200, text="<html>log in</html>")]


def config_map(name: str = "a", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def patient(api: ApiServer, clock: FakeClock, seconds: float = 60) -> Cluster:
    return api.cluster(patience_seconds=seconds, clock=clock)


# ---------------------------------------------------------------- what is repeated


@pytest.mark.parametrize("fault", TEMPORARY, ids=str)
def test_what_passes_is_waited_for(api: ApiServer, clock: FakeClock, fault: Any) -> None:
    acts: list[tuple[Callable[[Cluster], object], str, str]] = [
        (lambda cluster: cluster.get(DEPLOYMENT, "spicedb"), "get", "deployments"),
        (lambda cluster: cluster.find(POD), "list", "pods"),
        (lambda cluster: cluster.apply(config_map()), "patch", "configmaps"),
        (lambda cluster: cluster.delete(CONFIG_MAP, "a"), "delete", "configmaps"),
        (lambda cluster: cluster.create(config_map("b"), dry_run=True), "create", "configmaps"),
        (lambda cluster: cluster.may("get", POD), "create", "selfsubjectaccessreviews"),
    ]
    for act, verb, kind in acts:
        api.requests.clear()
        api.fail(matches(verb, kind), fault, times=2)
        act(patient(api, clock))
        assert api.count(verb, kind) == 3
        api.fail(matches(verb, kind), fault, times=1)
        with pytest.raises(ClusterError):
            act(api.cluster(clock=clock))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((401, "Unauthorized"), "the API server at https://cluster does not accept your credentials: Unauthorized"),
        (httpx2.Response(503, text="<html>" + "busy " * 500), "HTTP status 503: <html>busy busy"),
        (httpx2.Response(404, text="404 page not found"), "404 page not found (from https://cluster)"),
    ],
)
def test_what_is_refused_is_said_briefly(api: ApiServer, clock: FakeClock, answer: Any, text: str) -> None:
    api.fail(lambda _: True, answer, times=None)
    with pytest.raises(ClusterError) as raised:
        api.cluster(clock=clock).apply(config_map())
    assert text in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("fault", [400, 401, 403, 404, 409, 410, 422, 500, (500, "admission webhook failed")], ids=str)
def test_what_does_not_pass_is_an_error_at_once(api: ApiServer, clock: FakeClock, fault: Any) -> None:
    api.fail(matches("patch", "configmaps"), fault, times=1)
    with pytest.raises(ClusterError):
        patient(api, clock).apply(config_map())
    assert clock.seconds == 0


def test_request_that_creates_is_repeated_only_if_it_never_arrived(api: ApiServer, clock: FakeClock) -> None:
    fault: Any
    for fault in (NEVER_ARRIVED, 429):
        api.requests.clear()
        api.fail(matches("create", "configmaps"), fault, times=1)
        patient(api, clock).create(config_map(f"after-{len(str(fault))}"))
        assert api.count("create", "configmaps") == 2
    for fault in (RESET, SLOW, 502, 503, 504, ETCD):
        api.requests.clear()
        api.fail(matches("create", "configmaps"), fault, times=1)
        with pytest.raises(ClusterError):
            patient(api, clock).create(config_map("b"))
        assert api.count("create", "configmaps") == 1


def test_patience_ends(api: ApiServer, clock: FakeClock) -> None:
    api.away = True
    with pytest.raises(Unreachable, match="cannot reach the API server at https://cluster: "):
        patient(api, clock, 60).get(DEPLOYMENT, "spicedb")
    assert 50 <= clock.seconds <= 60


def test_api_server_says_when_to_come_back(api: ApiServer, clock: FakeClock) -> None:
    def busy(seconds: str) -> httpx2.Response:
        return httpx2.Response(429, headers={"Retry-After": seconds}, json={"message": "too many requests"})

    api.fail(matches("get", "deployments"), busy("7"), times=1)
    assert patient(api, clock).get(DEPLOYMENT, "spicedb") is not None
    assert 7 <= clock.seconds <= 9
    # Longer than the patience, or nonsense: it is not waited for without an end.
    for text, longest in (("3600", 60), ("-1", 1), ("tomorrow", 1), ("9" * 400, 1)):
        before = clock.seconds
        api.fail(matches("get", "deployments"), busy(text), times=1)
        patient(api, clock, 60).get(DEPLOYMENT, "spicedb")
        assert clock.seconds - before <= longest


def test_last_requests_before_the_end_take_no_time(api: ApiServer, clock: FakeClock) -> None:
    api.away = True
    with pytest.raises(Unreachable):
        patient(api, clock).leaving().delete(CONFIG_MAP, "a")
    assert clock.seconds == 0


# ---------------------------------------------------------------- what is read


def test_answer_that_is_no_json_object_is_one_error(api: ApiServer) -> None:
    for text in ("", "[]", "null", "<html>", '{"a":', "[" * 100_000, '{"a":' * 100_000):
        api.fail(matches("get", "deployments"), httpx2.Response(200, text=text), times=1)
        with pytest.raises(Unreachable, match="a proxy may have answered"):
            api.cluster().get(DEPLOYMENT, "spicedb")
    api.fail(matches("get", "deployments"), httpx2.Response(302, headers={"Location": "https://login"}), times=1)
    with pytest.raises(Unreachable, match=r"it is a redirect \(302\)"):
        api.cluster().get(DEPLOYMENT, "spicedb")
    broken = httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=Endless(b"no gzip", times=1))
    api.fail(matches("get", "deployments"), broken, times=1)
    with pytest.raises(Unreachable):
        api.cluster().get(DEPLOYMENT, "spicedb")


class Endless(httpx2.SyncByteStream):
    """An answer in many parts, and the number of those that somebody has read."""

    def __init__(self, part: bytes, times: int = 1_000_000) -> None:
        self.part, self.times, self.read = part, times, 0

    def __iter__(self) -> Iterator[bytes]:
        while self.read < self.times:
            self.read += 1
            yield self.part


def test_answers_have_a_limit(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    mib = b"x" * (1 << 20)
    for verb, resource in (("get", "pods/log"), ("get", "pods/proxy")):
        endless = Endless(mib)
        api.fail(matches(verb, resource), httpx2.Response(200, stream=endless), times=1)
        if resource == "pods/log":
            assert len(api.cluster().log("spicedb-0", "spicedb")) == 4 << 20, "it is cut"
        else:
            with pytest.raises(ClusterError, match="has more than 16 MiB"):
                api.cluster().ask_pod("spicedb-0", 9090, "metrics")
        assert endless.read <= 18
    monkeypatch.setattr(http, "MOST_BYTES", 10)
    assert [request.query["limitBytes"] for request in api.requests if request.subresource == "log"] == [str(4 << 20)]


def test_answer_that_never_ends_has_a_deadline(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod may send a byte now and then, so that no single read takes too long."""
    moments = iter(range(0, 10_000, 2))
    monkeypatch.setattr(CLOCK, "monotonic", lambda: float(next(moments)))
    slow = Endless(b"#")
    api.fail(matches("get", "pods/proxy"), httpx2.Response(200, stream=slow), times=1)
    with pytest.raises(Unreachable, match="took more than 5 s"):
        api.cluster().ask_pod("spicedb-0", 9090, "metrics")
    assert slow.read < 10


def test_null_is_what_is_not_there(api: ApiServer) -> None:
    odd = {"metadata": {"name": "spicedb", "labels": None}, "spec": {"a": [{"b": None}]}, "status": None}
    api.fail(matches("get", "deployments"), httpx2.Response(200, json=odd), times=1)
    assert api.cluster().get(DEPLOYMENT, "spicedb") == {"metadata": {"name": "spicedb"}, "spec": {"a": [{}]}}


def test_one_bad_object_hides_no_other(api: ApiServer) -> None:
    items = [None, 1, {}, {"metadata": None}, {"metadata": {"name": 7}}, {"metadata": {"name": "good"}}]
    for answer in (items, [*reversed(items)]):
        api.fail(matches("list", "pods"), httpx2.Response(200, json={"items": answer}), times=1)
        assert [each["metadata"]["name"] for each in api.cluster().find(POD)] == ["good"]
    api.fail(matches("list", "pods"), httpx2.Response(200, json={"items": {"a": 1}}), times=1)
    with pytest.raises(Unreachable, match="is not a list of Pods"):
        api.cluster().find(POD)


def test_object_of_another_shape_is_an_error_of_its_own() -> None:
    @reads("the test")
    def read(value: Object) -> object:
        return value["a"]["b"]

    values: list[Object] = [{}, {"a": None}, {"a": 1}, {"a": {}}]
    for value in values:
        with pytest.raises(OddAnswer, match="cannot read the test: it is not as Kubernetes describes it"):
            read(value)
    with pytest.raises(ZeroDivisionError):
        reads("the test")(lambda: 1 // 0)()


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["..", ".", "../../kube-system/secrets/admin", "a/b", "a%2fb", "%2e%2e"])
def test_name_never_leaves_its_place_in_a_path(api: ApiServer, name: str) -> None:
    api.requests.clear()
    assert api.cluster().get(SECRET, name) is None, "no object can have it"
    with pytest.raises(NotFound, match="no object can have the name"):
        api.cluster(namespace=name).find(POD)
    if "/" in name or "%" in name:
        with pytest.raises(NotFound):
            api.cluster().ask_pod(name, 9090, "metrics")
    assert api.requests == []


def test_odd_characters_of_a_name_are_quoted(api: ApiServer) -> None:
    api.requests.clear()
    api.cluster(namespace="z?x=y#").find(POD)
    assert api.requests[0].path.endswith("/namespaces/z?x=y#/pods")
    assert api.requests[0].query == {}


def test_only_the_object_that_was_read_is_deleted(api: ApiServer) -> None:
    cluster = api.cluster()
    read = cluster.create(config_map())
    cluster.apply(config_map(changed="yes"))
    with pytest.raises(Conflict):
        cluster.delete(CONFIG_MAP, "a", only=read)
    cluster.delete(CONFIG_MAP, "a", only=cluster.get(CONFIG_MAP, "a"))
    assert cluster.get(CONFIG_MAP, "a") is None


def test_kinds_of_an_odd_list_are_one_error(api: ApiServer) -> None:
    api.fail(lambda request: request.path.endswith("/example.com/v1"), httpx2.Response(200, json={"resources": [1]}))
    with pytest.raises(OddAnswer, match="cannot read the cluster's list of kinds"):
        api.cluster().has(Kind("example.com/v1", "Thing"))
