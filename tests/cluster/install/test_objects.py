"""Rendered objects on a live API server, and the metrics that the alerts and the dashboard use."""

from __future__ import annotations

import json

import pytest

from cdk8s_spicedb import Datastore, ServerProps, SpiceDBProps
from tests.crds import is_custom
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import MARIADB, POSTGRES, Database
from tests.lab.helm import Helm
from tests.lab.props import KEY, ON_MARIADB, ON_POSTGRES, on_postgres
from tests.manifests.test_monitoring import METRICS
from tests.synth import matrix, synth

_MATRIX = {name: props for name, props in matrix().items() if name.endswith("-full")}


@pytest.mark.parametrize("props", _MATRIX.values(), ids=_MATRIX)
def test_api_server_accepts_every_object(namespace: Namespace, props: SpiceDBProps) -> None:
    resources = run("kubectl", "api-resources", "--output=name").stdout.split()
    objects = [
        found
        for found in synth(props).objects
        # The custom resources are optional in a cluster.
        if not is_custom(found) or any(name.startswith(f"{found['kind'].lower()}s.") for name in resources)
    ]
    assert len(objects) > 10
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    namespace.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", text=document)


@pytest.mark.parametrize(
    ("database", "datastore", "engine"),
    [
        pytest.param(POSTGRES, ON_POSTGRES, "postgres", id="postgres"),
        pytest.param(MARIADB, ON_MARIADB, "mysql", id="mysql"),
    ],
)
def test_servers_export_the_metrics_of_alerts_and_dashboard(
    helm: Helm, namespace: Namespace, database: Database, datastore: Datastore, engine: str
) -> None:
    database.start(namespace)
    # Dispatch has an alert and panels of its own.
    assert helm.install(on_postgres(datastore=datastore, server=ServerProps(dispatch_enabled=True))).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check_many() == {False}
    metrics = "".join(map(namespace.metrics, namespace.servers()))
    assert [name for name in METRICS[engine] if f"# TYPE {name} " not in metrics] == []
