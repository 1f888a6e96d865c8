"""Findings about a connection that failed."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..finding import Finding
from .facts import Facts
from .report import Question

DATABASE = "Database"
_PROBLEMS = {
    "dns": ("the name of the host cannot be resolved", "correct {host}"),
    "refused": (
        "the connection is refused",
        "start the database, or correct {host} and the port; also look for a network policy or a firewall",
    ),
    "timeout": (
        "there is no answer within 5 s",
        "allow the release's namespace to reach the database (network policies, firewall, security groups), "
        "or correct {host}",
    ),
    "password": ("the database rejects the user or the password", "put the right ones into {secret}"),
    "password-or-tls": (
        "the database rejects the user or the password, or requires TLS",
        "put the right ones into {secret}, or set {tls} to 'true' if the database requires TLS",
    ),
    "rejected": (
        "the database does not allow this user to connect from this address",
        "allow it in the database: in pg_hba.conf of PostgreSQL, or with the host of the MySQL user",
    ),
    "tls-required": ("the database requires TLS", "set {tls} to a mode that uses TLS"),
    "no-tls": ("the database does not support TLS", "enable TLS in the database, or set {tls} to a mode without TLS"),
    "certificate": (
        "the certificate of the database is not signed by the trusted CA, or is not valid for this host name",
        "set datastore.ca to the Secret and key of the CA that signed it, and datastore.host to a name in it",
    ),
    "hostname": ("the certificate of the database is for another host", "set {host} to a name in the certificate"),
    "client-certificate": (
        "the database rejects the client certificate",
        "set datastore.clientCertificate and datastore.clientKey to those of the user",
    ),
    "client-key": (
        "the client certificate or its key cannot be read",
        "put a certificate and an unencrypted key, both in PEM, into the Secrets of datastore.clientCertificate and "
        "datastore.clientKey",
    ),
    "no-database": ("the database does not exist", "create it: CREATE DATABASE"),
    "no-connect": (
        "the user has no permission to connect to the database",
        "let the user use it: GRANT CONNECT, or GRANT … ON database.*",
    ),
    "full": (
        "no connection is left",
        "increase the database's max_connections or the limit of the user, or end connections that nobody needs",
    ),
    "starting": ("the database is starting up or shutting down", "wait until it accepts connections"),
    "uri": ("the client cannot parse the URI", "correct the URI in {secret}"),
    "unknown": (
        "the client failed for a reason that this check does not know",
        "connect with a client of the database and the credentials of {secret}",
    ),
}
_UNCHECKED = {
    "no-ca": (
        "not checked: the image of the client has no CA certificates that could verify the database's certificate",
        "set datastore.ca, or check with an image that has both a client and public CA certificates",
    ),
    "no-client": (
        "not checked: the image has no client of this database",
        "choose an image with psql for PostgreSQL and CockroachDB, or with mariadb or mysql for MySQL",
    ),
    "parameter": (
        "not checked: the client of the check does not take a parameter of the URI, although SpiceDB may take it",
        "remove the parameter from {secret} if you do not need it",
    ),
}


@frozen
class Words:
    """What fixes are called with an engine."""

    tls: str
    """Setting of TLS."""
    dollar: str
    """What to do about a $ in the URI."""


def connection_findings(facts: Facts, question: Question, engine: Words) -> Iterator[Finding]:
    """Why the client could not connect. Nothing if it could."""
    error = facts.one("error")
    if "error" not in facts and "done" not in facts:
        error = {"kind": "timeout" if not facts.all else "unknown"}
    if not error:
        return
    kind = str(error.get("kind"))
    words = {"secret": _secret(question), "host": _host(question), "tls": engine.tls}
    if kind in _UNCHECKED:
        text, fix = _UNCHECKED[kind]
        yield Finding.warning(DATABASE, f"{question.place}: {text}", fix.format(**words))
    else:
        text, fix = _PROBLEMS.get(kind, _PROBLEMS["unknown"])
        yield Finding.failure(DATABASE, f"{question.place}: {text}", fix.format(**words))


def uri_findings(facts: Facts, question: Question, engine: Words) -> Iterator[Finding]:
    """Whether the migration understands a URI from a Secret as the servers do."""
    if "pool" in facts and question.props.migration.enabled:
        text = "the URI has pool_… parameters, with which `spicedb migrate` fails"
        fix = f"remove them from {_secret(question)}; set datastore.readPool and datastore.writePool instead"
        yield Finding.failure(DATABASE, text, fix)
    if question.by_uri and "dollar" in facts:
        text = "the URI contains $: `spicedb migrate` puts the value of a variable there, and `spicedb serve` does not"
        yield Finding.warning(DATABASE, text, engine.dollar)


def _secret(question: Question) -> str:
    key = question.credentials
    return f"key {key.key} of Secret {key.name}" if key else "datastore.password"


def _host(question: Question) -> str:
    return f"the host of the URI in {_secret(question)}" if question.by_uri else "datastore.host"
