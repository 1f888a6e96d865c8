"""How SpiceDB connects to its datastore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import Problem
from ..annotations import rule
from ..datastores import (
    CockroachDB,
    Datastore,
    ExpiredIntegrityKey,
    MySQL,
    Pool,
    PostgreSQL,
    RelationshipIntegrity,
    Spanner,
    SQLDatastore,
)
from ..kinds import redact, show
from ..secrets import SecretKey
from ..server import ServerProps
from ..spicedb import SpiceDBProps

_MAX_REPLICAS = 16


@rule(SQLDatastore)
def either_uri_or_parts(
    uri: SecretKey | None,
    host: str | None,
    port: int | None,
    database: str | None,
    user: str | None,
    password: SecretKey | None,
) -> Iterator[Problem]:
    parts = {"host": host, "port": port, "database": database, "user": user, "password": password}
    required = ("host", "database", "user")
    yield from _either(uri, parts, required, "uri, or host, database and user", " with the whole connection URI")


@rule(Spanner)
def either_uri_or_ids(
    uri: SecretKey | None, project: str | None, instance: str | None, database: str | None
) -> Iterator[Problem]:
    parts = {"project": project, "instance": instance, "database": database}
    yield from _either(uri, parts, tuple(parts), "uri, or project, instance and database", "")


def _either(uri: object, parts: dict[str, Any], required: Sequence[str], allowed: str, what: str) -> Iterator[Problem]:
    for name, value in parts.items():
        if uri is not None and value is not None:
            yield Problem(name, redact(value), "None when uri is set", "remove it, or remove uri and set the parts")
        elif uri is None and value is None and name in required:
            yield Problem(name, "None", allowed, f"set {name}, or uri=SecretKey(…){what}")


@rule(PostgreSQL)
def postgresql_knows_the_user(
    uri: SecretKey | None,
    host: str | None,
    password: SecretKey | None,
    credentials_provider: str | None,
    client_certificate: SecretKey | None,
) -> Iterator[Problem]:
    credentials = {"password": password, "credentials_provider": credentials_provider}
    yield from _credentials(uri, host, {**credentials, "client_certificate": client_certificate})


@rule(MySQL)
def mysql_knows_the_user(
    uri: SecretKey | None, host: str | None, password: SecretKey | None, credentials_provider: str | None
) -> Iterator[Problem]:
    yield from _credentials(uri, host, {"password": password, "credentials_provider": credentials_provider})


def _credentials(uri: object, host: object, credentials: dict[str, object]) -> Iterator[Problem]:
    found = [name for name, value in credentials.items() if value is not None]
    if uri is None and host is not None and not found:
        fix = "name the Secret key of the user's password: password=SecretKey('my-secret', 'password')"
        yield Problem("password", "None", " or ".join(credentials), fix)
    if {"password", "credentials_provider"} <= set(found):
        yield Problem("password", "(a SecretKey)", "None when credentials_provider is set", "remove one of the two")


@rule(PostgreSQL, CockroachDB)
def certificate_has_its_key(client_certificate: SecretKey | None, client_key: SecretKey | None) -> Iterator[Problem]:
    pair = {"client_certificate": client_certificate, "client_key": client_key}
    missing = [name for name, value in pair.items() if value is None]
    if len(missing) == 1:
        yield Problem(
            missing[0],
            "None",
            "client_certificate and client_key together",
            f"set {missing[0]} too; Secrets of type kubernetes.io/tls have both, as tls.crt and tls.key",
        )


@rule(PostgreSQL, CockroachDB)
def certificates_need_tls(
    sslmode: str | None, ca: SecretKey | None, client_certificate: SecretKey | None
) -> Iterator[Problem]:
    if sslmode == "disable" and (ca or client_certificate):
        allowed = "a mode with TLS when ca or client_certificate is set"
        yield Problem("sslmode", show(sslmode), allowed, "use 'verify-full', or remove the certificates")


@rule(MySQL)
def tls_is_for_parts_and_ca_for_tls(uri: SecretKey | None, tls: str | None, ca: SecretKey | None) -> Iterator[Problem]:
    if uri is not None and tls is not None:
        fix = "write it into the URI: ?parseTime=true&tls=true"
        yield Problem("tls", show(tls), "None when uri is set", fix)
    elif tls == "false" and ca:
        yield Problem("tls", show(tls), "a mode with TLS when ca is set", "use 'true', or remove ca")


@rule(MySQL)
def mysql_pools_are_simple(pool: Pool | None, read_replica_pool: Pool | None) -> Iterator[Problem]:
    for path, each in {"pool": pool, "read_replica_pool": read_replica_pool}.items():
        for name in ("min_open", "max_lifetime_jitter", "health_check_interval") if each else ():
            value = getattr(each, name)
            if value is not None:
                allowed = "None with the mysql engine, whose driver has no such setting"
                yield Problem(f"{path}.{name}", show(value), allowed, "remove it")


@rule(Pool)
def pool_minimum_at_most_maximum(min_open: int | None, max_open: int | None) -> Iterator[Problem]:
    if min_open is not None and max_open is not None and min_open > max_open:
        yield Problem("min_open", show(min_open), f"at most max_open, {max_open}", "lower it, or raise max_open")


@rule(PostgreSQL, MySQL)
def replicas_are_not_too_many(read_replicas: Sequence[str | SecretKey]) -> Iterator[Problem]:
    if len(read_replicas) > _MAX_REPLICAS:
        yield Problem("read_replicas", f"({len(read_replicas)} of them)", f"at most {_MAX_REPLICAS}", "remove some")


@rule(PostgreSQL, MySQL)
def replica_hosts_need_parts(read_replicas: Sequence[str | SecretKey], uri: SecretKey | None) -> Iterator[Problem]:
    if uri is not None and any(isinstance(replica, str) for replica in read_replicas):
        yield Problem(
            "read_replicas",
            "(hosts, not shown)",
            "SecretKeys with whole URIs when uri is set",
            "put each replica's URI into a Secret, or set the primary by its parts",
        )


@rule(PostgreSQL, MySQL)
def replica_pool_needs_replicas(
    read_replicas: Sequence[str | SecretKey], read_replica_pool: Pool | None
) -> Iterator[Problem]:
    if read_replica_pool and not read_replicas:
        yield Problem("read_replica_pool", "(a Pool)", "None without read_replicas", "remove it")


@rule(Spanner)
def emulator_has_no_users(credentials: SecretKey | None, emulator_host: str | None) -> Iterator[Problem]:
    if credentials and emulator_host:
        yield Problem("credentials", "(a SecretKey)", "None when emulator_host is set", "remove one of the two")


@rule(RelationshipIntegrity)
def each_key_has_its_id(key_id: str, expired_keys: Sequence[ExpiredIntegrityKey]) -> Iterator[Problem]:
    ids = [key_id, *(key.id for key in expired_keys)]
    for number, name in enumerate(ids[1:]):
        if name in ids[: number + 1]:
            allowed, fix = "an id that no other key has", "use another id for each key"
            yield Problem(f"expired_keys[{number}].id", show(name), allowed, fix)


@rule(SpiceDBProps)
def nothing_is_bootstrapped(datastore: Datastore, server: ServerProps) -> Iterator[Problem]:
    if not datastore.migrates:
        return
    found = [f"extra_args[{number}]" for number, each in enumerate(server.extra_args) if _is_bootstrap(each)]
    found += [f"env[{name}]" for name in server.env if _is_bootstrap(name)]
    for path in found:
        yield Problem(
            f"server.{path}",
            "(bootstrap)",
            "no bootstrap files with a persistent datastore: they stop the second server that starts, or, with "
            "overwrite, delete all data first",
            "set the schema with schema=SchemaProps(text=…), and import relationships with zed",
        )


def _is_bootstrap(setting: str) -> bool:
    name = setting.lower().replace("_", "-").removeprefix("--").removeprefix("spicedb-")
    return name.startswith("datastore-bootstrap-")
