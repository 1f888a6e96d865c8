"""SpiceDB for production: what a platform team usually configures, in one file."""

from datetime import timedelta

from cdk8s import App

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Autoscaling,
    Dashboard,
    Egress,
    MigrationProps,
    Monitoring,
    NetworkPeer,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
    PodMonitor,
    Pool,
    PostgreSQL,
    SchemaProps,
    SecretKey,
    ServerProps,
    SpiceDBChart,
    SpiceDBProps,
    Tracing,
)

SCHEMA = """\
definition user {}

definition document {
    relation reader: user
    permission read = reader
}
"""
CA = SecretKey("spicedb-grpc", "ca.crt")
NAME = "spicedb.authz.svc"  # the DNS name in the gRPC certificate


def _namespace(name: str) -> NetworkPeer:
    return NetworkPeer(namespaces={"kubernetes.io/metadata.name": name})


PROPS = SpiceDBProps(
    version="v1.57.1",
    preshared_key=SecretKey("spicedb", "preshared-key"),
    datastore=PostgreSQL(
        host="postgres",
        database="spicedb",
        user="spicedb",
        password=SecretKey("spicedb", "password"),
        ca=SecretKey("postgres", "ca.crt"),
        read_pool=Pool(max_open=8),
        write_pool=Pool(max_open=4),
        max_connections=150,  # 12 for each of the 10 servers, and for the servers that a rolling update adds
        read_replicas=["postgres-read"],
        read_replica_pool=Pool(max_open=8),
        gc_window=timedelta(hours=6),
    ),
    server=ServerProps(
        autoscaling=Autoscaling(min_replicas=3, max_replicas=10),
        headless_service=True,  # so that clients survive the loss of a server
        grpc_tls=TLS.from_secret("spicedb-grpc"),
        metrics_tls=TLS.from_secret("spicedb-grpc"),
        tracing=Tracing(endpoint="collector.tracing:4317", insecure=True),
        restart_on_secret_change=True,
    ),
    # If the migration fails, the release stops. The failed pods stay, with their logs.
    migration=MigrationProps(restart_policy="Never", active_deadline_seconds=3600),
    schema=SchemaProps(text=SCHEMA, ca=CA, hostname=NAME),
    test=PermissionTest(resource="document", permission="read", subject="user", ca=CA, hostname=NAME),
    network_policies=NetworkPolicies(
        clients=[_namespace("apps")],
        monitoring=[_namespace("monitoring")],
        egress=[Egress(ports=[4317], to=[_namespace("tracing")])],
    ),
    monitoring=Monitoring(
        pod_monitor=PodMonitor(labels={"release": "kube-prometheus-stack"}),
        alerts=Alerts(labels={"release": "kube-prometheus-stack"}),
        dashboard=Dashboard(),
    ),
    # A patch sets what has no prop.
    patches=[
        Patch(kind="Deployment", operations=[PatchOperation(op="add", path="/spec/revisionHistoryLimit", value=3)]),
    ],
)

if __name__ == "__main__":
    app = App()
    SpiceDBChart(app, "spicedb", PROPS, namespace="authz")
    app.synth()
