"""SpiceDB with a Secret that the External Secrets operator fills from a store outside the cluster.

The same as externalsecret.yaml and spicedb.yaml. It needs the folder imports/ of this repository.
"""

from cdk8s import ApiObjectMetadata, App, Chart

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps, write_helm_chart
from imports.io.external_secrets import (
    ExternalSecret,
    ExternalSecretSpec,
    ExternalSecretSpecData,
    ExternalSecretSpecDataRemoteRef,
    ExternalSecretSpecSecretStoreRef,
    ExternalSecretSpecSecretStoreRefKind,
    ExternalSecretSpecTarget,
    ExternalSecretSpecTargetDeletionPolicy,
)

URI = SecretKey("spicedb", "datastore-uri")
KEY = SecretKey("spicedb", "preshared-key")

app = App()

# You apply it first: the migration needs the Secret before the release has any object.
ExternalSecret(
    Chart(app, "secrets"),
    "secret",
    metadata=ApiObjectMetadata(name="spicedb"),
    spec=ExternalSecretSpec(
        refresh_interval="1h",
        secret_store_ref=ExternalSecretSpecSecretStoreRef(
            name="vault", kind=ExternalSecretSpecSecretStoreRefKind.CLUSTER_SECRET_STORE
        ),
        target=ExternalSecretSpecTarget(name="spicedb", deletion_policy=ExternalSecretSpecTargetDeletionPolicy.RETAIN),
        data=[
            ExternalSecretSpecData(
                secret_key=key.key,
                remote_ref=ExternalSecretSpecDataRemoteRef(key="authz/spicedb", property=key.key),
            )
            for key in (URI, KEY)
        ],
    ),
)

app.synth()

PROPS = SpiceDBProps(version="v1.57.1", datastore=PostgreSQL(uri=URI), preshared_key=KEY)
write_helm_chart("chart", PROPS)
