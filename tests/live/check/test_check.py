"""The whole check, and the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.check import lines
from cdk8s_spicedb.live.apierror import ClusterError
from cdk8s_spicedb.live.check.check import CheckReport, check
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.cluster import Cluster
from tests.apiserver import NAMESPACE
from tests.live.installed import deploy, installable, props

from .findings import texts

FILE = "version: v1.56.0\ndatastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"


def test_a_release_that_can_be_installed() -> None:
    cluster = installable()
    report = check(cluster.cluster(), props(), database=False, schema=False)
    assert report.ok
    assert report.plan is None
    assert [finding.subject for finding in report.findings] == [
        f"Namespace {NAMESPACE}",
        "Plan",
        "Nodes",
        "Known faults",
        "Secret spicedb",
        "Rights",
        "Objects",
        "Pods",
        "ResourceQuotas",
        "Images",
        "Database",
    ]
    assert not cluster.count("change", dry_run=False)


def test_a_release_that_can_be_upgraded() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    report = check(cluster.cluster(), props(), database=False, schema=False)
    assert report.ok
    assert report.plan is not None
    assert (report.plan.current, report.plan.target) == ("v1.52.0", "v1.56.0")
    subjects = [finding.subject for finding in report.findings]
    assert subjects.index("Deployment spicedb") < subjects.index("Plan") < subjects.index("Secret spicedb")


def test_without_the_namespace_nothing_else_is_asked() -> None:
    cluster = installable()
    cluster.remove("namespaces", NAMESPACE)
    (finding,) = check(cluster.cluster(), props()).findings
    assert finding.fix.startswith(f"create it with `kubectl create namespace {NAMESPACE}`")
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE, "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    (finding,) = check(cluster.cluster(), props()).findings
    assert finding.text == "is being deleted"


def test_a_question_that_is_not_allowed_is_a_warning() -> None:
    cluster = installable(("list", "jobs"), ("get", "namespaces"))
    report = check(cluster.cluster(), props(), database=False, schema=False)
    assert texts(report.findings)[0].startswith(f"Namespace {NAMESPACE}: not checked")
    assert texts(report.findings, Level.WARNING)[0].startswith("Servers: not checked in full: jobs.batch is forbidden")
    assert [finding.subject for finding in report.findings if finding.level is Level.FAILURE] == ["Rights"]


def test_a_cluster_that_cannot_be_reached_is_an_error() -> None:
    cluster = installable()
    with cluster.unreachable(), pytest.raises(ClusterError, match="cannot reach the API server"):
        check(cluster.cluster(), props())


def test_a_report_has_aligned_lines_and_a_summary() -> None:
    findings = (
        Finding.ok("Namespace authz", "exists"),
        Finding.warning("Plan", "two\nlines"),
        Finding.failure("Secret spicedb", "does not exist", "create it"),
    )
    report = CheckReport(findings=findings, plan=None)
    assert not report.ok
    assert [str(line) for line in lines(report)] == [
        "ok       Namespace authz  exists",
        "warning  Plan             two lines",
        "failure  Secret spicedb   does not exist",
        "                          fix: create it",
        "1 failure, 1 warning, 1 ok",
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "spicedb.yaml").write_text(FILE)
    return tmp_path / "spicedb.yaml"


def test_the_command_prints_the_report(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = installable()
    monkeypatch.setattr(Cluster, "connect", lambda **_: cluster.cluster())
    arguments = ["check", "--file", str(file), "--no-database", "--no-schema", "-n", NAMESPACE]
    assert main(arguments) == 0
    assert re.fullmatch(r"0 failures, \d+ warnings?, \d+ ok", capsys.readouterr().out.splitlines()[-1])
    cluster.remove("secrets", "spicedb")
    assert main([*arguments, "--output", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"findings", "plan"}
    failures = [finding for finding in report["findings"] if finding["level"] == "failure"]
    assert [finding["subject"] for finding in failures] == ["Secret spicedb"]


def test_without_the_right_to_see_what_runs_the_rest_is_checked() -> None:
    cluster = installable(("get", "deployments"))
    cluster.put("services", {"metadata": {"name": "spicedb"}, "spec": {}})
    report = check(cluster.cluster(), props("v1.57.1"), database=False, schema=False)
    assert [finding.subject for finding in report.findings if finding.level is Level.WARNING] == ["Plan"]
    assert [finding.subject for finding in report.findings if finding.level is Level.FAILURE] == ["Rights"]
