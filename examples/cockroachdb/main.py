"""SpiceDB on CockroachDB, with a client certificate. SpiceDB verifies CockroachDB's certificate with its CA."""

from cdk8s import App

from cdk8s_spicedb import CockroachDB, MigrationProps, Pool, SecretKey, ServerProps, SpiceDBChart, SpiceDBProps

PROPS = SpiceDBProps(
    version="v1.57.1",
    preshared_key=SecretKey("spicedb", "preshared-key"),
    datastore=CockroachDB(
        host="cockroachdb-public",
        database="spicedb",
        user="spicedb",
        ca=SecretKey("cockroachdb-ca", "ca.crt"),
        client_certificate=SecretKey("spicedb-client", "tls.crt"),
        client_key=SecretKey("spicedb-client", "tls.key"),
        read_pool=Pool(max_open=20),
        write_pool=Pool(max_open=10),
    ),
    server=ServerProps(replicas=3),
    migration=MigrationProps(restart_policy="Never", active_deadline_seconds=3600),
)

if __name__ == "__main__":
    app = App()
    SpiceDBChart(app, "spicedb", PROPS)
    app.synth()
