"""One SpiceDB in three environments: each changes some of the common props."""

from datetime import timedelta
from typing import Any

from attrs import evolve
from cdk8s import App

from cdk8s_spicedb import (
    Memory,
    MigrationProps,
    PostgreSQL,
    Resources,
    SecretKey,
    ServerProps,
    SpiceDBChart,
    SpiceDBProps,
)

LABELS = {"team": "identity"}
BASE = SpiceDBProps(
    version="v1.56.2",
    preshared_key=SecretKey("spicedb", "preshared-key"),
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
    server=ServerProps(log_level="info", pod_labels=LABELS),
)


def server(**settings: Any) -> ServerProps:
    """The servers of all environments, with other settings."""
    return evolve(BASE.server, **settings)


ENVIRONMENTS = {
    "dev": evolve(BASE, version="v1.57.1", datastore=Memory(), server=server(log_level="debug")),
    "staging": evolve(
        BASE,
        server=server(
            resources=Resources(
                requests={"cpu": "100m", "memory": "128Mi"},
                limits={"cpu": "1", "memory": "512Mi"},
            ),
        ),
    ),
    "prod": evolve(
        BASE,
        datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"), gc_window=timedelta(hours=6)),
        server=server(
            replicas=3,
            log_level=ServerProps().log_level,
            pod_labels={**LABELS, "tier": "production"},
            restart_on_secret_change=True,
        ),
        migration=MigrationProps(active_deadline_seconds=3600),
    ),
}

if __name__ == "__main__":
    app = App()
    for name, props in ENVIRONMENTS.items():
        SpiceDBChart(app, name, props, namespace=f"authz-{name}")
    app.synth()
