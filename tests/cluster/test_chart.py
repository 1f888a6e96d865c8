"""A written chart: packaged, rendered, installed and configured with values."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

from cdk8s_spicedb import write_helm_chart

from .cluster import Namespace, Object, run
from .databases import postgres_revision
from .props import NEW_HEAD, on_postgres


@frozen
class Package:
    """A packaged chart and the Helm program that installs it."""

    program: str
    file: str
    namespace: Namespace

    def helm(self, *arguments: str, check: bool = True) -> str:
        result = run(self.program, *arguments, "--namespace", self.namespace.name, check=check)
        return result.stdout + result.stderr

    def upgrade(self, *values: str) -> str:
        options = [part for value in values for part in ("--set", value)]
        return self.helm("upgrade", "--install", "release", self.file, "--wait", "--timeout=90s", *options)


@pytest.fixture(params=["helm", "helm3"])
def package(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Package:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    write_helm_chart(tmp_path / "chart", on_postgres(), version="1.2.3", name="authz")
    run(request.param, "lint", "--strict", str(tmp_path / "chart"))
    run(request.param, "package", str(tmp_path / "chart"), "--destination", str(tmp_path))
    return Package(request.param, str(tmp_path / "authz-1.2.3.tgz"), namespace)


def arguments(deployment: Object) -> Sequence[str]:
    arguments: Sequence[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return arguments


def test_packaged_chart_is_rendered_installed_and_upgraded_with_values(package: Package, postgres: None) -> None:
    namespace = package.namespace
    assert "kind: Deployment" in package.helm("template", "release", package.file, "--kube-version=1.30.0")
    assert "STATUS: pending-install" in package.helm("install", "release", package.file, "--dry-run=server")
    assert namespace.get("deployment", "spicedb") is None, "a dry run applies nothing"

    package.upgrade("migrations.targetMigration=head")
    assert postgres_revision(namespace) == NEW_HEAD
    notes = package.helm("get", "notes", "release")
    for text in ("2 servers", f"spicedb.{namespace.name}:50051", "helm rollback release REVISION", "WARNING"):
        assert (text in notes) is (text != "WARNING")
    first = namespace.get("deployment", "spicedb")
    assert first

    package.upgrade("replicas=1", "logLevel=warn", "migrations.enabled=false", "podAnnotations.team=identity")
    second = namespace.get("deployment", "spicedb")
    assert second
    assert second["spec"]["replicas"] == 1
    assert "--log-level=warn" in arguments(second)
    assert second["spec"]["template"]["metadata"]["annotations"]["team"] == "identity"
    key = "checksum/migration-config"
    annotations = [deployment["spec"]["template"]["metadata"]["annotations"] for deployment in (first, second)]
    assert annotations[0][key] != annotations[1][key]
    assert "The migration is disabled" in package.helm("get", "notes", "release")


def test_invalid_values_apply_nothing(package: Package) -> None:
    options = ("--set", "replica=3", "--set", "migrations.targetPhase=writ")
    output = package.helm("install", "release", package.file, *options, check=False)
    assert "replica" in output
    assert "targetPhase" in output
    assert package.namespace.list("deployments,jobs", name="spicedb") == []


def test_target_phase_in_values_fails_with_the_reason(package: Package, postgres: None) -> None:
    values = ("migrations.targetPhase=write", "migrations.restartPolicy=Never", "migrations.backoffLimit=0")
    options = [part for value in values for part in ("--set", value)]
    output = package.helm("install", "release", package.file, "--wait", "--timeout=60s", *options, check=False)
    assert "unknown flag: --phase" in output
    assert package.namespace.get("deployment", "spicedb") is None
