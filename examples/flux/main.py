"""SpiceDB for Flux's kustomize-controller: the migration is a Job whose name changes with what it runs."""

from cdk8s import App

from cdk8s_spicedb import Delivery, MigrationProps, PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(
    app,
    "spicedb",
    SpiceDBProps(
        version="v1.57.1",
        datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
        preshared_key=SecretKey("spicedb", "preshared-key"),
        delivery=Delivery.KUBECTL,
        # Flux does not show the logs of a failed migration. "Never" keeps its pods, so that kubectl can.
        migration=MigrationProps(restart_policy="Never"),
    ),
)
app.synth()
