"""How SpiceDB connects to its datastore."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ...errors import Problem
from ..datastores import CockroachDB, Datastore, MySQL, Pool, PostgreSQL, Spanner, SQLDatastore
from ..datastores.base import ExpiredIntegrityKey, RelationshipIntegrity
from ..datastores.mysql import MYSQL_PARAMS
from ..datastores.sql import LIBPQ_PARAMS, SET_URI, LibpqDatastore
from ..fields import Problems, Rules, unset
from ..fieldtypes import redact, show
from ..network import NetworkPolicies
from ..secrets import SecretKey
from ..server import ServerProps
from ..spicedb import SpiceDBProps

_MAX_REPLICAS = 16
_SECRET_PARAM = re.compile(r"(password|passphrase|passfile|secret|token)$", re.IGNORECASE)
_Replicas = Sequence[str | SecretKey]


def either_uri_or_parts(
    uri: object, host: object, port: object, database: object, user: object, password: object
) -> Problems:
    parts = {"host": host, "port": port, "database": database, "user": user, "password": password}
    allowed, what = "uri, or host, database and user", " with the whole connection URI"
    yield from _either(uri, parts, allowed, what, optional=("port", "password"))


def params_are_for_the_parts(uri: object, params: Mapping[str, str]) -> Problems:
    if uri is not None:
        yield from unset("params", params or None, "when uri is set", "write them into the URI", shown="(not shown)")


def libpq_params_are_not_props(params: Mapping[str, str]) -> Problems:
    pools = {name: "read_pool}, {write_pool" for name in params if name.startswith("pool_")}
    yield from _params(params, {**LIBPQ_PARAMS, **pools})


def mysql_params_are_not_props(params: Mapping[str, str]) -> Problems:
    if "parseTime" in params:
        yield Problem("params[parseTime]", "(not shown)", "{None}: SpiceDB needs it, so it is always true", "remove it")
    yield from _params(params, MYSQL_PARAMS)


def _params(params: Mapping[str, str], props: Mapping[str, str]) -> Problems:
    for name in params:
        if name in props:
            yield Problem(f"params[{name}]", "(not shown)", "parameters that no prop sets", f"use {{{props[name]}}}")
        elif _SECRET_PARAM.search(name):
            fix = f"remove it; use {{password}}, or {SET_URI} with the whole connection URI"
            yield Problem(f"params[{name}]", "(not shown)", "parameters that hold no secret", fix)


def policies_know_the_port(datastore: Datastore, network_policies: NetworkPolicies | None) -> Problems:
    port = datastore.port if isinstance(datastore, SQLDatastore) else None
    if network_policies and network_policies.database_port is None and isinstance(port, SecretKey):
        allowed = "a port when datastore.port is in a Secret, which a NetworkPolicy cannot read"
        yield Problem("network_policies.database_port", "None", allowed, "set it to the port in the Secret")


def either_uri_or_ids(uri: object, project: object, instance: object, database: object) -> Problems:
    ids = {"project": project, "instance": instance, "database": database}
    yield from _either(uri, ids, "uri, or project, instance and database")


def _either(
    uri: object, parts: dict[str, object], allowed: str, what: str = "", optional: Sequence[str] = ()
) -> Problems:
    for name, value in parts.items():
        if uri is not None:
            fix = "remove it, or remove uri and set the parts"
            yield from unset(name, value, "when uri is set", fix, shown=redact(value))
        elif value is None and name not in optional:
            yield Problem(name, "None", allowed, f"set {name}, or {SET_URI}{what}")


def postgresql_knows_the_user(
    uri: object, host: object, password: object, credentials_provider: object, client_certificate: object
) -> Problems:
    credentials = {"password": password, "credentials_provider": credentials_provider}
    yield from _credentials(uri, host, {**credentials, "client_certificate": client_certificate})


def mysql_knows_the_user(uri: object, host: object, password: object, credentials_provider: object) -> Problems:
    yield from _credentials(uri, host, {"password": password, "credentials_provider": credentials_provider})


def _credentials(uri: object, host: object, credentials: dict[str, object]) -> Problems:
    if uri is None and host is not None and not any(credentials.values()):
        key = "{SecretKey('my-secret', 'password')|{name: my-secret, key: password}}"
        fix = f"name the Secret and key of the user's password: {{password=}}{key}"
        yield Problem("password", "None", " or ".join(f"{{{name}}}" for name in credentials), fix)
    if credentials["credentials_provider"]:
        when, fix = "when {credentials_provider} is set", "remove one of the two"
        yield from unset("password", credentials["password"], when, fix, shown="(a SecretKey)")


def certificate_has_its_key(client_certificate: object, client_key: object) -> Problems:
    if (client_certificate is None) is not (client_key is None):
        missing = "client_certificate" if client_certificate is None else "client_key"
        fix = f"set {{{missing}}} too; Secrets of type kubernetes.io/tls have both, as tls.crt and tls.key"
        yield Problem(missing, "None", "{client_certificate} and {client_key} together", fix)


def certificates_need_tls(sslmode: str | None, ca: object, client_certificate: object) -> Problems:
    if sslmode == "disable" and (ca or client_certificate):
        allowed = "a mode with TLS when ca or {client_certificate} is set"
        yield Problem("sslmode", show(sslmode), allowed, "use 'verify-full', or remove the certificates")


def tls_is_for_parts_and_ca_for_tls(uri: object, tls: str | None, ca: object) -> Problems:
    if uri is not None:
        yield from unset("tls", tls, "when uri is set", "write it into the URI: ?parseTime=true&tls=true")
    elif tls == "false" and ca:
        yield Problem("tls", show(tls), "a mode with TLS when ca is set", "use 'true', or remove ca")


def mysql_pools_are_simple(pool: Pool | None, read_replica_pool: Pool | None) -> Problems:
    for path, each in {"pool": pool, "read_replica_pool": read_replica_pool}.items():
        for name in ("min_open", "max_lifetime_jitter", "health_check_interval"):
            when = "with the mysql engine, whose driver has no such setting"
            yield from unset(f"{path}.{name}", getattr(each, name, None), when)


def pool_minimum_at_most_maximum(min_open: int | None, max_open: int | None) -> Problems:
    if min_open is not None and max_open is not None and min_open > max_open:
        yield Problem("min_open", show(min_open), f"at most {{max_open}}, {max_open}", "lower it, or raise {max_open}")


def replicas_are_not_too_many(read_replicas: _Replicas) -> Problems:
    if len(read_replicas) > _MAX_REPLICAS:
        yield Problem("read_replicas", f"({len(read_replicas)} of them)", f"at most {_MAX_REPLICAS}", "remove some")


def replica_hosts_need_parts(read_replicas: _Replicas, uri: object) -> Problems:
    if uri is not None and any(isinstance(replica, str) for replica in read_replicas):
        allowed = "SecretKeys with whole URIs when uri is set"
        fix = "put each replica's URI into a Secret, or set the primary by its parts"
        yield Problem("read_replicas", "(hosts, not shown)", allowed, fix)


def replica_pool_needs_replicas(read_replicas: _Replicas, read_replica_pool: Pool | None) -> Problems:
    if not read_replicas:
        yield from unset("read_replica_pool", read_replica_pool, "without {read_replicas}", shown="(a Pool)")


def revisions_are_kept_while_shared(
    revision_quantization_interval: timedelta | None, gc_window: timedelta | None
) -> Problems:
    interval = revision_quantization_interval
    if interval is not None and gc_window is not None and gc_window <= interval:
        allowed = f"more than {{revision_quantization_interval}}, {show(interval)}"
        yield Problem("gc_window", show(gc_window), allowed, "raise it, or servers will not start")


def emulator_has_no_users(credentials: object, emulator_host: str | None) -> Problems:
    if emulator_host:
        when, fix = "when {emulator_host} is set", "remove one of the two"
        yield from unset("credentials", credentials, when, fix, shown="(a SecretKey)")


def each_key_has_its_id(key_id: str, expired_keys: Sequence[ExpiredIntegrityKey]) -> Problems:
    ids = [key_id, *(key.id for key in expired_keys)]
    for number, name in enumerate(ids[1:]):
        if name in ids[: number + 1]:
            allowed, fix = "an id that no other key has", "use another id for each key"
            yield Problem(f"expired_keys[{number}].id", show(name), allowed, fix)


def nothing_is_bootstrapped(datastore: Datastore, server: ServerProps) -> Problems:
    arguments = {f"extra_args[{number}]": argument for number, argument in enumerate(server.extra_args)}
    for path, setting in {**arguments, **{f"env[{name}]": name for name in server.env}}.items():
        name = setting.lower().replace("_", "-").removeprefix("--").removeprefix("spicedb-")
        if datastore.migrates and name.startswith("datastore-bootstrap-"):
            why = "they stop the second server that starts, or, with overwrite, delete all data first"
            allowed = f"no bootstrap files with a persistent datastore: {why}"
            fix = "set the schema with {schema=}{SchemaProps(text=…)|{text: …}}, and import relationships with zed"
            yield Problem(f"server.{path}", "(bootstrap)", allowed, fix)


RULES: Rules = {
    SQLDatastore: (
        either_uri_or_parts,
        params_are_for_the_parts,
        revisions_are_kept_while_shared,
    ),
    LibpqDatastore: (libpq_params_are_not_props,),
    Spanner: (
        either_uri_or_ids,
        emulator_has_no_users,
        revisions_are_kept_while_shared,
    ),
    PostgreSQL: (
        postgresql_knows_the_user,
        certificate_has_its_key,
        certificates_need_tls,
        replicas_are_not_too_many,
        replica_hosts_need_parts,
        replica_pool_needs_replicas,
    ),
    MySQL: (
        mysql_knows_the_user,
        mysql_params_are_not_props,
        tls_is_for_parts_and_ca_for_tls,
        mysql_pools_are_simple,
        replicas_are_not_too_many,
        replica_hosts_need_parts,
        replica_pool_needs_replicas,
    ),
    CockroachDB: (
        certificate_has_its_key,
        certificates_need_tls,
    ),
    Pool: (pool_minimum_at_most_maximum,),
    RelationshipIntegrity: (each_key_has_its_id,),
    SpiceDBProps: (
        nothing_is_bootstrapped,
        policies_know_the_port,
    ),
}
