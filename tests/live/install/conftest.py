"""Fixtures for tests of installs and uninstalls."""

from __future__ import annotations

import pytest

from tests.live.upgrade.scenarios import use

from .place import Place, place

__all__ = ["place"]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the package run the programs of the place."""
    use(monkeypatch)


@pytest.fixture
def by_helm() -> Place:
    """A cluster in which Helm installs."""
    return Place()
