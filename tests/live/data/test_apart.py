"""One server that no client reaches, and what it answers beside the servers that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Memory, NetworkPolicies, SchemaProps, ServerProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import Cluster
from cdk8s_spicedb.live.apart import NotReadyError, pod_apart, server_apart
from cdk8s_spicedb.live.data.questions import spread
from cdk8s_spicedb.live.data.reach import reaching_apart
from cdk8s_spicedb.live.data.server import Server
from cdk8s_spicedb.live.upgrade import answers
from tests.apiserver import ApiServer, Request, matches
from tests.live.clock import FakeClock
from tests.live.installed import NEW, props
from tests.spicedbserver import SpiceDBServer

from .conftest import SCHEMA, TEXTS, connect
from .test_reach import calls as calls
from .test_reach import installed

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def starting(api: ApiServer, **status: Any) -> None:
    """Gives each new pod a status."""

    def start(_: Request, pod: Any) -> None:
        pod["status"] = status

    api.on(matches("create", "pods"), start)


def test_no_service_selects_the_pod() -> None:
    spread_out: Any = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}, "nodeAffinity": {}}
    settings = props(server=ServerProps(dispatch_enabled=True, affinity=spread_out), network_policies=NetworkPolicies())
    pod = pod_apart(settings, 600)
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "migration", "policies let it reach the database"
    assert pod["spec"]["activeDeadlineSeconds"] == 600
    assert set(pod["spec"]["affinity"]) == {"nodeAffinity"}
    assert "topologySpreadConstraints" not in pod["spec"]
    (container,) = pod["spec"]["containers"]
    assert "lifecycle" not in container
    assert not [each for each in container["args"] if "dispatch-upstream" in each]


def test_it_is_asked_while_it_lasts(calls: Callable[[], list[str]]) -> None:
    api = installed()
    starting(api, **READY)
    with reaching_apart(api.cluster(), props(NEW), seconds=600) as server:
        assert server.schema()[0]
        (pod,) = (each for each in api.of("pods") if "apart" in each["metadata"]["name"])
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Deployment", "it goes with the release"
    (call,) = calls()
    assert call.startswith(f"port-forward pod/{pod['metadata']['name']} :50051")
    assert not [each for each in api.of("pods") if "apart" in each["metadata"]["name"]]


def test_a_server_that_does_not_become_ready_says_why(clock: FakeClock) -> None:
    api = installed()
    ended = {"terminated": {"exitCode": 1, "message": '{"level":"error","error":"no such host"}'}}
    waits = {"name": "spicedb", "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    starting(api, containerStatuses=[{**waits, "lastState": ended}])
    with (
        pytest.raises(NotReadyError, match="it stopped 6 times: no such host"),
        server_apart(api.cluster(clock=clock), props(NEW), seconds=600),
    ):
        pass
    assert not [each for each in api.of("pods") if "apart" in each["metadata"]["name"]]
    api = installed()
    with (
        pytest.raises(NotReadyError, match=rf"a server of {NEW} was not ready within 60 s"),
        server_apart(api.cluster(clock=clock), props(NEW), seconds=600),
    ):
        pass
    api.deny("pods", "create")
    with pytest.raises(NotReadyError, match="pods"), server_apart(api.cluster(clock=clock), props(NEW), seconds=600):
        pass


@pytest.fixture
def two(spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SpiceDBServer, SpiceDBServer]]:
    """The servers that run, and the new one, for the comparison of an upgrade."""
    with SpiceDBServer(SCHEMA) as new:

        def reach(spicedb: SpiceDBServer) -> Callable[..., Any]:
            @contextmanager
            def act(*_: object, **__: object) -> Iterator[Server]:
                yield connect(spicedb)

            return act

        monkeypatch.setattr(answers, "reaching", reach(spicedb))
        monkeypatch.setattr(answers, "reaching_apart", reach(new))
        yield spicedb, new


def compared(cluster: Cluster, before: answers.Answers) -> list[str]:
    return list(answers.compare(cluster, props(NEW), before).lines())


def test_answers_of_the_new_server(two: tuple[SpiceDBServer, SpiceDBServer]) -> None:
    _, new = two
    cluster = ApiServer().cluster()
    before = answers.ask(cluster, props(NEW), 50)
    assert {"yes", "no"} <= set(before.answered)
    new.put(*TEXTS)
    assert compared(cluster, before) == []
    # What has changed on both sides meanwhile, such as what has expired, is no difference.
    assert compared(cluster, attrs.evolve(before, answered=["it was another one"] * len(before.asked))) == []


def test_different_answers_are_told(two: tuple[SpiceDBServer, SpiceDBServer]) -> None:
    _, new = two
    new.put("document:d1#reader@user:u1")
    before = answers.ask(ApiServer().cluster(), props(NEW), 50)
    (first, *_) = compared(ApiServer().cluster(), before)
    assert first.startswith("document#")
    assert "are no instead of yes" in first


def test_nothing_is_asked_without_a_schema(
    two: tuple[SpiceDBServer, SpiceDBServer], empty: SpiceDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def reach(*_: object) -> Iterator[Server]:
        yield connect(empty)

    monkeypatch.setattr(answers, "reaching", reach)
    before = answers.ask(ApiServer().cluster(), props(NEW), 50)
    assert before.asked == ()
    assert compared(ApiServer().cluster(), before) == []


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (props(NEW, datastore=Memory()), "a new server has none of the data"),
        (props(NEW, schema=SchemaProps(text="definition user {}")), "changes the SpiceDB schema"),
        (props(NEW, schema=SchemaProps(config_map="schema", config_map_key="it")), "changes the SpiceDB schema"),
    ],
)
def test_a_comparison_that_says_nothing_is_refused(
    two: tuple[SpiceDBServer, SpiceDBServer], settings: SpiceDBProps, why: str
) -> None:
    api = ApiServer()
    api.put("configmaps", {"metadata": {"name": "schema"}, "data": {"it": "definition other {}"}})
    with pytest.raises(SpiceDBError, match=why):
        answers.ask(api.cluster(), settings, 50)
    assert answers.ask(api.cluster(), props(NEW, schema=SchemaProps(text=SCHEMA)), 50).asked
    api.deny("deployments", "update")
    with pytest.raises(SpiceDBError, match="you may not update the Deployment spicedb"):
        answers.ask(api.cluster(), props(NEW), 50)


def test_a_sample_has_each_relation(spicedb: SpiceDBServer) -> None:
    found = spread(connect(spicedb), SCHEMA, "", 4)
    assert {each.relation for each in found} == {"reader"}
    assert 1 <= len(found) <= 4
