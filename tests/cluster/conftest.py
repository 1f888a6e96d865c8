"""Fixtures for the tests on the cluster that KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import attrs
import pytest

from tests.lab.cluster import RUN_LABEL, Namespace, run
from tests.lab.command import Command
from tests.lab.databases import MARIADB, PASSWORD, POSTGRES, SPANNER, borrowed_postgres, start_spanner
from tests.lab.helm import Helm
from tests.lab.props import KEY


@pytest.fixture(scope="session", autouse=True)
def run_label() -> Iterator[str]:
    """Label value of this run's namespaces. Without a cluster the tests fail: they run only on request, so they are not
    skipped."""
    assert "KUBECONFIG" in os.environ, "KUBECONFIG must name the kubeconfig of a cluster"
    missing = [program for program in ("kubectl", "helm") if not shutil.which(program)]
    assert not missing, f"not on PATH: {', '.join(missing)}"
    run("kubectl", "version")
    label = uuid.uuid4().hex[:8]
    yield label
    run("kubectl", "delete", "namespaces", f"--selector={RUN_LABEL}={label}", "--ignore-not-found", "--timeout=120s")


_LONGEST = (
    "gitops/test_drift",
    "gitops/test_flux",
    "gitops/test_argocd",
    "gitops/test_helm_release",
    "gitops/test_kustomization",
    "faults/test_command",
    "upgrade/test_command",
    "docs/test_pages",
    "docs/test_recording",
    "upgrade/test_modes",
    "upgrade/test_long",
    "upgrade/test_fleet",
    "docs/test_outputs",
    "faults/test_prevented",
    "install/test_engines",
    "install/test_schema",
    "serve/test_production",
    "install/test_delivery",
    "install/test_chart",
    "serve/test_tls",
    "check/test_check",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts the modules with the longest tests first, so that no worker is left alone with one at the end.

    Each worker starts with its own part of the list. So the tests are dealt out like cards. If some parts are one test
    longer, they are the last ones.
    """
    rank = {name: number for number, name in enumerate(_LONGEST)}
    ordered = sorted(items, key=lambda item: rank.get(f"{item.path.parent.name}/{item.path.stem}", len(rank)))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [item for part in reversed(range(workers)) for item in ordered[part::workers]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fixtures = getattr(item, "funcargs", {})
    namespace = fixtures.get("namespace") or getattr(fixtures.get("place"), "namespace", None)
    if call.when == "call" and report.failed and namespace is not None:
        report.sections.append(("cluster", namespace.diagnosis()))
    return report


@pytest.fixture
def new_namespace(run_label: str) -> Iterator[Callable[[], Namespace]]:
    """Creates a namespace that enforces the ``restricted`` Pod Security Standard. It is deleted after the test."""
    made: list[Namespace] = []

    def make() -> Namespace:
        created = Namespace(f"spicedb-{uuid.uuid4().hex[:8]}")
        created.create(run_label)
        made.append(created)
        created.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD})
        return created

    yield make
    for each in made:
        each.delete()


@pytest.fixture
def namespace(new_namespace: Callable[[], Namespace]) -> Namespace:
    """The namespace of the test."""
    return new_namespace()


@pytest.fixture
def helm(namespace: Namespace, tmp_path: Path) -> Helm:
    """The Helm on PATH."""
    return Helm("helm", namespace, tmp_path)


@pytest.fixture(params=["helm", "helm3"])
def any_helm(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Helm:
    """The Helm on PATH and, if ``helm3`` is on PATH, another major version of it."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return Helm(request.param, namespace, tmp_path)


@pytest.fixture(scope="session")
def databases(run_label: str) -> Iterator[Namespace]:
    """A namespace with a PostgreSQL that the tests of this worker use one after another."""
    created = Namespace(f"databases-{uuid.uuid4().hex[:8]}")
    created.create(run_label)
    attrs.evolve(POSTGRES, arguments=(*POSTGRES.arguments, "-cfsync=off")).start(created)
    yield created
    created.delete()


@pytest.fixture
def postgres(namespace: Namespace, databases: Namespace) -> Iterator[None]:
    """A PostgreSQL with an empty database. Its server is that of the worker."""
    with borrowed_postgres(databases, namespace):
        yield


@pytest.fixture
def own_postgres(namespace: Namespace) -> None:
    """A PostgreSQL in the namespace, for tests that need its pod or change its Service."""
    POSTGRES.start(namespace)


@pytest.fixture
def mariadb(namespace: Namespace) -> None:
    """A MariaDB in the namespace."""
    MARIADB.start(namespace)


@pytest.fixture
def spanner(namespace: Namespace) -> None:
    """Spanner's emulator in the namespace."""
    if not SPANNER.image:
        pytest.skip("LAB_SPANNER_IMAGE does not name an image of Spanner's emulator")
    start_spanner(namespace)


@pytest.fixture
def command(namespace: Namespace, tmp_path: Path) -> Command:
    """The program of this package, on the namespace."""
    return Command(namespace, tmp_path)
