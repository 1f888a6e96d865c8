"""The steps of an upgrade: order, going on, failing, and going back."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import attrs
import pytest
from attrs import define, field

from cdk8s_spicedb import Delivery, InvalidProps, PermissionTest, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import upgrade
from cdk8s_spicedb.live.cluster import ClusterError
from cdk8s_spicedb.live.instance import Running
from cdk8s_spicedb.live.upgrade import lease, rollback
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.lease import BusyError
from cdk8s_spicedb.live.upgrade.record import Figures, Progress, Record, read_record, write_record
from cdk8s_spicedb.live.upgrade.rollback import plan_rollback, roll_back
from cdk8s_spicedb.live.upgrade.upgrade import UpgradeOptions, UpgradeStoppedError
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.apiserver import ApiServer
from tests.live.installed import deploy, props

OLD, NEW = "v1.52.0", "v1.56.0"
MODES = list(SCHEMA_MODES)
QUICK = UpgradeOptions(observe_seconds=0)


class Killed(BaseException):
    """The process is killed."""


@define
class Cluster:
    """A cluster whose program applies everything at once, and what it was told."""

    store: ApiServer
    calls: list[str] = field(factory=list)
    fails: dict[str, Exception | type[BaseException]] = field(factory=dict)
    """What a call raises, by its name."""
    number: int = 1
    history: dict[str, SpiceDBProps] = field(factory=dict)
    label: str | None = None
    schemas: list[str] = field(factory=list)

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def deploy(self, settings: SpiceDBProps) -> None:
        deploy(self.store, settings)
        self.history[str(self.number)] = settings
        self.number += 1


@define
class Program:
    """The deliverer of the cluster."""

    cluster: Cluster
    running: Running

    def revision(self) -> str:
        return str(self.cluster.number - 1)

    def recover(self, process: str | None) -> None:
        self.cluster.call(f"recover {process}")

    def apply(self, settings: SpiceDBProps, label: str, number: int, on_start: Callable[[int], None]) -> None:
        on_start(4711)
        self.cluster.call(f"apply {number}")
        self.cluster.deploy(settings)
        self.cluster.label = label
        self.cluster.call(f"applied {number}")

    def is_applied(self, label: str) -> bool:
        return self.cluster.label == label

    def roll_back(self, revision: str) -> None:
        self.cluster.call(f"roll back to {revision}")
        self.cluster.deploy(self.cluster.history[revision])

    def test(self) -> None:
        self.cluster.call("test")

    def roll_back_command(self, revision: str) -> str:
        return f"roll back to {revision}"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(ApiServer())
    made.store.deny("pods/proxy")

    def program(_: object, running: Running, __: object = None) -> Program:
        return Program(made, running)

    def write_again(_: object, settings: SpiceDBProps, __: object) -> None:
        made.call(f"schema in {settings.server.schema_mode}")

    for module in (import_module("cdk8s_spicedb.live.upgrade.upgrade"), rollback):
        monkeypatch.setattr(module, "deliverer_of", program)
        monkeypatch.setattr(module, "write_schema_again", write_again)
    made.deploy(props(OLD))
    return made


def wanted(mode: Any = MODES[-1], **fields: Any) -> SpiceDBProps:
    """The target, with a schema mode."""
    settings = props(NEW, **fields)
    return attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode=mode))


def run(cluster: Cluster, settings: SpiceDBProps, options: UpgradeOptions = QUICK, **more: Any) -> Record | None:
    return upgrade(cluster.store.cluster(), settings, options=options, **more)


def record_of(cluster: Cluster) -> Record:
    found = read_record(cluster.store.cluster(), "spicedb")
    assert found is not None
    return found


def test_all_steps_run_in_order_and_the_schema_is_written_again(cluster: Cluster) -> None:
    events: list[Progress] = []
    record = run(cluster, wanted(), report=events.append)
    assert record is not None
    assert record.done
    calls = [call for call in cluster.calls if not call.startswith("applied")]
    assert calls == ["apply 1", "apply 2", "schema in read-new-write-both", "apply 3", "apply 4"]
    assert [sound.schema_mode for sound in record.sound] == [None, *MODES]
    assert [sound.revision for sound in record.sound] == ["1", "2", "3", "4", "5"]
    assert record_of(cluster) == record
    assert not cluster.store.has("leases", "spicedb-upgrade")
    assert events[-1].activity == "done"


def test_new_settings_are_one_step(cluster: Cluster) -> None:
    record = run(cluster, props(OLD, labels={"team": "identity"}))
    assert record is not None
    assert [step.why for step in record.plan.steps] == ["apply the settings of the file"]
    assert cluster.history["2"].labels == {"team": "identity"}


def test_nothing_changes_if_you_say_no(cluster: Cluster) -> None:
    assert run(cluster, wanted(), confirm=lambda *_: False) is None
    assert cluster.calls == []
    assert not cluster.store.has("configmaps", "spicedb-upgrade")
    assert not cluster.store.has("leases", "spicedb-upgrade")


@pytest.mark.parametrize("point", ["apply 1", "applied 1", "applied 2", "schema in read-new-write-both", "apply 4"])
def test_killed_upgrade_goes_on_where_it_stood(cluster: Cluster, point: str) -> None:
    cluster.fails[point] = Killed
    with pytest.raises(Killed):
        run(cluster, wanted())
    cluster.fails.clear()
    record = run(cluster, wanted())
    assert record is not None
    assert record.done
    for number in range(1, 5):
        assert cluster.calls.count(f"applied {number}") == 1, "a step that was applied is not applied again"
    if point.startswith("appl"):
        assert any(call.startswith("recover") and call.endswith(":4711") for call in cluster.calls)


def test_step_is_applied_again_if_the_file_changed_meanwhile(cluster: Cluster) -> None:
    cluster.fails["applied 1"] = Killed
    with pytest.raises(Killed):
        run(cluster, wanted(None))
    cluster.fails.clear()
    assert run(cluster, wanted(None, labels={"team": "identity"}))
    assert cluster.calls.count("applied 1") == 2


def test_failed_step_is_rolled_back(cluster: Cluster) -> None:
    cluster.fails["apply 2"] = StepError("it failed", "line 1\nline 2")
    with pytest.raises(UpgradeStoppedError) as error:
        run(cluster, wanted())
    assert error.value.rolled_back
    assert cluster.calls[-1] == "roll back to 2"
    text = str(error.value)
    assert text.startswith("step 2 stopped: it failed\n    line 1\n    line 2\n")
    assert "The servers are back at v1.56.0 in read-legacy-write-legacy, and ready." in text
    record = record_of(cluster)
    assert (record.running, record.stopped, record.next_step) == (None, "it failed", 2)
    cluster.fails.clear()
    done = run(cluster, wanted())
    assert done is not None
    assert done.done


def test_failed_last_mode_is_rolled_back_with_the_schema(cluster: Cluster) -> None:
    cluster.fails["applied 4"] = StepError("it failed")
    with pytest.raises(UpgradeStoppedError):
        run(cluster, wanted())
    assert cluster.calls[-2:] == ["roll back to 4", "schema in read-new-write-new"]


def test_failed_step_stops_if_you_ask_for_it(cluster: Cluster) -> None:
    cluster.fails["apply 1"] = StepError("it failed")
    with pytest.raises(UpgradeStoppedError) as error:
        run(cluster, wanted(None), attrs.evolve(QUICK, on_failure="stop"))
    assert not error.value.rolled_back
    assert "To go back to v1.52.0 instead, run: roll back to 1" in str(error.value)
    assert record_of(cluster).running == 1


@pytest.mark.parametrize(
    ("version", "text"), [("v1.30.0", "restore the backup of the datastore"), ("v1.99.0", "It is not known whether")]
)
def test_failed_step_without_a_sure_rollback_stops(cluster: Cluster, version: str, text: str) -> None:
    current, target = ("v1.30.0", "v1.37.1") if version == "v1.30.0" else (NEW, "v1.99.0")
    cluster.deploy(props(current))
    cluster.fails["apply 1"] = StepError("it failed")
    with pytest.raises(UpgradeStoppedError) as error:
        run(cluster, props(target))
    assert text in str(error.value)
    assert "roll back" not in " ".join(cluster.calls)


def test_api_server_that_is_lost_in_a_step_stops_without_a_rollback(cluster: Cluster) -> None:
    cluster.fails["apply 1"] = ClusterError("cannot reach the API server")
    with pytest.raises(UpgradeStoppedError, match="Run the same command again to continue from there") as error:
        run(cluster, wanted(None))
    assert not error.value.rolled_back
    assert record_of(cluster).running == 1


def test_rollback_that_fails_says_how_to_try_again(cluster: Cluster) -> None:
    cluster.fails["apply 1"], cluster.fails["roll back to 1"] = StepError("it failed"), StepError("this too", "why")
    with pytest.raises(UpgradeStoppedError) as error:
        run(cluster, wanted(None))
    assert not error.value.rolled_back
    assert "The rollback failed too: this too\nwhy\nTo try again, run: roll back to 1" in str(error.value)


def test_permission_test_runs_after_each_step(cluster: Cluster) -> None:
    run(cluster, wanted(MODES[1], test=PermissionTest(resource="document", permission="read", subject="user")))
    assert cluster.calls.count("test") == 2


def test_another_target_is_refused_while_an_upgrade_is_under_way(cluster: Cluster) -> None:
    cluster.fails["apply 2"] = Killed
    with pytest.raises(Killed):
        run(cluster, wanted())
    with pytest.raises(SpiceDBError, match=r"an upgrade to v1\.56\.0 in read-new-write-new is under way, and 1 of 4"):
        run(cluster, wanted(MODES[1]))


def test_upgrade_that_changed_nothing_does_not_bind(cluster: Cluster) -> None:
    cluster.fails["apply 1"] = StepError("it failed")
    with pytest.raises(UpgradeStoppedError):
        run(cluster, wanted())
    cluster.fails.clear()
    record = run(cluster, wanted(None))
    assert record is not None
    assert len(record.plan.steps) == 1


def test_process_that_lost_its_lease_stops(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)

    def taken(*_: object) -> bool:
        held = cluster.store.get("leases", "spicedb-upgrade")
        held["spec"]["holderIdentity"] = "somebody@elsewhere:1:abc"
        time.sleep(0.1)
        return True

    with pytest.raises(BusyError, match=r"lost the Lease spicedb-upgrade: somebody@elsewhere:1 "):
        run(cluster, wanted(), confirm=taken)
    assert cluster.calls == []
    assert cluster.store.has("leases", "spicedb-upgrade")


def test_release_of_another_delivery_or_without_version_is_refused(cluster: Cluster) -> None:
    with pytest.raises(SpiceDBError, match="the file has delivery: kubectl, but the release was applied with helm"):
        run(cluster, attrs.evolve(props(NEW), delivery=Delivery.KUBECTL))
    deployment = cluster.store.get("deployments", "spicedb")
    template = deployment["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "spicedb@sha256:" + 64 * "0"
    del template["metadata"]["labels"]["app.kubernetes.io/version"]
    with pytest.raises(InvalidProps, match="use an image with a tag"):
        run(cluster, props(NEW))


def test_nothing_to_upgrade_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match="there is no Deployment spicedb in the namespace authz"):
        upgrade(ApiServer().cluster(), props(NEW))


# ---------------------------------------------------------------- observing


def metrics(requests: int, errors: int = 0) -> str:
    """The metrics of a server that has answered some requests, each in less than 10 ms."""
    labels = 'grpc_method="CheckPermission",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"'
    lines = [
        f'grpc_server_handled_total{{grpc_code="OK",{labels}}} {requests - errors}',
        f'grpc_server_handled_total{{grpc_code="Unavailable",{labels}}} {errors}',
        f'grpc_server_handling_seconds_bucket{{{labels},le="0.01"}} {requests}',
        f'grpc_server_handling_seconds_bucket{{{labels},le="+Inf"}} {requests}',
    ]
    return "\n".join(lines)


def test_servers_that_fail_requests_are_rolled_back(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    served = {"requests": 1000, "errors": 0}

    def pause(_: float) -> None:
        served["requests"] += 1000
        served["errors"] += 50 if "applied 1" in cluster.calls else 0

    cluster.store.allow("pods/proxy")
    cluster.store.pages["*"] = lambda _: metrics(served["requests"] // 2, served["errors"] // 2)
    monkeypatch.setattr(time, "sleep", pause)
    events: list[Progress] = []
    with pytest.raises(UpgradeStoppedError, match=r"worse than before: 5\.0% of 1000 requests failed, 0\.0% before"):
        run(cluster, wanted(None), UpgradeOptions(observe_seconds=1), report=events.append)
    assert any("1000 requests, 5.00% failed, 99th percentile 10 ms (10 ms before)" in event.text for event in events)


def test_metrics_that_cannot_be_read_do_not_stop(cluster: Cluster) -> None:
    events: list[Progress] = []
    assert run(cluster, wanted(None), UpgradeOptions(observe_seconds=1), report=events.append)
    assert any("they are not observed" in event.text for event in events)


def test_record_survives_its_way_to_the_cluster(cluster: Cluster) -> None:
    record = run(cluster, wanted())
    assert record is not None
    figures = Figures(requests=5, error_ratio=0.5, p99_seconds=None)
    changed = attrs.evolve(record, before=figures, stopped="reason")
    write_record(cluster.store.cluster(), "spicedb", changed)
    assert record_of(cluster) == changed
    assert cluster.store.get("configmaps", "spicedb-upgrade")["data"]["steps-done"] == "4 of 4"


# ---------------------------------------------------------------- rollback


def test_rollback_goes_back_one_step_at_a_time(cluster: Cluster) -> None:
    run(cluster, wanted())
    kube = cluster.store.cluster()
    with pytest.raises(SpiceDBError, match="add --file"):
        roll_back(kube, "spicedb")
    for number, mode in ((4, MODES[2]), (3, MODES[1]), (2, MODES[0])):
        back = roll_back(kube, "spicedb", props=wanted())
        assert back is not None
        assert (back.target.revision, back.target.schema_mode) == (str(number), mode) or cluster.number > 6
        assert record_of(cluster).sound[-1].schema_mode == mode
    assert cluster.calls.count("schema in read-new-write-new") == 1
    last = roll_back(kube, "spicedb")
    assert last is not None
    assert last.target.version == OLD
    assert record_of(cluster).next_step == 1


def test_rollback_of_a_stopped_step(cluster: Cluster) -> None:
    cluster.fails["applied 1"] = StepError("it failed")
    with pytest.raises(UpgradeStoppedError):
        run(cluster, wanted(None), attrs.evolve(QUICK, on_failure="stop"))
    back = plan_rollback(cluster.store.cluster(), "spicedb")
    assert back.target.version == OLD
    assert back.cautions[0].startswith("the datastore schema stays as it is")
    assert roll_back(cluster.store.cluster(), "spicedb")
    assert record_of(cluster).running is None


def test_rollback_to_servers_that_do_not_start_is_refused(cluster: Cluster) -> None:
    cluster.deploy(props("v1.30.0"))
    run(cluster, props("v1.37.1"))
    kube = cluster.store.cluster()
    assert roll_back(kube, "spicedb"), "the last step does not migrate"
    with pytest.raises(SpiceDBError, match=r"servers of v1\.30\.0 do not start on .*add --force"):
        roll_back(kube, "spicedb")
    assert roll_back(kube, "spicedb", force=True)


def test_rollback_that_fails_says_why(cluster: Cluster) -> None:
    run(cluster, wanted(None))
    cluster.fails["roll back to 1"] = StepError("it failed", "details")
    with pytest.raises(SpiceDBError, match="the rollback failed: it failed\ndetails"):
        roll_back(cluster.store.cluster(), "spicedb")


def test_rollback_without_a_record_uses_the_history(cluster: Cluster) -> None:
    cluster.deploy(props(NEW))
    back = plan_rollback(cluster.store.cluster(), "spicedb")
    assert (back.target.version, back.target.revision) == (OLD, "1")
    assert "no record of the upgrade" in back.cautions[1]
    assert roll_back(cluster.store.cluster(), "spicedb", confirm=lambda _: False) is None


def test_api_server_that_never_returns_is_an_error(cluster: Cluster) -> None:
    with cluster.store.unreachable(), pytest.raises(SpiceDBError, match="cannot reach the API server"):
        plan_rollback(cluster.store.cluster(), "spicedb")
