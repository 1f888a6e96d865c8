"""Databases: servers in a namespace, and a PostgreSQL that tests use one after another."""

from __future__ import annotations

import os
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from subprocess import Popen
from urllib.parse import quote

import httpx2
from attrs import field, frozen

from .cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, wait

USER = DATABASE = "spicedb"
PASSWORD = 's$e{c}r$HOME$(X)%2f:/@?#&=+e t"`!'
"""Contains characters that are special in a shell, a URI, SpiceDB or Kubernetes. The images accept no single quote."""


@frozen
class Database:
    """A database server: one pod and its Service. The data is deleted with the pod."""

    name: str
    image: str
    port: int
    env: Mapping[str, str]
    folders: tuple[str, ...]
    probe: Object
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    cpu: str | None = None
    """CPU request."""
    certificates: str | None = None
    """Secret that is mounted at /certificates, readable by the group."""
    config_maps: Mapping[str, str] = field(factory=dict)
    """ConfigMaps by the folder at which they are mounted."""
    node: str | None = None
    """The node on which it runs. None: any."""

    def start(self, namespace: Namespace) -> None:
        self.add_service(namespace, self.name)
        metadata = {"name": self.name, "labels": {"app": self.name}}
        namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.pod()})
        namespace.wait_until_ready(f"app={self.name}")

    def add_service(self, namespace: Namespace, name: str) -> None:
        """Adds a Service with another name. Tests use it as a read replica with the same data."""
        service = {"selector": {"app": self.name}, "ports": [{"port": self.port}]}
        namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service})

    def pod(self) -> Object:
        """The spec of its pod."""
        volumes = {f"data-{index}": folder for index, folder in enumerate(self.folders)}
        secret = {"secretName": self.certificates, "defaultMode": 0o640}
        certificates = [{"name": "certificates", "secret": secret}] if self.certificates else []
        config_maps = [{"name": name, "configMap": {"name": name}} for name in self.config_maps.values()]
        folders = {**volumes, **({"certificates": "/certificates"} if self.certificates else {})}
        folders |= {name: folder for folder, name in self.config_maps.items()}
        return {
            "nodeName": self.node,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {**RESTRICTED_POD, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
            "volumes": [*({"name": name, "emptyDir": {}} for name in volumes), *certificates, *config_maps],
            "containers": [
                {
                    "name": self.name,
                    "image": self.image,
                    "command": list(self.command) or None,
                    "args": list(self.arguments) or None,
                    "env": [{"name": name, "value": value.replace("$(", "$$(")} for name, value in self.env.items()],
                    "resources": {"requests": {"cpu": self.cpu}} if self.cpu else None,
                    "securityContext": RESTRICTED_CONTAINER,
                    "volumeMounts": [{"name": name, "mountPath": folder} for name, folder in folders.items()],
                    # It ends with the first success. A readiness probe would start a program every second.
                    "startupProbe": {**self.probe, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 180},
                }
            ],
        }


POSTGRES = Database(
    name="postgres",
    image=os.environ.get("LAB_POSTGRES_IMAGE", "docker.io/library/postgres:15"),
    port=5432,
    env={
        "POSTGRES_USER": USER,
        "POSTGRES_DB": DATABASE,
        "POSTGRES_PASSWORD": PASSWORD,
        "PGDATA": "/var/lib/postgresql/data/pgdata",
    },
    folders=("/var/lib/postgresql/data", "/run/postgresql"),
    # With the default of 100, requests fail when the servers of two roll-outs have opened all connections.
    arguments=("postgres", "-cmax_connections=300"),
    probe={"exec": {"command": ["pg_isready", "--host=127.0.0.1", f"--username={USER}"]}},
)

MARIADB = Database(
    name="mariadb",
    image=os.environ.get("LAB_MARIADB_IMAGE", "docker.io/library/mariadb:10.11"),
    port=3306,
    env={
        "MARIADB_USER": USER,
        "MARIADB_DATABASE": DATABASE,
        "MARIADB_PASSWORD": PASSWORD,
        "MARIADB_ROOT_PASSWORD": "root",
    },
    folders=("/var/lib/mysql", "/run/mysqld", "/tmp"),
    probe={"tcpSocket": {"port": 3306}},
)


def bundled_postgres(secret: str, key: str) -> list[Object]:
    """PostgreSQL as a product ships it, and the Secret with its URI and the preshared key of SpiceDB."""
    labels = {"app": POSTGRES.name}
    template = {"metadata": {"labels": labels}, "spec": POSTGRES.pod()}
    database = {"serviceName": POSTGRES.name, "selector": {"matchLabels": labels}, "template": template}
    uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}/{DATABASE}?sslmode=disable"
    keys = {"datastore-uri": uri, "preshared-key": key}
    port = {"selector": labels, "ports": [{"port": POSTGRES.port}]}
    return [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": POSTGRES.name}, "spec": database},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": POSTGRES.name}, "spec": port},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": keys},
    ]


def bundled_postgres_revision(namespace: Namespace) -> str:
    """The revision of the schema in `bundled_postgres`."""
    query = "SELECT version_num FROM alembic_version"
    psql = ["psql", "--host=/run/postgresql", f"--username={USER}", "--tuples-only", "--no-align", f"--command={query}"]
    return namespace.kubectl("exec", f"{POSTGRES.name}-0", "--", *psql).strip()


def postgres_query(namespace: Namespace, query: str) -> str:
    """The result of a query as text. Empty if the query fails."""
    psql = ["psql", "--host=/run/postgresql", f"--username={USER}", "--tuples-only", "--no-align", f"--command={query}"]
    return namespace.databases.kubectl("exec", POSTGRES.name, "--", *psql, check=False).strip()


def postgres_revision(namespace: Namespace) -> str:
    """The revision of PostgreSQL's schema. Empty before the first migration."""
    return postgres_query(namespace, "SELECT version_num FROM alembic_version")


@contextmanager
def postgres_locked(namespace: Namespace, table: str, seconds: int) -> Iterator[Popen[str]]:
    """Locks a table, so that nobody else can use it, for a time or until the context ends, whichever is sooner.

    Yields the process that holds the lock.
    """
    sql = f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
    held = f"FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'AccessExclusiveLock' AND granted"
    psql = ("psql", "--host=/run/postgresql", f"--username={USER}", f"--command={sql}")
    with namespace.databases.background("exec", POSTGRES.name, "--", *psql) as holder:
        wait("the lock", lambda: postgres_query(namespace, f"SELECT 1 {held}") or None)
        yield holder
        if holder.poll() is None:
            postgres_query(namespace, f"SELECT pg_terminate_backend(pid) {held}")


# Only roles that tests created have so large an oid.
_RESET = rf"""
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
WHERE datname <> 'postgres' AND NOT datistemplate \gexec
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384 \gexec
ALTER ROLE {USER} CONNECTION LIMIT -1;
CREATE DATABASE {DATABASE};
"""


@contextmanager
def borrowed_postgres(lender: Namespace, namespace: Namespace) -> Iterator[None]:
    """Gives a namespace the PostgreSQL of another one, under the usual name, with one empty database.

    Starting a server takes some seconds, which this saves. At the end, what is left in the namespace can no longer
    connect, so the next namespace that borrows the server has it for itself.
    """
    psql = ("psql", "--host=/run/postgresql", f"--username={USER}", "--dbname=postgres", "-qAt", "-vON_ERROR_STOP=1")
    lender.kubectl("exec", "-i", POSTGRES.name, "--", *psql, text=_RESET)
    metadata: Object = {"name": POSTGRES.name, "labels": {"kubernetes.io/service-name": POSTGRES.name}}
    ports = [{"port": POSTGRES.port}]
    address = (lender.get("pod", POSTGRES.name) or {})["status"]["podIP"]
    namespace.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [address]}],
        },
    )
    namespace.databases = lender
    # Until each node knows the Service's endpoint, connections are refused.
    ready = ("pg_isready", f"--host={POSTGRES.name}.{namespace.name}", "--timeout=5")
    wait("the Service", lambda: "accepting" in lender.kubectl("exec", POSTGRES.name, "--", *ready, check=False))
    yield
    namespace.kubectl("delete", f"service/{POSTGRES.name}", f"endpointslice/{POSTGRES.name}", "--wait=false")


COCKROACHDB = Database(
    name="cockroachdb",
    image="docker.io/cockroachdb/cockroach:v25.2.4",
    port=26257,
    env={},
    folders=("/cockroach/cockroach-data",),
    probe={"httpGet": {"path": "/health?ready=1", "port": 8080}},
    command=("/cockroach/cockroach", "start-single-node", "--insecure"),
)

SPANNER = Database(
    name="spanner",
    image=os.environ.get("LAB_SPANNER_IMAGE", ""),
    port=9010,
    env={},
    folders=("/tmp",),
    probe={"tcpSocket": {"port": 9020}},
    config_maps={"/usr/share/zoneinfo/America": "zones"},
)
"""Spanner's emulator: gRPC at 9010, REST at 9020."""
_ZONE = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
"""A time zone, as a file of the system: UTC. The emulator stops without a file for Los Angeles."""
_PROJECT = f"projects/{DATABASE}"
_SPANNER_DATABASE = f"{_PROJECT}/instances/{DATABASE}/databases/{DATABASE}"


def start_spanner(namespace: Namespace) -> None:
    """Starts the emulator, with an instance and an empty database."""
    zones = {"Los_Angeles": b64encode(_ZONE).decode()}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "zones"}, "binaryData": zones})
    SPANNER.start(namespace)
    instance = {"config": f"{_PROJECT}/instanceConfigs/emulator-config", "displayName": DATABASE, "nodeCount": 1}
    with _spanner(namespace) as post:
        post(f"{_PROJECT}/instances", {"instanceId": DATABASE, "instance": instance})
        database, _, _ = _SPANNER_DATABASE.rpartition("/")
        post(database, {"createStatement": f"CREATE DATABASE `{DATABASE}`"})


def spanner_revision(namespace: Namespace) -> str:
    """The revision of Spanner's schema."""
    with _spanner(namespace) as post:
        session = post(f"{_SPANNER_DATABASE}/sessions", {})["name"]
        ((revision,),) = post(f"{session}:executeSql", {"sql": "SELECT version_num FROM schema_version"})["rows"]
    return str(revision)


@contextmanager
def _spanner(namespace: Namespace) -> Iterator[Callable[[str, Object], Object]]:
    """Posts to the emulator's REST API."""
    with namespace.forward(SPANNER.name, 9020) as address, httpx2.Client(base_url=f"http://{address}/v1/") as client:

        def post(path: str, body: Object) -> Object:
            answer: Object = client.post(path, json=body).raise_for_status().json()
            return answer

        yield post


def image_can_be_pulled(namespace: Namespace, image: str, *command: str) -> bool:
    """Whether the cluster can pull an image. Starts a pod to find out."""
    container = {
        "name": "pull",
        "image": image,
        "command": list(command or ["true"]),
        "securityContext": RESTRICTED_CONTAINER,
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": {**RESTRICTED_POD, "runAsUser": 999},
        "containers": [container],
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pull"}, "spec": spec})

    def result() -> str | None:
        pod = namespace.get("pod", "pull")
        state = pod["status"].get("containerStatuses", [{}])[0].get("state", {}) if pod else {}
        reason: str = state.get("waiting", {}).get("reason", "")
        return "no" if "Image" in reason else "yes" if state.get("terminated") else None

    return wait(f"the pull of {image}", result, 300) == "yes"
