"""SpiceDB on PostgreSQL, the short way: said by the database's parts, applied with kubectl alone."""

from cdk8s import App

from cdk8s_spicedb import Delivery, PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(
    app,
    "spicedb",
    SpiceDBProps(
        version="v1.56.0",
        datastore=PostgreSQL(
            host="postgres",
            database="spicedb",
            user="spicedb",
            password=SecretKey("spicedb", "password"),
            sslmode="disable",  # as the database beside it has no TLS; leave it out for one that has
        ),
        preshared_key=SecretKey("spicedb", "preshared-key"),
        delivery=Delivery.KUBECTL,
    ),
)
app.synth()
