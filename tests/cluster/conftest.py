"""Namespaces and Helm for the tests that need a live cluster: the one that KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .cluster import RUN, Namespace, run
from .databases import MARIADB, PASSWORD, POSTGRES
from .helm import Helm

KEY = "a preshared key"


@pytest.fixture(scope="session", autouse=True)
def run_label() -> Iterator[str]:
    """What this run's namespaces are labelled with. Fails, rather than skips, where there is no cluster: these tests
    were asked for."""
    assert "KUBECONFIG" in os.environ, "KUBECONFIG names no cluster"
    missing = [program for program in ("kubectl", "helm") if not shutil.which(program)]
    assert not missing, f"not on PATH: {', '.join(missing)}"
    run("kubectl", "version")
    label = uuid.uuid4().hex[:8]
    yield label
    run("kubectl", "delete", "namespaces", f"--selector={RUN}={label}", "--ignore-not-found", "--timeout=120s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    namespace = getattr(item, "funcargs", {}).get("namespace")
    if call.when == "call" and report.failed and namespace is not None:
        report.sections.append(("cluster", namespace.diagnosis()))
    return report


@pytest.fixture
def namespace(run_label: str) -> Iterator[Namespace]:
    """A namespace that enforces Pod Security's ``restricted``, gone after the test."""
    created = Namespace(f"spicedb-{uuid.uuid4().hex[:8]}")
    created.create(run_label)
    created.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD})
    yield created
    created.delete()


@pytest.fixture
def helm(namespace: Namespace, tmp_path: Path) -> Helm:
    """The Helm on PATH."""
    return Helm("helm", namespace, tmp_path)


@pytest.fixture(params=["helm", "helm3"])
def any_helm(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Helm:
    """The Helm on PATH, and another major version of it where there is one as ``helm3``."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return Helm(request.param, namespace, tmp_path)


@pytest.fixture
def postgres(namespace: Namespace) -> None:
    """A PostgreSQL in the namespace."""
    POSTGRES.start(namespace)


@pytest.fixture
def mariadb(namespace: Namespace) -> None:
    """A MariaDB in the namespace."""
    MARIADB.start(namespace)
