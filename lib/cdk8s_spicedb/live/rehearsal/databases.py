"""Database servers that exist for one rehearsal: one pod each, whose data goes with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...manifests.pods import restricted_container
from ...props import SpiceDBProps
from ...props.datastores import CockroachDB, Datastore, MySQL, PostgreSQL
from ...props.secrets import SecretKey
from ..check.database import ask_database
from ..cluster import POD, Cluster
from ..pods import is_ready
from ..poll import poll
from .place import Place
from .watch import Watch, watching

NAME = "rehearsal-database"
"""Name of the pod, its Service, and its Secret."""
_PASSWORD = SecretKey(NAME, "password")
_USER = "spicedb"
_UID = 999
"""The user of the official images of PostgreSQL, MySQL and MariaDB."""
_START_SECONDS = 180


@frozen(kw_only=True)
class Engine:
    """How to run the servers of an engine."""

    port: int
    arguments: Sequence[str]
    env: Mapping[str, str]
    """Variables of the container. An empty value stands for the password."""
    folders: Sequence[str]
    """Where the server writes."""
    client: Sequence[str]
    """The command of the client in its pod, which reads SQL from standard input. Empty: what a step needs of the
    database is not known."""
    asked: tuple[str, str]
    """The files of ``scripts/`` with what the client asks once, if anything, and all the time."""
    datastore: Callable[[Any], Datastore]
    """The props of the live datastore, for this server."""
    image: Callable[[str], str]
    """The image of a server of the same version as the live one, from what that one says about itself."""


_OURS: dict[str, Any] = {
    "uri": None,
    "host": NAME,
    "port": None,
    "database": _USER,
    "user": _USER,
    "password": _PASSWORD,
    "params": {},
    "ca": None,
    "read_only": False,
}
_REPLICATED: dict[str, Any] = {"credentials_provider": None, "read_replicas": (), "read_replica_pool": None}
_LIBPQ: dict[str, Any] = {"sslmode": "disable", "client_certificate": None, "client_key": None}
_MYSQL_CLIENT = """
export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"
exec "$(command -v mariadb || command -v mysql)" --no-defaults --user=root \
    --socket="$(ls /run/mysqld/mysqld.sock /tmp/mysqld.sock 2>/dev/null | head -n 1)" \
    --force --batch --raw --skip-column-names --unbuffered "$MYSQL_DATABASE"
"""


def _postgres_image(version: str) -> str:
    found = re.search(r"PostgreSQL (\d+)|^(\d+)", version)
    return f"docker.io/library/postgres:{(found[1] or found[2]) if found else 'latest'}"


def _mysql_image(version: str) -> str:
    found = re.search(r"\d+\.\d+", version)
    return f"docker.io/library/{'mariadb' if 'mariadb' in version.lower() else 'mysql'}:{found[0] if found else 'lts'}"


def _cockroach_image(version: str) -> str:
    found = re.search(r"v\d+\.\d+\.\d+", version)
    return f"docker.io/cockroachdb/cockroach:{found[0] if found else 'latest'}"


ENGINES: Mapping[str, Engine] = {
    "postgres": Engine(
        port=5432,
        arguments=("postgres", "-cmax_connections=300"),
        env={"POSTGRES_USER": _USER, "POSTGRES_DB": _USER, "POSTGRES_PASSWORD": "", "PGDATA": "/data/pgdata"},
        folders=("/data", "/run/postgresql"),
        client=(
            "psql",
            "--host=/run/postgresql",
            f"--username={_USER}",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
        ),
        asked=("", "postgres.sql"),
        datastore=lambda live: _evolved(live, PostgreSQL, {**_OURS, **_REPLICATED, **_LIBPQ, "max_connections": None}),
        image=_postgres_image,
    ),
    "mysql": Engine(
        port=3306,
        arguments=(),
        env={
            f"{prefix}_{name}": value
            for prefix in ("MYSQL", "MARIADB")
            for name, value in (("USER", _USER), ("DATABASE", _USER), ("PASSWORD", ""), ("ROOT_PASSWORD", ""))
        },
        folders=("/var/lib/mysql", "/run/mysqld", "/tmp"),
        client=("sh", "-c", _MYSQL_CLIENT),
        asked=("mysql-first.sql", "mysql.sql"),
        datastore=lambda live: _evolved(live, MySQL, {**_OURS, **_REPLICATED, "tls": "false", "max_connections": None}),
        image=_mysql_image,
    ),
    "cockroachdb": Engine(
        port=26257,
        arguments=("start-single-node", "--insecure", "--store=type=mem,size=1GiB"),
        env={"COCKROACH_DATABASE": _USER, "COCKROACH_USER": _USER},
        folders=("/tmp",),
        client=(),
        asked=("", ""),
        datastore=lambda live: _evolved(
            live, CockroachDB, {**_OURS, **_LIBPQ, "password": None, "relationship_integrity": None}
        ),
        image=_cockroach_image,
    ),
}


def _evolved(live: Datastore, kind: type[Datastore], changes: Mapping[str, Any]) -> Datastore:
    assert isinstance(live, kind)
    return evolve(live, **changes)


def engine_of(datastore: Datastore) -> Engine:
    """How to run the servers of a datastore's engine. Raises `SpiceDBError` if that is not known."""
    found = ENGINES.get(datastore.engine)
    if found is None:
        known = ", ".join(ENGINES)
        raise SpiceDBError(f"an upgrade on {datastore.engine} cannot be rehearsed; this works with: {known}")
    return found


def image_like(cluster: Cluster, props: Any) -> str:
    """The image of a database server of the live one's version. Raises `SpiceDBError` if the version is not known."""
    report = ask_database(cluster, props)
    if report.server_version is None:
        raise SpiceDBError("the version of the live database is not known; name an image with --database-image")
    return engine_of(props.datastore).image(report.server_version)


def database_manifests(engine: Engine, image: str, props: SpiceDBProps) -> list[Manifest]:
    """The objects of a server."""
    labels, password = {"app": NAME}, secrets.token_hex(16)
    secret = {"name": NAME, "key": _PASSWORD.key}
    env = [
        {"name": name, **({"value": value} if value else {"valueFrom": {"secretKeyRef": secret}})}
        for name, value in engine.env.items()
    ]
    folders = {f"folder-{number}": folder for number, folder in enumerate(engine.folders)}
    container = {
        "name": NAME,
        "image": image,
        "args": list(engine.arguments),
        "env": env,
        "securityContext": {**restricted_container(), "readOnlyRootFilesystem": False},
        "volumeMounts": [{"name": name, "mountPath": folder} for name, folder in folders.items()],
        "readinessProbe": {"tcpSocket": {"port": engine.port}, "periodSeconds": 1},
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            # OpenShift chooses the user itself.
            **({} if props.openshift else {"runAsUser": _UID, "runAsGroup": _UID, "fsGroup": _UID}),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": [{"name": name} for name in props.image_pull_secrets],
        "volumes": [{"name": name, "emptyDir": {}} for name in folders],
        "containers": [container],
    }
    service = {"selector": labels, "ports": [{"port": engine.port}]}
    metadata = {"name": NAME, "labels": labels}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {_PASSWORD.key: password}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]


@frozen
class Database:
    """A database server of its own."""

    place: Place
    engine: Engine
    image: str

    @property
    def cluster(self) -> Cluster:
        """Its namespace."""
        return self.place.cluster

    def start(self, props: SpiceDBProps) -> None:
        """Starts the server, and waits until it accepts connections. Raises `SpiceDBError` if it does not."""
        for manifest in database_manifests(self.engine, self.image, props):
            self.place.apply(manifest)
        pod = poll(
            lambda: self.cluster.get(POD, NAME),
            until=lambda found: found is None or is_ready(found),
            seconds=_START_SECONDS,
            clock=self.cluster.clock,
        )
        if pod is None or not is_ready(pod):
            log = self.cluster.log(NAME, NAME, tail=3).strip() if pod else ""
            raise SpiceDBError(
                f"the database ({self.image}) did not start within {_START_SECONDS} s: {log or 'no log'}"
            )

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Watches what the database needs until the context ends."""
        if not self.engine.client:
            yield Watch()
            return
        with watching(self.cluster, NAME, *self.engine.asked, self.engine.client) as watch:
            yield watch
