"""SpiceDB for Argo CD: the migration is a PreSync hook, and the clean-up is a PostSync hook."""

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
        delivery=Delivery.ARGOCD,
        # Argo CD can only show the logs of pods that still exist. "Never" keeps the failed ones.
        migration=MigrationProps(restart_policy="Never"),
    ),
)
app.synth()
