"""Whether an upgrade was rehearsed lately."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb.live.rehearsed import note_rehearsal, rehearsed_lately
from tests.apiserver import ApiServer
from tests.live.clock import FakeClock
from tests.live.installed import props


@pytest.mark.parametrize(("hours", "lately"), [(0, True), (23, True), (25, False)])
def test_a_rehearsal_counts_for_a_day(api: ApiServer, clock: FakeClock, hours: int, lately: bool) -> None:
    cluster = attrs.evolve(api.cluster(), clock=clock)
    assert not rehearsed_lately(cluster, props())
    note_rehearsal(cluster, props())
    clock.sleep(hours * 3600)
    assert rehearsed_lately(cluster, props()) is lately


def test_another_file_was_not_rehearsed(api: ApiServer) -> None:
    note_rehearsal(api.cluster(), props())
    assert not rehearsed_lately(api.cluster(), props(labels={"team": "identity"}))


def test_a_note_that_cannot_be_written_or_read_is_none(api: ApiServer) -> None:
    api.deny("configmaps", "patch")
    note_rehearsal(api.cluster(), props())
    assert not rehearsed_lately(api.cluster(), props())
    api.put("configmaps", {"metadata": {"name": "spicedb-rehearsal"}, "data": {"settings": "x", "at": "never"}})
    assert not rehearsed_lately(api.cluster(), props())
