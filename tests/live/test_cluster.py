"""The client of one namespace."""

from __future__ import annotations

import threading

from cdk8s_spicedb.live.cluster import DEPLOYMENT
from tests.apiserver import ApiServer


def test_api_server_that_returns_is_waited_for(api: ApiServer) -> None:
    api.away = True
    threading.Timer(0.3, lambda: setattr(api, "away", False)).start()
    assert api.cluster(patience_seconds=5).get(DEPLOYMENT, "spicedb") is not None
