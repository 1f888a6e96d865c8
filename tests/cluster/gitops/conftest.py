"""The Git server, and the logs of the controllers if a test fails."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.lab.cluster import Namespace

from .argocd import ArgoCD, argo_cd
from .git import GitServer, git_server
from .processes import ends_of_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (logs := ends_of_logs()):
        report.sections.append((f"programs at {call.when}", logs))
    return report


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    """A Git server with no repositories."""
    with git_server(tmp_path / "git") as server:
        yield server


@pytest.fixture
def argocd(run_label: str, namespace: Namespace, tmp_path: Path) -> Iterator[ArgoCD]:
    """An Argo CD that can apply objects in the test's namespace."""
    settings = Namespace(f"argocd-{uuid.uuid4().hex[:8]}")
    settings.create(run_label)
    with argo_cd(settings, [namespace], tmp_path) as started:
        yield started
    settings.delete()
