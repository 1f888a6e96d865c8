"""Reports the logs of the controllers if a test fails."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from .processes import ends_of_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (logs := ends_of_logs()):
        report.sections.append((f"programs at {call.when}", logs))
    return report
