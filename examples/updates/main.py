"""The SpiceDB of spicedb.yaml in Python. Renovate changes the version in this file too."""

from cdk8s import App

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
props = SpiceDBProps(
    version="v1.57.1",
    preshared_key=SecretKey("spicedb", "preshared-key"),
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
)
SpiceDBChart(app, "spicedb", props)
app.synth()
