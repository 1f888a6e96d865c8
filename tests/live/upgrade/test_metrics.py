"""What clients see of an upgrade."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb.live.apierror import ClusterError
from cdk8s_spicedb.live.record import Figures
from cdk8s_spicedb.live.upgrade.metrics import Counts, counts, sample, worse
from tests.apiserver import ApiServer
from tests.live.installed import (
    running_in,
)

METRICS = """\
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 90
grpc_server_handled_total{grpc_code="Internal",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 10
grpc_server_handled_total{grpc_code="OK",grpc_service="grpc.health.v1.Health",grpc_type="unary"} 7
grpc_server_handled_total{grpc_code="NotFound",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 5
# TYPE grpc_server_handling_seconds histogram
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="0.1"} 50
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="0.2"} 100
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="+Inf"} 100
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.WatchService",grpc_type="server_stream",le="+Inf"} 9
"""


def test_figures_of_a_server() -> None:
    figures = counts(METRICS).figures()
    assert (figures.requests, round(figures.error_ratio, 3)) == (105, 0.095)
    assert figures.p99_seconds == pytest.approx(0.198)
    assert Counts().figures() == Figures(requests=0, error_ratio=0, p99_seconds=None)
    assert Counts(99, 0, {0.1: 0, float("inf"): 99}).figures().p99_seconds == pytest.approx(0.1)


def test_metrics_that_are_off_are_an_error(api: ApiServer) -> None:
    with pytest.raises(ClusterError, match="metrics_enabled is off"):
        sample(api.cluster(), attrs.evolve(running_in(api), arguments={"metrics-enabled": "false"}))


def figures(requests: int, ratio: float = 0, p99: float | None = 0.01) -> Figures:
    return Figures(requests=requests, error_ratio=ratio, p99_seconds=p99)


def test_worse_servers() -> None:
    assert worse(figures(1000), figures(1000)) is None
    assert worse(figures(1000), figures(10, 1)) is None, "too few requests to say"
    assert worse(None, figures(100, 0.5)) == "50.0% of 100 requests failed"
    assert worse(figures(1000), figures(5000, 0, 0.5)) == ("the 99th percentile of the latency is 500 ms, 10 ms before")
    assert worse(figures(1000), figures(500, 0, 0.5)) is None, "too few requests for a percentile"
