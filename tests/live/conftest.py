"""A cluster in which SpiceDB runs."""

from __future__ import annotations

import pytest

from tests.apiserver import ApiServer
from tests.live.clock import FakeClock
from tests.live.installed import (
    OLD,
    deploy,
    helm_revision,
    props,
)


@pytest.fixture
def api() -> ApiServer:
    made = ApiServer()
    deploy(made, props(OLD))
    helm_revision(made, 1)
    return made


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when somebody waits."""
    return FakeClock()
