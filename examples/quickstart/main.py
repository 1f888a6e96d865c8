"""SpiceDB in memory: it needs only a key, and it keeps no data when it stops."""

from cdk8s import App

from cdk8s_spicedb import Memory, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(
    app,
    "spicedb",
    SpiceDBProps(version="v1.57.1", datastore=Memory(), preshared_key=SecretKey("spicedb", "preshared-key")),
)
app.synth()
