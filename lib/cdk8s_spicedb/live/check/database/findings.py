"""Findings that the engines share: about the connection, the room for more, the revision, and the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from ....plans.words import duration, in_words, short_limit
from ....props.fields import camel
from ....props.secrets import SecretKey
from ....props.spicedb import number_of
from ....text import count
from ....versions import Estimate, Waits
from ..finding import Finding
from .question import Facts, Question, key_text

DATABASE, LOCKS, RIGHTS = "Database", "Database locks", "Database rights"
CONNECTIONS, REVISION = "Database connections", "Database revision"
NO_LOCKS = Finding.ok(LOCKS, "no transaction is in the way of migrations")
ALL_RIGHTS = Finding.ok(RIGHTS, "the migration's user can create, alter and index tables")
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
        "set datastore.ca to the CA that signed it, and {host} to a name in it",
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
    "uri": (
        "the client cannot parse the URI",
        "percent-encode special characters in {secret}, such as @ as %40, or set the parts of the connection",
    ),
    "unknown": (
        "the client failed for a reason that this check does not know",
        "connect with a client of the database and the credentials of {secret}",
    ),
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
_LONG_SECONDS = 5
_UNCHECKED = ("no-ca", "no-client", "parameter")
"""Problems of the check itself, which say nothing about the database."""


def connection_findings(facts: Facts, question: Question, tls: str) -> Iterator[Finding]:
    """Why the client could not connect. Nothing if it could. ``tls`` is the engine's setting of TLS."""
    error = facts.one("error")
    if "error" not in facts and "done" not in facts:
        error = {"kind": "timeout" if not facts.all else "unknown"}
    if error:
        kind, secret = str(error.get("kind")), _secret(question)
        text, fix = _PROBLEMS.get(kind, _PROBLEMS["unknown"])
        part = question.datastore.host
        host = key_text(part) if isinstance(part, SecretKey) else "datastore.host"
        host = f"the host of the URI in {secret}" if question.uri else host
        make = Finding.warning if kind in _UNCHECKED else Finding.failure
        yield make(DATABASE, f"{question.place}: {text}", fix.format(secret=secret, host=host, tls=tls))


def uri_findings(facts: Facts, question: Question, dollar: str) -> Iterator[Finding]:
    """Whether the migration understands a URI from a Secret as the servers do. ``dollar`` is what to do about a $."""
    if "pool" in facts and question.props.migration.enabled:
        text = "the URI has pool_… parameters, with which `spicedb migrate` fails"
        fix = f"remove them from {_secret(question)}; set datastore.readPool and datastore.writePool instead"
        yield Finding.failure(DATABASE, text, fix)
    if question.uri and "dollar" in facts:
        text = "the URI contains $: `spicedb migrate` puts the value of a variable there, and `spicedb serve` does not"
        yield Finding.warning(DATABASE, text, dollar)


def _secret(question: Question) -> str:
    key = question.uri or question.datastore.password
    return f"key {key.key} of Secret {key.name}" if key else "datastore.password"


@frozen
class Limit:
    """A limit of connections."""

    name: str
    """What sets the limit, such as ``max_connections``."""
    total: int
    """Maximum number of connections that SpiceDB's user can open."""
    used: int
    """Connections that are open now."""
    fix: str
    """How to increase it."""


def room_findings(question: Question, limits: list[Limit]) -> Iterator[Finding]:
    """Whether the connections are free that a roll-out needs in addition to those of the running servers.

    A roll-out needs the most while the old servers drain. With fewer connections, new servers wait for them.
    """
    props, running, each = question.props, question.running_servers, question.datastore.connections()
    # The migration has one connection, and one to spare.
    migration = 2 if props.migration.enabled else 0
    surge = 1 if running and props.max_surge not in (0, "0%") else 0
    first = max(props.max_replicas + surge - running, 0) * each + migration
    most = max((props.roll_out_replicas if running else props.max_replicas) - running, 0) * each + migration
    what = "a roll-out" if running else "SpiceDB"
    short = [limit for limit in limits if limit.total - limit.used < most]
    pools = [name for name in ("read_pool", "write_pool", "pool") if hasattr(question.datastore, name)]
    settings = ", ".join(f"datastore.{camel(name)}" for name in pools)
    for limit in short:
        free = max(limit.total - limit.used, 0)
        text = f"{limit.name}: {free} of {limit.total} are free, and {what} needs {most} more"
        fix = f"{limit.fix}, or use fewer for each server ({settings})"
        if running and number_of(props.max_surge, props.max_replicas) > 1:
            fix += ", or set server.maxSurge to 1"
        if free < first:
            yield Finding.failure(CONNECTIONS, text, fix)
        else:
            consequence = "new servers wait until old ones have ended, and a request fails if it needs a new connection"
            yield Finding.warning(CONNECTIONS, f"{text}: {consequence}", fix)
    if limits and not short:
        least = min(limits, key=lambda limit: limit.total - limit.used)
        yield Finding.ok(CONNECTIONS, f"{least.total - least.used} of {least.total} are free; {what} needs {most}")


def revision_findings(question: Question, revision: str | None) -> Iterator[Finding]:
    """What the revision means for the coming migrations."""
    known, target = question.releases.revisions, question.target
    if revision is None:
        yield Finding.ok(REVISION, "the database has no schema of SpiceDB; the migration creates it")
    elif revision not in known:
        yield Finding.failure(
            REVISION,
            f"{revision} is not known: it comes from a fork, or from a newer release that this package does not know",
            "use a newer version of this package, or describe the release in a file, and pass it with --releases",
        )
    elif target is None:
        text = f"{revision}; the migrations of {question.version} are not known"
        yield Finding.warning(REVISION, text, "describe the release in a file, and pass it with --releases")
    elif known.index(revision) > known.index(target):
        yield _ahead(question, revision, target)
    else:
        pending = len(question.pending(revision))
        yield Finding.ok(REVISION, f"{revision}; {count(pending, 'migration')} to {target}" if pending else revision)


def _ahead(question: Question, revision: str, target: str) -> Finding:
    props, text = question.props, f"{revision} is newer than {target}, to which {question.version} migrates"
    step = question.steps[-1] if question.steps else None
    phase = step.datastore_migration_phase if step else props.server.datastore_migration_phase
    allowed = step.allowed_migrations if step else props.server.allowed_migrations
    starts = props.releases.starts_on(props.datastore.engine, question.version, phase) | set(allowed or ())
    if revision not in starts:
        fix = f"use a release of SpiceDB that knows {revision}: migrations cannot be undone"
        return Finding.failure(REVISION, f"{text}, and its servers do not start on it", fix)
    fix = "set migration.enabled to false, unless you go back with `helm rollback`, which does not migrate"
    if not props.migration.enabled:
        return Finding.ok(REVISION, f"{text}; its servers start on it")
    return Finding.warning(REVISION, f"{text}; its servers start on it, but its migration fails on it", fix)


def estimate_findings(
    question: Question, revision: str | None, found: Sequence[Estimate], sizes: Mapping[str, int]
) -> Iterator[Finding]:
    """How long each migration takes, and whether each Job ends in time. ``sizes`` are bytes with indexes, by table."""
    short = [estimate for estimate in found if estimate.seconds < _LONG_SECONDS]
    for estimate in [estimate for estimate in found if estimate not in short]:
        subject, size = f"Migration {estimate.revision}", sizes.get(estimate.table)
        text = in_words(estimate, detail=f"{bytes_text(size)} with indexes" if size else "")
        fix = "migrate when there is little traffic, or change the table beforehand"
        yield Finding.ok(subject, text) if estimate.waits is Waits.NOBODY else Finding.warning(subject, text, fix)
    if short:
        longest, names = max(estimate.seconds for estimate in short), ", ".join(each.revision for each in short)
        yield Finding.ok("Migrations", f"at most about {duration(longest)} each: {names}")
    for job in question.jobs(revision):
        seconds = sum(estimate.seconds for estimate in found if estimate.revision in job)
        limit = short_limit(seconds, question.props.migration)
        if limit:
            make = Finding.failure if limit.exceeded else Finding.warning
            yield make(f"Migration to {job[-1]}", limit.text, limit.fix)


def bytes_text(size: float) -> str:
    """A number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
