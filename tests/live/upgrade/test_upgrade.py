"""The steps of an upgrade: order, going on, failing, and going back."""

from __future__ import annotations

from unittest.mock import ANY

import attrs
import pytest

from cdk8s_spicedb import Delivery, InvalidProps, PermissionTest, ServerProps, SpiceDBError
from cdk8s_spicedb.live import Activity, Outcome, Progress, State, upgrade
from cdk8s_spicedb.live.apierror import Unreachable
from cdk8s_spicedb.live.record import Figures, RecordFile
from cdk8s_spicedb.live.upgrade.deliver import Deliverer, OtherProgramError, StepError
from cdk8s_spicedb.live.upgrade.lease import BusyError
from cdk8s_spicedb.live.upgrade.upgrade import UpgradeOptions
from tests.apiserver import ApiServer
from tests.live.installed import props

from .program import MODES, NEW, OLD, QUICK, Killed, World, done, record_of, run, stopped, wanted
from .program import world as world


def test_all_steps_run_in_order_and_the_schema_is_written_again(world: World) -> None:
    events: list[Progress] = []
    record = done(run(world, wanted(), report=events.append))
    calls = [call for call in world.calls if not call.startswith("applied")]
    assert calls == ["apply 1", "apply 2", "schema in read-new-write-both", "apply 3", "apply 4"]
    assert [sound.schema_mode for sound in record.sound] == [None, *MODES]
    assert [sound.revision for sound in record.sound] == ["1", "2", "3", "4", "5"]
    assert record_of(world) == record
    assert not world.api.has("leases", "spicedb-upgrade")
    assert events[-1].activity == "done"


def test_new_settings_are_one_step(world: World) -> None:
    record = done(run(world, props(OLD, labels={"team": "identity"})))
    assert [step.why for step in record.plan.steps] == ["apply the settings of the file"]
    assert world.history["2"].labels == {"team": "identity"}


def test_nothing_changes_if_you_say_no(world: World) -> None:
    assert run(world, wanted(), confirm=lambda _: False) == Outcome(state=State.REFUSED, record=ANY)
    assert world.calls == []
    assert not world.api.has("configmaps", "spicedb-upgrade")
    assert not world.api.has("leases", "spicedb-upgrade")


@pytest.mark.parametrize("point", ["apply 1", "applied 1", "applied 2", "schema in read-new-write-both", "apply 4"])
def test_killed_upgrade_goes_on_where_it_stood(world: World, point: str) -> None:
    world.fails[point] = Killed
    with pytest.raises(Killed):
        run(world, wanted())
    world.fails.clear()
    done(run(world, wanted()))
    for number in range(1, 5):
        assert world.calls.count(f"applied {number}") == 1, "a step that was applied is not applied again"
    assert ("recover" in world.calls) is point.startswith("appl")


def test_step_is_applied_again_if_the_file_changed_meanwhile(world: World) -> None:
    world.fails["applied 1"] = Killed
    with pytest.raises(Killed):
        run(world, wanted(None))
    world.fails.clear()
    done(run(world, wanted(None, labels={"team": "identity"})))
    assert world.calls.count("applied 1") == 2


def test_failed_step_is_rolled_back(world: World) -> None:
    world.fails["apply 2"] = StepError("it failed", "line 1\nline 2")
    error = stopped(run(world, wanted()), State.ROLLED_BACK)
    assert world.calls[-1] == "roll back to 2"
    text = str(error)
    assert text.startswith("step 2 stopped: it failed\n    line 1\n    line 2\n")
    assert "The servers are back at v1.56.0 in read-legacy-write-legacy, and ready." in text
    record = record_of(world)
    assert (record.running, record.stopped, record.next_step) == (None, "it failed", 2)
    world.fails.clear()
    done(run(world, wanted()))


def test_failed_last_mode_is_rolled_back_with_the_schema(world: World) -> None:
    world.fails["applied 4"] = StepError("it failed")
    stopped(run(world, wanted()), State.ROLLED_BACK)
    assert world.calls[-2:] == ["roll back to 4", "schema in read-new-write-new"]


def test_failed_step_stops_if_you_ask_for_it(world: World) -> None:
    world.fails["apply 1"] = StepError("it failed")
    error = stopped(run(world, wanted(None), attrs.evolve(QUICK, on_failure="stop")))
    assert "To go back to v1.52.0 instead, run: roll back to 1" in str(error)
    assert record_of(world).running == 1


@pytest.mark.parametrize(
    ("version", "text"), [("v1.30.0", "restore the backup of the datastore"), ("v1.99.0", "It is not known whether")]
)
def test_failed_step_without_a_sure_rollback_stops(world: World, version: str, text: str) -> None:
    current, target = ("v1.30.0", "v1.37.1") if version == "v1.30.0" else (NEW, "v1.99.0")
    world.deploy(props(current))
    world.fails["apply 1"] = StepError("it failed")
    error = stopped(run(world, props(target)))
    assert text in str(error)
    assert "roll back" not in " ".join(world.calls)


def test_api_server_that_is_lost_in_a_step_stops_without_a_rollback(world: World) -> None:
    world.fails["apply 1"] = Unreachable("cannot reach the API server")
    error = stopped(run(world, wanted(None)))
    assert "Run the same command again to continue from there" in str(error)
    assert record_of(world).running == 1


def test_rollback_that_fails_says_how_to_try_again(world: World) -> None:
    world.fails["apply 1"], world.fails["roll back to 1"] = StepError("it failed"), StepError("this too", "why")
    error = stopped(run(world, wanted(None)))
    assert "The rollback failed too: this too\nwhy\nTo try again, run: roll back to 1" in str(error)


def test_permission_test_runs_after_each_step(world: World) -> None:
    run(world, wanted(MODES[1], test=PermissionTest(resource="document", permission="read", subject="user")))
    assert world.calls.count("test") == 2


def test_another_target_is_refused_while_an_upgrade_is_under_way(world: World) -> None:
    world.fails["apply 2"] = Killed
    with pytest.raises(Killed):
        run(world, wanted())
    with pytest.raises(SpiceDBError, match=r"an upgrade to v1\.56\.0 in read-new-write-new is under way, and 1 of 4"):
        run(world, wanted(MODES[1])).require_done()


def test_upgrade_that_changed_nothing_does_not_bind(world: World) -> None:
    world.fails["apply 1"] = StepError("it failed")
    stopped(run(world, wanted()), State.ROLLED_BACK)
    world.fails.clear()
    record = done(run(world, wanted(None)))
    assert len(record.plan.steps) == 1


def test_process_that_lost_its_lease_stops(world: World) -> None:
    def taken(*_: object) -> bool:
        world.api.get("leases", "spicedb-upgrade")["spec"]["holderIdentity"] = "somebody@elsewhere:1:abc"
        world.clock.seconds += 60
        return True

    outcome = run(world, wanted(), confirm=taken)
    assert outcome.state is State.REFUSED
    with pytest.raises(BusyError, match=r"lost the Lease spicedb-upgrade: somebody@elsewhere:1 "):
        outcome.require_done()
    assert world.calls == []
    assert world.api.has("leases", "spicedb-upgrade")


def test_release_of_another_delivery_or_without_version_is_refused(world: World) -> None:
    with pytest.raises(SpiceDBError, match="the file has delivery: kubectl, but the release was applied with Helm"):
        run(world, attrs.evolve(props(NEW), delivery=Delivery.KUBECTL)).require_done()
    deployment = world.api.get("deployments", "spicedb")
    template = deployment["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "spicedb@sha256:" + 64 * "0"
    del template["metadata"]["labels"]["app.kubernetes.io/version"]
    with pytest.raises(InvalidProps, match="use an image with a tag"):
        run(world, props(NEW)).require_done()


def test_nothing_to_upgrade_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match="there is no Deployment spicedb in the namespace authz"):
        upgrade(ApiServer().cluster(), props(NEW)).require_done()


@pytest.mark.parametrize(
    "error", [OSError("no space left"), UnicodeEncodeError("ascii", "…", 0, 1, "x"), SystemExit(1)]
)
def test_a_report_that_fails_stops_nothing(world: World, error: BaseException) -> None:
    told: list[str] = []

    def report(progress: Progress) -> None:
        told.append(progress.text)
        if progress.step:
            raise error

    world.fails["apply 2"] = StepError("it failed")
    stopped(run(world, wanted(), report=report), State.ROLLED_BACK)
    assert told[-1].startswith("v1.56.0 in read-legacy-write-legacy: "), "it is not called again"
    assert world.calls[-1] == "roll back to 2"


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


def test_servers_that_fail_requests_are_rolled_back(world: World) -> None:
    served = {"requests": 1000, "errors": 0}

    def pause(_: float) -> None:
        served["requests"] += 1000
        served["errors"] += 50 if "applied 1" in world.calls else 0

    world.api.pages["*"] = lambda _: metrics(served["requests"] // 2, served["errors"] // 2)
    world.clock.on_sleep = pause
    events: list[Progress] = []
    outcome = run(world, wanted(None), UpgradeOptions(observe_seconds=1, check=None), report=events.append)
    error = stopped(outcome, State.ROLLED_BACK)
    assert "worse than before: 5.0% of 1000 requests failed, 0.0% before" in str(error)
    (event,) = [each for each in events if each.activity is Activity.OBSERVE]
    assert event.text == "1000 requests, 5.00% failed, 99th percentile 10 ms (10 ms before)"
    assert event.seconds_left == 0


def test_metrics_that_cannot_be_read_do_not_stop(world: World) -> None:
    events: list[Progress] = []
    done(run(world, wanted(None), UpgradeOptions(observe_seconds=1, check=None), report=events.append))
    assert any("they are not observed" in event.text for event in events)


def test_record_survives_its_way_to_the_cluster(world: World) -> None:
    record = done(run(world, wanted()))
    figures = Figures(requests=5, error_ratio=0.5, p99_seconds=None)
    changed = attrs.evolve(record, before=figures, stopped="reason")
    file = RecordFile(world.cluster(), "spicedb")
    file.read()
    file.write(changed)
    assert record_of(world) == changed
    assert world.api.get("configmaps", "spicedb-upgrade")["data"]["steps-done"] == "4 of 4"


def test_step_is_done_only_when_its_servers_run(world: World) -> None:
    """A value of the Helm release may keep an older image, although Helm has succeeded."""
    world.acts["applied 1"] = lambda _: world.deploy(props(OLD))
    error = stopped(run(world, wanted(None)), State.ROLLED_BACK)
    assert error.reason.startswith("version of the servers is v1.52.0, but this step needs v1.56.0")
    assert record_of(world).sound[-1].step == 0


def test_other_settings_of_the_servers_are_named(world: World) -> None:
    told: list[Progress] = []
    other = wanted(None, server=ServerProps(log_level="debug", replicas=3))
    world.acts["applied 1"] = lambda _: world.deploy(other)
    done(run(world, wanted(None), report=told.append))
    assert "these settings of the servers are not those of the file: --log-level, replicas" in [
        each.text for each in told
    ]


def test_rollback_of_a_step_is_done_only_when_the_older_servers_run(world: World) -> None:
    world.fails["apply 1"] = StepError("it failed")
    world.acts["rolled back to 1"] = lambda _: world.deploy(wanted(None))
    error = stopped(run(world, wanted(None)))
    assert "version of the servers is v1.56.0 after the rollback, and not v1.52.0" in str(error)


def test_program_that_sees_another_cluster_changes_nothing(world: World) -> None:
    world.uid = "another"
    outcome = run(world, wanted(None))
    assert (outcome.state, world.calls) == (State.REFUSED, [])
    assert "does not see the Deployment spicedb in https://cluster" in outcome.reason
    assert not world.api.has("configmaps", "spicedb-upgrade")


def test_another_program_that_was_faster_is_no_failure(world: World) -> None:
    world.fails["apply 1"] = OtherProgramError("another Helm works on the release")
    outcome = run(world, wanted(None))
    assert (outcome.state, outcome.reason) == (State.REFUSED, "another Helm works on the release")
    assert record_of(world).running is None
    world.fails = {"apply 2": OtherProgramError("another Helm works on the release")}
    outcome = run(world, wanted())
    assert outcome.state is State.STOPPED, "the first step has changed something"
    assert "roll back" not in " ".join(world.calls)
    world.fails.clear()
    done(run(world, wanted()))


def test_nobody_else_writes_the_record(world: World) -> None:
    def change(_: Deliverer) -> None:
        record = world.api.get("configmaps", "spicedb-upgrade")
        world.api.put("configmaps", {**record, "data": {**record["data"], "stopped": "by hand"}})

    world.acts["applied 1"] = change
    outcome = run(world, wanted(None))
    assert outcome.state is State.STOPPED
    assert "somebody else changed the ConfigMap spicedb-upgrade" in outcome.reason
