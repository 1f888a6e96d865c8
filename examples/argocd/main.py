"""SpiceDB for Argo CD: the migration is a PreSync hook, the clean-up a PostSync hook."""

from cdk8s import App

from cdk8s_spicedb import Delivery, MigrationProps, PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(
    app,
    "spicedb",
    SpiceDBProps(
        version="v1.56.0",
        datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
        preshared_key=SecretKey("spicedb", "preshared-key"),
        delivery=Delivery.ARGOCD,
        # Argo CD shows the logs of pods that are there.
        migration=MigrationProps(restart_policy="Never"),
    ),
)
app.synth()
