"""The client of one namespace."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import httpx2
import pytest

from cdk8s_spicedb.live.cluster import DEPLOYMENT, Cluster
from tests.apiserver import NAMESPACE, ApiServer
from tests.live.clock import FakeClock


def test_api_server_that_returns_is_waited_for(api: ApiServer) -> None:
    api.away = True
    threading.Timer(0.3, lambda: setattr(api, "away", False)).start()
    assert api.cluster(patience_seconds=5).get(DEPLOYMENT, "spicedb") is not None


def test_the_time_is_that_of_the_api_server(api: ApiServer) -> None:
    moment = datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    api.now = lambda: moment
    assert api.cluster(clock=FakeClock()).now() == moment


@pytest.mark.parametrize("date", [None, "", "tomorrow", "Tue, 99 Foo 2031 07:08:09 GMT"])
@pytest.mark.parametrize("status", [200, 403])
def test_an_api_server_that_does_not_say_the_time(date: str | None, status: int) -> None:
    response = httpx2.Response(status, json={}, headers={} if date is None else {"Date": date})
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: response), base_url="https://cluster")
    clock = FakeClock()
    assert Cluster(client, NAMESPACE, clock=clock).now() == clock.now()
