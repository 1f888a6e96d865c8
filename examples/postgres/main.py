"""SpiceDB on PostgreSQL, connected by its parts (host, database, user, password), for kubectl only."""

from cdk8s import App

from cdk8s_spicedb import Delivery, PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(
    app,
    "spicedb",
    SpiceDBProps(
        version="v1.57.1",
        datastore=PostgreSQL(
            host="postgres",
            database="spicedb",
            user="spicedb",
            password=SecretKey("spicedb", "password"),
            sslmode="disable",  # the example's database has no TLS; leave this out for one with TLS
        ),
        preshared_key=SecretKey("spicedb", "preshared-key"),
        delivery=Delivery.KUBECTL,
    ),
)
app.synth()
