"""Known faults of the release, and of the Helm that applies it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import Delivery, MySQL, SchemaProps, SecretKey, SpiceDBProps
from cdk8s_spicedb.live.check.advisories import advisory_findings, helm_version
from cdk8s_spicedb.live.check.check import check
from cdk8s_spicedb.live.check.finding import Finding, Level
from tests.apiserver import ApiServer
from tests.live.installed import installable, props

CLUSTER = ApiServer().cluster()
EXPIRES = SchemaProps(text="use expiration\ndefinition user {}")


@pytest.fixture(autouse=True)
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the Helm of this machine."""
    monkeypatch.setenv("PATH", str(tmp_path))


def on_mysql(version: str, schema: SchemaProps | None = EXPIRES, **fields: Any) -> SpiceDBProps:
    return SpiceDBProps(
        version=version, datastore=MySQL(uri=SecretKey("spicedb", "datastore-uri")), schema=schema, **fields
    )


def found(settings: SpiceDBProps) -> list[Finding]:
    return list(advisory_findings(CLUSTER, settings))


def helm(folder: Path, version: str) -> None:
    program = folder / "helm"
    program.write_text(f'#!/bin/sh\n[ "$*" = "version --template {{{{.Version}}}}" ] && echo {version}\n')
    program.chmod(0o755)


def test_a_severe_fault_is_a_failure_until_the_file_accepts_it() -> None:
    [finding] = found(on_mysql("v1.57.0"))
    assert finding.level is Level.FAILURE
    assert finding.text.startswith("spicedb-3431 (severe): a relationship that has expired keeps granting")
    assert finding.fix == "use v1.57.1 or later; or accept it in the file: acceptAdvisories: [spicedb-3431]"
    [finding] = found(on_mysql("v1.57.0", accept_advisories=["spicedb-3431"]))
    assert finding == Finding.ok("Known faults", "none that is not accepted is known of v1.57.0 with these settings")


def test_a_fault_that_may_concern_the_file_is_a_warning() -> None:
    [finding] = found(on_mysql("v1.57.0", schema=None))
    assert finding.level is Level.WARNING
    assert finding.text.endswith(", if its schema has `use expiration`")


def test_what_does_not_concern_the_file_is_not_named() -> None:
    [finding] = found(on_mysql("v1.57.0", SchemaProps(text="definition user {}")))
    assert finding == Finding.ok("Known faults", "none is known of v1.57.0 with these settings")
    assert [each.level for each in found(props("v1.57.1"))] == [Level.OK]


def test_faults_of_low_severity_are_named_together() -> None:
    *_, last = found(props("v1.53.0"))
    assert last.level is Level.WARNING
    assert last.text == "those of v1.53.0 that depend on your schema or your requests: GHSA-4vrg-r928-h5vv"


def test_a_check_fails_on_a_severe_fault() -> None:
    for accepted, ok in (((), False), (("spicedb-3431",), True)):
        settings = on_mysql("v1.57.0", accept_advisories=accepted)
        report = check(installable().cluster(), settings, database=False)
        assert report.ok is ok, accepted


@pytest.mark.parametrize(
    ("version", "delivery", "levels"),
    [
        ("v4.2.1", Delivery.HELM, [Level.OK, Level.WARNING]),
        ("v4.2.2", Delivery.HELM, [Level.OK]),
        ("v4.2.1", Delivery.KUBECTL, [Level.OK]),
        ("nothing", Delivery.HELM, [Level.OK]),
    ],
)
def test_a_helm_with_a_fault_is_named(version: str, delivery: Delivery, levels: list[Level], tmp_path: Path) -> None:
    helm(tmp_path, version)
    findings = found(props("v1.57.1", delivery=delivery))
    assert [each.level for each in findings] == levels
    if len(levels) > 1:
        assert findings[1].text.startswith("Helm v4.2.1 on this machine: helm-32224 (moderate): ")
        assert findings[1].fix == "use v4.2.2 or later, or an earlier one"
        accepted = props("v1.57.1", delivery=delivery, accept_advisories=["helm-32224"])
        assert [each.level for each in found(accepted)] == [Level.OK]


def test_the_version_of_helm_is_unknown_without_it(tmp_path: Path) -> None:
    assert helm_version(CLUSTER) is None
    (tmp_path / "helm").write_text("no program")
    os.chmod(tmp_path / "helm", 0o755)
    assert helm_version(CLUSTER) is None
    helm(tmp_path, "v4.2.0")
    assert helm_version(CLUSTER) == "v4.2.0"
