"""Metrics, alerts, dashboard, traces and telemetry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Dashboard,
    Delivery,
    Memory,
    MigrationProps,
    Monitoring,
    PodMonitor,
    ServerProps,
    SpiceDBProps,
    Tracing,
)
from cdk8s_spicedb.manifests import alerts as metrics
from cdk8s_spicedb.manifests.alerts import Query
from cdk8s_spicedb.props import problems
from tests.synth import ENGINES, POSTGRES, Manifests, Object, environment, synth

ALL = Monitoring(pod_monitor=PodMonitor(), alerts=Alerts(), dashboard=Dashboard())
METRICS: dict[str, list[str]] = {
    file.stem: json.loads(file.read_text("utf-8")) for file in (Path(__file__).parent.parent / "metrics").glob("*.json")
}
"""The metrics that exist, by source. A test in tests/cluster compares them with real servers."""
QUERIES = {name: query for name, query in vars(metrics).items() if isinstance(query, Query)}
ENGINE_OF = {"postgres": "postgres-uri", "mysql": "mysql-uri"}


def render(monitoring: Monitoring = ALL, datastore: Any = POSTGRES, **fields: Any) -> Manifests:
    """By default with dispatch, which has an alert and a panel of its own."""
    fields.setdefault("server", ServerProps(dispatch_enabled=True))
    return synth(SpiceDBProps(version="v1.56.0", datastore=datastore, monitoring=monitoring, **fields))


def rules(**fields: Any) -> dict[str, Object]:
    [group] = render(**fields).one("PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def panels(**fields: Any) -> list[Object]:
    data = render(**fields).one("ConfigMap")["data"]["spicedb.json"]
    dashboard: Object = json.loads(data)
    return list(dashboard["panels"])


def metric_names(expression: str) -> set[str]:
    """The metrics of a query, without the suffix of histograms."""
    without_matchers = re.sub(r"\{[^}]*\}", "{}", expression)
    plain = re.findall(r"([a-z_][a-z0-9_]*)\{\}", without_matchers)
    return {re.sub(r"_bucket$", "", name) for name in plain}


def test_there_are_no_monitoring_objects_by_default() -> None:
    kinds = set(render(Monitoring()).kinds)
    assert not kinds & {"PodMonitor", "PrometheusRule", "ConfigMap"}


def test_prometheus_scrapes_the_servers() -> None:
    monitor = render(Monitoring(pod_monitor=PodMonitor(labels={"release": "prometheus"}))).one("PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    spec = monitor["spec"]
    template = render().one("Deployment")["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    [endpoint] = spec["podMetricsEndpoints"]
    assert endpoint == {"port": "metrics", "interval": "30s"}
    assert endpoint["port"] in {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    # Every query selects by this label.
    assert spec["podTargetLabels"] == ["app.kubernetes.io/instance"]


def test_prometheus_scrapes_with_tls() -> None:
    server = ServerProps(metrics_tls=TLS.from_secret("metrics"))
    [endpoint] = render(server=server).one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})


@pytest.mark.parametrize("engine", ENGINE_OF)
def test_every_metric_of_an_alert_exists(engine: str) -> None:
    existing = set(METRICS[engine]) | set(METRICS["kube-state-metrics"])
    for alert in rules(datastore=ENGINES[ENGINE_OF[engine]]).values():
        assert metric_names(alert["expr"])
        assert metric_names(alert["expr"]) <= existing


@pytest.mark.parametrize("engine", ENGINE_OF)
def test_every_metric_of_the_dashboard_exists(engine: str) -> None:
    existing = set(METRICS[engine])
    for panel in panels(datastore=ENGINES[ENGINE_OF[engine]]):
        [target] = panel["targets"]
        assert metric_names(target["expr"])
        assert metric_names(target["expr"]) <= existing


def test_every_query_is_used_and_limited_to_the_release() -> None:
    engines = [ENGINES[name] for name in ENGINE_OF.values()]
    shown = {panel["targets"][0]["expr"] for engine in engines for panel in panels(datastore=engine)}
    alerted = {rule["expr"] for engine in engines for rule in rules(datastore=engine).values()}
    for name, query in QUERIES.items():
        on_dashboard = query.of("spicedb", ',namespace=~"$namespace"') in shown
        assert on_dashboard or any(query.of("spicedb") in expression for expression in alerted), name
        assert query.text.count("{") == query.text.count('app_kubernetes_io_instance="$instance"')


def test_every_query_is_valid_promql() -> None:
    for query in QUERIES.values():
        assert promql_parser.parse(query.of("spicedb", ',namespace=~"authz"'))
    for rule in rules().values():
        assert promql_parser.parse(rule["expr"])
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum by (namespace (up)")


def test_an_unknown_metric_is_detected() -> None:
    assert metric_names('sum(rate(spicedb_nonsense_bucket{a="b"}[5m]))') - set(METRICS["postgres"]) == {
        "spicedb_nonsense"
    }


def test_each_alert_has_a_severity_and_a_description() -> None:
    for rule in rules().values():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert len(rule["annotations"]["description"]) > 40
        # Helm would expand it as its own template.
        assert "{{" not in json.dumps(rule)


def test_the_limits_of_alerts_can_be_configured() -> None:
    settings = Alerts(error_ratio=0.05)
    assert rules(monitoring=Monitoring(alerts=settings))["SpiceDBErrors"]["expr"].endswith(" > 0.05")
    assert rules()["SpiceDBSlow"]["expr"].endswith(" > 0.5")


def test_a_migration_is_slow_after_half_of_its_deadline() -> None:
    assert rules(migration=MigrationProps(active_deadline_seconds=3600))["SpiceDBMigrationSlow"]["for"] == "30m"


@pytest.mark.parametrize("delivery", Delivery)
def test_the_migrations_alerts_match_its_job(delivery: Delivery) -> None:
    objects = render(delivery=delivery)
    [group] = objects.one("PrometheusRule")["spec"]["groups"]
    expression = next(rule["expr"] for rule in group["rules"] if rule["alert"] == "SpiceDBMigrationFailed")
    pattern = re.search(r'job_name=~"([^"]+)"', expression)
    assert pattern
    assert re.fullmatch(pattern[1], objects.one("Job", "migration")["metadata"]["name"])


def test_there_are_no_alerts_about_disabled_parts() -> None:
    memory = rules(datastore=Memory(), server=ServerProps())
    assert "SpiceDBDispatchErrors" not in rules(server=ServerProps())
    assert not {name for name in memory if "Migration" in name or "Dispatch" in name or "Pool" in name}
    assert "SpiceDBMigrationFailed" not in rules(migration=MigrationProps(enabled=False))
    assert not any("pool" in str(panel["targets"]) for panel in panels(datastore=ENGINES["spanner-uri"]))


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(places) == len(set(places))
    assert render().one("ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"


# ---------------------------------------------------------------- traces and telemetry


def arguments(version: str = "v1.56.0", **server: Any) -> list[str]:
    props = SpiceDBProps(version=version, datastore=Memory(), server=ServerProps(**server))
    args: list[str] = synth(props).container("Deployment")["args"]
    return [arg for arg in args if arg.startswith(("--otel", "--telemetry", "--skip"))]


def test_servers_call_nothing_outside_the_cluster() -> None:
    assert arguments() == ["--telemetry-endpoint=", "--skip-release-check=true"]


@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
def test_releases_without_telemetry_have_no_flags_for_it() -> None:
    assert arguments("v1.6.0") == []


def test_telemetry_can_be_enabled() -> None:
    assert arguments(telemetry_enabled=True) == []


def test_servers_send_traces() -> None:
    assert arguments(telemetry_enabled=True, tracing=Tracing(endpoint="collector:4317", insecure=True)) == [
        "--otel-provider=otlpgrpc",
        "--otel-endpoint=collector:4317",
        "--otel-sample-ratio=0.01",
        "--otel-insecure=true",
        "--otel-service-name=spicedb",
        "--otel-trace-propagator=w3c",
    ]


def test_servers_that_send_traces_have_a_user_name() -> None:
    def env(**server: Any) -> dict[str, Any]:
        props = SpiceDBProps(datastore=Memory(), server=ServerProps(**server))
        return environment(synth(props).container("Deployment"))

    tracing = Tracing(endpoint="collector:4317")
    assert env(tracing=tracing)["USER"] == "spicedb"
    assert env(tracing=tracing, env={"USER": "own"})["USER"] == "own"
    assert "USER" not in env()


def test_the_name_in_traces_is_also_a_variable() -> None:
    """SpiceDB 1.57 sends the name of its flag under another key, and takes service.name from the variable."""

    def name(**server: Any) -> object:
        props = SpiceDBProps(datastore=Memory(), server=ServerProps(**server))
        return environment(synth(props).container("Deployment")).get("OTEL_SERVICE_NAME")

    tracing = Tracing(endpoint="collector:4317", service_name="permissions")
    assert name(tracing=tracing) == "permissions"
    assert name(tracing=tracing, env={"OTEL_SERVICE_NAME": "own"}) == "own"
    assert name() is None


def test_the_migration_calls_nothing_outside_the_cluster() -> None:
    assert "--skip-release-check=true" in render(Monitoring()).container("Job", "migration")["args"]
    server = ServerProps(telemetry_enabled=True)
    assert not any("skip" in arg for arg in render(server=server).container("Job", "migration")["args"])


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"monitoring": True}, "monitoring", "Monitoring(pod_monitor=…, alerts=…)"),
        ({"monitoring": Monitoring(alerts=Alerts(error_ratio=5))}, "monitoring.alerts.error_ratio", "from 0 to 1"),
        (
            {"monitoring": Monitoring(pod_monitor=PodMonitor()), "server": ServerProps(metrics_enabled=False)},
            "monitoring.pod_monitor",
            "None with server.metrics_enabled=False",
        ),
        (
            {"server": ServerProps(tracing=Tracing(endpoint="http://collector:4317"))},
            "server.tracing.endpoint",
            "HOST:PORT",
        ),
    ],
)
def test_invalid_values_are_rejected(fields: dict[str, Any], field: str, allowed: str) -> None:
    [problem] = problems(SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **fields}))
    assert problem.field == field
    assert allowed in problem.allowed
