"""A SpiceDB for each of several tenants, each in its own folder. This program starts no Node.js."""

import os

from cdk8s_spicedb import Delivery, PostgreSQL, Resources, SecretKey, ServerProps, SpiceDBProps, write_all

SMALL = ServerProps(
    resources=Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"cpu": "1", "memory": "256Mi"}),
    restart_on_secret_change=True,
)
LARGE = ServerProps(
    replicas=3,
    resources=Resources(requests={"cpu": "500m", "memory": "512Mi"}, limits={"cpu": "2", "memory": "2Gi"}),
    restart_on_secret_change=True,
)
TENANTS = {"billing": LARGE, "docs": LARGE, "notes": SMALL, "wiki": SMALL}


def tenant(name: str, server: ServerProps) -> SpiceDBProps:
    """The SpiceDB of a tenant. A Secret of the same name holds its preshared key and the URI of its database."""
    return SpiceDBProps(
        name=name,
        version="v1.57.1",
        delivery=Delivery.KUBECTL,
        datastore=PostgreSQL(uri=SecretKey(name, "datastore-uri")),
        server=server,
    )


if __name__ == "__main__":
    folder = os.environ.get("CDK8S_OUTDIR", "dist")
    write_all(folder, {name: tenant(name, server) for name, server in TENANTS.items()})
