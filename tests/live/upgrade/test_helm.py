"""Releases of Helm."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.labels import HELM_HOOK, HELM_RELEASE
from cdk8s_spicedb.live.check.database.engine import client_pod
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.poll import CLOCK, Clock
from cdk8s_spicedb.live.programs import Ended
from cdk8s_spicedb.live.upgrade import helm
from cdk8s_spicedb.live.upgrade.deliver import OtherProgramError, StepError
from cdk8s_spicedb.live.upgrade.prepare import deliverer_of
from tests.apiserver import ApiServer
from tests.live.clock import FakeClock
from tests.live.installed import (
    NEW,
    OLD,
    deploy,
    helm_revision,
    migration_job,
    props,
    seen_in,
    servers,
    waiting,
)


class Helm:
    """A Helm that does what a test says."""

    def __init__(self, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.commands = api, list[list[str]]()
        self.outcomes: dict[str, list[Ended]] = {}
        monkeypatch.setattr(helm, "run", self.run)

    def run(self, command: list[str], cluster: Cluster, *, seconds: float, watch: Any) -> Ended:
        self.commands.append(command[1:])
        assert watch() is None
        assert 0 < seconds < 10_000
        waiting = self.outcomes.get(command[1], [])
        uid = self.api.get("deployments", "spicedb")["metadata"]["uid"]
        empty = {"get": "{}", "template": f'---\n# Source: lookup/templates/uid.yaml\ndata:\n  uid: "{uid}"\n'}
        return waiting.pop(0) if waiting else Ended(True, empty.get(command[1], ""))

    def called(self, name: str) -> list[list[str]]:
        return [command for command in self.commands if command[0] == name]


@pytest.fixture
def a_helm(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Helm:
    return Helm(api, monkeypatch)


def of_helm(
    api: ApiServer, notes: list[str] | None = None, clock: Clock = CLOCK, pending: str | None = None
) -> helm.HelmDeliverer:
    def notify(text: str, seconds_left: int | None = None) -> None:
        if notes is not None:
            notes.append(text)

    found = deliverer_of(api.cluster(clock=clock), seen_in(api), notify)
    assert isinstance(found, helm.HelmDeliverer)
    return attrs.evolve(found, started=STARTED, pending=pending)


STARTED = "2030-01-01T00:00:00Z"
OURS = "2030-01-01T000000Z.3f2a91bc"
"""The label of the revisions of this upgrade, before their number."""


def pending(api: ApiServer, label: str | None = f"{OURS}.2", status: str = "pending-upgrade") -> None:
    """Leaves the second revision unfinished."""
    helm_revision(api, 2, status)
    labels = api.get("secrets", "sh.helm.release.v1.release.v2")["metadata"]["labels"]
    labels.update({} if label is None else {"cdk8s-spicedb/upgrade": label})


def test_helm_upgrades_with_a_chart_of_the_step(api: ApiServer, a_helm: Helm) -> None:
    of_helm(api).apply(props(NEW), "the label", 3)
    (command,) = a_helm.called("upgrade")
    assert command[1] == "release"
    assert command[3:6] == ["--description", "the label", "--labels"]
    assert command[6].startswith("cdk8s-spicedb/upgrade=2030-01-01T000000Z.")
    assert command[6].endswith(".2"), "the number that the revision will have"
    assert command[7:9] == ["--wait", "--timeout"]
    assert command[-2:] == ["--namespace", "authz"]


def test_helm_keeps_the_values_of_the_release(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["get"] = [Ended(True, '{"replicas": 3}')]
    notes: list[str] = []
    of_helm(api, notes).apply(props(NEW), "the label", 1)
    assert "--reset-then-reuse-values" in a_helm.called("upgrade")[0]
    assert "the release keeps its own values: replicas" in notes


def test_failed_helm_says_why(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Ended(False, "log line\nError: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError, match="helm upgrade: Error: UPGRADE FAILED: job failed") as error:
        of_helm(api).apply(props(NEW), "label", 1)
    assert error.value.details.startswith("log line")


def test_passwords_in_the_output_of_helm_are_hidden(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Ended(False, "postgres://spicedb:hidden@db/x\nError: postgres://u:hidden@db")]
    with pytest.raises(StepError) as error:
        of_helm(api).apply(props(NEW), "label", 1)
    assert "hidden@" not in f"{error.value} {error.value.details}"
    assert "(hidden)@db" in error.value.details


@pytest.mark.parametrize(
    "output",
    [
        "Error: dial tcp 10.0.0.1:443: connect: connection refused",
        "Error: UPGRADE FAILED: pre-upgrade hooks failed: resource Job/authz/x not ready. status: Unknown, message:",
        'level=WARN msg="failed to update release" error="Put \\"https://10.0.0.1\\": EOF"\nError: UPGRADE FAILED: x',
    ],
)
def test_helm_runs_again_after_an_outage(api: ApiServer, a_helm: Helm, output: str) -> None:
    pending(api)
    a_helm.outcomes["upgrade"] = [Ended(False, output)]
    of_helm(api).apply(props(NEW), "label", 1)
    assert len(a_helm.called("upgrade")) == 2
    assert not api.has("secrets", "sh.helm.release.v1.release.v2"), "Helm refuses a pending release"


def test_outage_of_the_database_in_the_log_of_a_hook_is_none_of_the_api_server(api: ApiServer, a_helm: Helm) -> None:
    log = '{"level":"error","message":"dial tcp 10.0.0.2:5432: connect: connection refused"}'
    a_helm.outcomes["upgrade"] = [Ended(False, f"{log}\nError: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError, match="job failed"):
        of_helm(api).apply(props(NEW), "label", 1)
    assert len(a_helm.called("upgrade")) == 1


def test_step_that_helm_finished_in_spite_of_an_error_is_done(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Ended(False, "Error: EOF")]
    applies = of_helm(api)
    helm_revision(api, 2)
    labels = api.get("secrets", "sh.helm.release.v1.release.v2")["metadata"]["labels"]
    labels["cdk8s-spicedb/upgrade"] = f"{applies._mark('label')}2"
    applies.apply(props(NEW), "label", 1)
    assert len(a_helm.called("upgrade")) == 1


def test_killed_helm_is_recovered_when_nothing_changes_any_more(api: ApiServer, a_helm: Helm) -> None:
    pending(api)
    clock, notes = FakeClock(), list[str]()
    of_helm(api, notes, clock).recover()
    assert 60 <= clock.seconds <= 63
    assert [each.status for each in of_helm(api).revisions()] == ["deployed"]
    assert notes[0] == "Helm may still be running; waiting to see whether anything changes"
    assert notes[-1] == "Helm was killed; removing its unfinished revision 2"
    of_helm(api, clock=clock).recover()
    assert clock.seconds <= 63


def test_helm_that_still_runs_is_waited_for(api: ApiServer, a_helm: Helm) -> None:
    pending(api)

    def finish(seconds: float) -> None:
        if seconds >= 10:
            helm_revision(api, 2)

    clock = FakeClock(on_sleep=finish)
    of_helm(api, clock=clock).recover()
    assert 10 <= clock.seconds <= 12
    assert [each.status for each in of_helm(api).revisions()] == ["superseded", "deployed"]


def test_helm_whose_migration_runs_is_waited_for(api: ApiServer, a_helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(api)
    migration_job(api)
    clock = FakeClock(on_sleep=lambda seconds: api.remove("jobs") if seconds == 200 else None)
    of_helm(api, clock=clock).recover()
    assert 260 <= clock.seconds <= 263
    pending(api)
    migration_job(api)
    monkeypatch.setattr(helm, "_LONGEST_SECONDS", 240)
    with pytest.raises(StepError, match="another Helm has worked on the release for more than 4 min"):
        of_helm(api, clock=FakeClock()).recover()


def test_helm_rolls_back_and_tests(api: ApiServer, a_helm: Helm) -> None:
    of_helm(api).roll_back("1")
    assert a_helm.called("rollback")[0][:3] == ["rollback", "release", "1"]
    of_helm(api).test()
    a_helm.outcomes = {"rollback": [Ended(False, "Error: x")], "test": [Ended(False, "Error: y")]}
    with pytest.raises(StepError, match="helm rollback: Error: x"):
        of_helm(api).roll_back("1")
    with pytest.raises(StepError, match="the permission test failed: Error: y"):
        of_helm(api).test()
    assert of_helm(api).roll_back_command("1") == "helm rollback release 1 --namespace authz --wait"


@pytest.mark.parametrize(
    ("annotations", "stays"),
    [
        ({HELM_RELEASE: "release"}, False),
        ({HELM_RELEASE: "release", HELM_HOOK: "pre-install,pre-upgrade"}, True),
        ({}, True),
    ],
    ids=["of the release", "hook", "of kubectl"],
)
def test_a_rollback_stops_the_migration_that_helm_ran_again(
    annotations: dict[str, str], stays: bool, api: ApiServer, a_helm: Helm
) -> None:
    """A migration that is no hook is an object of the older revision, and cannot work on the newer schema."""
    job = migration_job(api)
    api.put("jobs", {**job, "metadata": {**job["metadata"], "annotations": annotations}})
    of_helm(api).roll_back("1")
    assert api.has("jobs", "spicedb-migration") is stays


@pytest.mark.parametrize("label", [None, f"{OURS}.1", "2029-12-31T235959Z.3f2a91bc.2"])
def test_lock_of_somebody_elses_helm_is_never_removed(api: ApiServer, a_helm: Helm, label: str | None) -> None:
    """Helm copies the labels of a release to its next revision, so ours can be on a revision of somebody else."""
    pending(api, label)
    text = "another Helm works on the release release: its revision 2 is pending-upgrade; wait until it ends"
    with pytest.raises(OtherProgramError, match=text):
        of_helm(api).require_usable()
    with pytest.raises(OtherProgramError, match=text):
        of_helm(api).recover()
    with pytest.raises(OtherProgramError, match=text):
        of_helm(api).roll_back("1")
    assert api.has("secrets", "sh.helm.release.v1.release.v2")
    assert a_helm.called("rollback") == []


def test_helm_that_refuses_to_begin_leaves_no_trace(api: ApiServer, a_helm: Helm) -> None:
    refusal = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress"
    a_helm.outcomes["upgrade"] = [Ended(False, "", refusal)]
    with pytest.raises(OtherProgramError, match="another Helm works on the release release"):
        of_helm(api).apply(props(NEW), "label", 1)
    assert len(a_helm.called("upgrade")) == 1


def test_rollback_that_was_interrupted_is_recovered(api: ApiServer, a_helm: Helm) -> None:
    """Helm cannot label a rollback, so the record has the number of its revision."""
    pending(api, None, "pending-rollback")
    clock = FakeClock()
    of_helm(api, clock=clock, pending="2").recover()
    assert not api.has("secrets", "sh.helm.release.v1.release.v2")


@pytest.mark.parametrize("output", ["", "[]", "[{}", "W: old\nnull", "text"])
def test_values_that_cannot_be_read_stop_the_step(api: ApiServer, a_helm: Helm, output: str) -> None:
    """Otherwise an upgrade would drop them."""
    a_helm.outcomes["get"] = [Ended(True, output)]
    if output == "[]":
        of_helm(api).apply(props(NEW), "label", 1)
        return
    with pytest.raises(StepError, match="helm get has not written JSON"):
        of_helm(api).apply(props(NEW), "label", 1)
    assert a_helm.called("upgrade") == []


def test_other_cluster_of_helm_is_refused(api: ApiServer, a_helm: Helm) -> None:
    of_helm(api).require_usable()
    for seen in ('  uid: "another"\n', '  uid: ""\n', ""):
        a_helm.outcomes["template"] = [Ended(True, seen)]
        with pytest.raises(SpiceDBError, match="does not see the Deployment spicedb in https://cluster"):
            of_helm(api).require_usable()
    a_helm.outcomes["template"] = [Ended(False, "", "Error: postgres://u:hidden@h")]
    with pytest.raises(SpiceDBError, match=r"helm template: Error: postgres://\(hidden\)@h"):
        of_helm(api).require_usable()


@pytest.mark.parametrize("revision", ["--kube-context=prod", "", "1 --x", "1;ls", "²"])
def test_revision_is_never_an_option(api: ApiServer, a_helm: Helm, revision: str) -> None:
    with pytest.raises(StepError, match="is no revision of a Helm release"):
        of_helm(api).roll_back(revision)
    assert a_helm.commands == []


@pytest.mark.parametrize("output", ["", "{}", "[1]", '[{"revision": 1}]', '[{"revision": 1, "app_version": null}]'])
def test_odd_history_of_helm_is_an_unknown_version(api: ApiServer, a_helm: Helm, output: str) -> None:
    a_helm.outcomes["history"] = [Ended(True, output)]
    assert of_helm(api).version_of("1") is None


def test_helm_release_without_a_deployed_revision_is_an_error(api: ApiServer) -> None:
    api.remove("secrets")
    with pytest.raises(SpiceDBError, match="the Helm release release has no deployed revision"):
        of_helm(api).revision()


def test_release_of_an_old_revision(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["history"] = [Ended(True, '[{"revision": 1, "app_version": "v1.52.0"}]')]
    assert of_helm(api).version_of("1") == OLD


def test_broken_server_ends_the_wait_for_helm(api: ApiServer) -> None:
    watch = of_helm(api).watcher()
    assert watch() is None
    deploy(api, props(NEW))
    for pod in servers(api):
        last = {"terminated": {"exitCode": 2}}
        pod["status"] = waiting("CrashLoopBackOff", restartCount=4, lastState=last)
    assert watch() == f"pod {servers(api)[0]['metadata']['name']}: it stopped 5 times: exit code 2"
    with api.unreachable():
        assert watch() is None


def test_migration_without_its_image_ends_the_wait(api: ApiServer) -> None:
    clock = FakeClock()
    migration_job(api, **waiting("ErrImagePull", "why"))
    watch = of_helm(api, clock=clock).watcher()
    assert watch() is None
    clock.seconds += 16
    assert watch() == "pod migrate-0: ErrImagePull: why"


def test_pod_of_a_check_does_not_end_the_wait(api: ApiServer) -> None:
    """It has the labels of the migration's pods, and can be somebody else's."""
    clock = FakeClock()
    pod = client_pod(props(), "no-such-image", "postgres.sh", "")
    api.put("pods", {**pod, "status": waiting("CreateContainerError", "why")})
    watch = of_helm(api, clock=clock).watcher()
    assert watch() is None
    clock.seconds += 16
    assert watch() is None


def test_failed_migration_is_explained(api: ApiServer, a_helm: Helm) -> None:
    migration_job(api, {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"})
    a_helm.outcomes["upgrade"] = [Ended(False, "Error: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError) as error:
        of_helm(api).apply(props(NEW), "label", 1)
    assert error.value.details.splitlines()[1:] == ["Job spicedb-migration: DeadlineExceeded", "migrating"]


def test_servers_that_a_rollback_replaces_do_not_end_it(api: ApiServer) -> None:
    applies = of_helm(api)
    deploy(api, props(NEW))
    for pod in servers(api):
        pod["status"] = waiting("CrashLoopBackOff", restartCount=4, lastState={"terminated": {"exitCode": 2}})
    watch = applies.watcher()
    assert watch() is None


@pytest.mark.parametrize("name", ["--kubeconfig=/tmp/evil", "a,name=b", "../x", ""])
def test_name_of_a_release_is_never_an_option(api: ApiServer, a_helm: Helm, name: str) -> None:
    api.get("deployments", "spicedb")["metadata"]["annotations"]["meta.helm.sh/release-name"] = name
    applies = of_helm(api)
    if not name:
        assert applies.release == "spicedb"
        return
    for act in (applies.revisions, applies.test, lambda: applies.roll_back("1")):
        with pytest.raises(SpiceDBError, match="which is no Helm release"):
            act()
    assert a_helm.commands == []
