"""An upgrade in phases: one file of manifests for each step, numbered in their order."""

from cdk8s import App

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps, plan_upgrade

props = SpiceDBProps(
    version="v1.57.1",
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
    preshared_key=SecretKey("spicedb", "preshared-key"),
)
plan = plan_upgrade(props.datastore, "v1.52.0", "v1.57.1", schema_mode="read-new-write-new")

app = App()
for number, step in enumerate(plan.steps, 1):
    SpiceDBChart(app, f"{number}-{step.schema_mode}", props.at(step))
app.synth()
