"""The plan of an upgrade, as findings."""

from __future__ import annotations

import attrs

from cdk8s_spicedb import MySQL, SecretKey, SpiceDBProps, plan_upgrade
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.plan import Planned, planned, step_images, time_findings
from cdk8s_spicedb.live.instance import find_running
from cdk8s_spicedb.live.record import Record, RecordFile
from tests.apiserver import ApiServer
from tests.live.installed import deploy, installable, props

from .findings import texts


def found(cluster: ApiServer, settings: SpiceDBProps | None = None) -> Planned:
    live = cluster.cluster()
    return planned(live, settings or props(), find_running(live, "spicedb"))


def upgrading(version: str = "v1.52.0") -> ApiServer:
    cluster = installable()
    deploy(cluster, props(version))
    return cluster


def only(result: Planned) -> Finding:
    (finding,) = result.findings
    assert result.plan is None
    return finding


def test_nothing_runs_yet() -> None:
    assert only(found(installable())) == Finding.ok("Plan", "install v1.56.0: nothing runs yet")


def test_each_step_is_a_line() -> None:
    result = found(upgrading("v1.13.0"))
    assert result.plan is not None
    steps = {finding.subject for finding in result.findings if finding.subject.startswith("Step")}
    count = len(result.plan.steps)
    assert count > 1
    assert steps == {f"Step {number} of {count}" for number in range(1, count + 1)}
    assert result.steps == result.plan.steps
    cautions = [caution for step in result.plan.steps for caution in step.cautions]
    assert {finding.text for finding in result.findings} >= {*cautions, *result.plan.warnings}


def test_without_the_database_the_times_are_for_each_million_rows() -> None:
    findings = list(time_findings(found(upgrading("v1.13.0"))))
    assert {(finding.level, finding.subject) for finding in findings} == {(Level.OK, "Migrations")}
    text = next(finding.text for finding in findings if "backfill-xid-add-indices" in finding.text)
    assert text.startswith("v1.14.0: migration backfill-xid-add-indices fills relation_tuple, about ")
    assert "for each million relationships (measured in batches of 1000 rows); nobody waits" in text
    assert not list(time_findings(found(installable())))


def test_a_step_without_a_way_back_is_a_warning() -> None:
    result = found(upgrading("v1.13.0"))
    assert result.plan is not None
    for number, step in enumerate(result.plan.steps, 1):
        first = next(finding for finding in result.findings if finding.subject.startswith(f"Step {number} of"))
        assert first.level is (Level.OK if step.rolls_back else Level.WARNING)
        assert bool(first.fix) is not bool(step.rolls_back)


def test_only_settings_change() -> None:
    result = found(upgrading("v1.56.0"))
    assert texts(result.findings)[0] == "Plan: v1.56.0 runs already: an upgrade changes only settings, in 1 step"


def test_an_older_target_is_a_failure() -> None:
    finding = only(found(upgrading("v1.56.0"), props("v1.52.0")))
    assert finding.level is Level.FAILURE
    assert finding.text.startswith("version is 'v1.52.0'; allowed: v1.56.0 or later")
    assert "roll back with your tool" in finding.fix


def test_another_engine_is_a_failure() -> None:
    mysql = MySQL(uri=SecretKey("spicedb", "datastore-uri"))
    finding = only(found(upgrading(), attrs.evolve(props(), datastore=mysql)))
    assert (finding.subject, finding.level) == ("Engine", Level.FAILURE)


def test_an_unknown_release_has_no_plan() -> None:
    cluster = upgrading()
    template = cluster.get("deployments", "spicedb")["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "registry.example.com/spicedb:latest"
    template["metadata"]["labels"].pop("app.kubernetes.io/version")
    assert only(found(cluster)).level is Level.WARNING


def test_an_upgrade_that_is_under_way_goes_on() -> None:
    cluster = upgrading("v1.13.0")
    live = cluster.cluster()
    running = find_running(live, "spicedb")
    assert running is not None
    plan = plan_upgrade(props().datastore, "v1.13.0", "v1.56.0")
    record = Record.start(plan, running, "1").begin(1).finish("2").stop("no quota", running=None)
    RecordFile(live, "spicedb").write(record)
    result = found(cluster)
    assert (result.plan, result.done, result.interrupted) == (plan, 1, False)
    assert result.findings[0].level is Level.WARNING
    assert "1 of " in result.findings[0].text
    assert result.findings[0].text.endswith("It stopped: no quota")
    assert not any(finding.subject.startswith("Step 1 ") for finding in result.findings)
    other = found(cluster, props("v1.55.0"))
    assert (other.findings[0].level, other.plan) == (Level.FAILURE, None)


def test_the_images_of_steps_are_known_unless_they_have_a_digest() -> None:
    result = found(upgrading("v1.13.0"))
    images, problems = step_images(props(), result)
    assert result.plan is not None
    assert images == list(dict.fromkeys(f"ghcr.io/authzed/spicedb:{step.version}" for step in result.plan.steps))
    assert problems == []
    pinned = attrs.evolve(props(), image=f"registry.example.com/spicedb@sha256:{'0' * 64}")
    images, problems = step_images(pinned, result)
    assert images == []
    assert {problem.level for problem in problems} == {Level.FAILURE}
