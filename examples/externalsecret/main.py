"""SpiceDB with a Secret that the External Secrets operator fills from a store outside the cluster."""

from cdk8s import ApiObjectMetadata, App, Chart

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps
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

# A separate chart, which you apply first: the migration needs the Secret before the release has any object.
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

SpiceDBChart(app, "spicedb", SpiceDBProps(version="v1.57.1", datastore=PostgreSQL(uri=URI), preshared_key=KEY))

app.synth()
