"""The smallest real use: SpiceDB on PostgreSQL, with its migration. `make synth` writes it to dist/."""

from cdk8s import App

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

props = SpiceDBProps(
    version="v1.57.1",
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
    preshared_key=SecretKey("spicedb", "preshared-key"),
)

if __name__ == "__main__":
    app = App()
    SpiceDBChart(app, "spicedb", props)
    app.synth()
