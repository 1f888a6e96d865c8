"""What the SQL engines share: a URI from a Secret, or its parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import ClassVar

from attrs import field, frozen

from ..checks import Metadata, check, duration, hide, optional, rule, text, whole_number
from ..env import EnvVar, Setting, variable
from ..errors import Problem
from ..secret import SecretKey, as_secret_key, secret_key
from .host import is_host
from .tuned import TunedDatastore


def _host_check() -> Metadata:
    return check(
        "a DNS name or an IP address",
        is_host,
        "give the host alone: scheme, port, user and database have fields of their own",
        shown=False,
        schema={"type": "string"},
    )


def name_check(what: str) -> Metadata:
    """A part that may hold any characters: they are encoded."""
    return text(
        r"[^\x00-\x1f]+",
        f"the {what}, not empty",
        f"give the {what} as the database knows it, not encoded",
        shown=False,
    )


@frozen(kw_only=True)
class SQLDatastore(TunedDatastore):
    """An SQL engine, reached through ``uri`` or through its parts: ``host``, ``port``, ``database``, ``user``, …"""

    default_port: ClassVar[int]

    uri: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the connection URI"))
    )
    """The Secret key that holds the whole URI (``--datastore-conn-uri``), as the engine writes it. Default: none, the
    parts are used. Write ``$`` as ``%24`` in it: ``spicedb migrate`` expands ``$``, ``spicedb serve`` does not."""
    host: str | None = field(default=None, metadata=optional(_host_check()))
    """Where the database listens: a DNS name or an IP address. Default: none, ``uri`` is used."""
    port: int | None = field(default=None, metadata=optional(whole_number(1, 65535)))
    """The database's TCP port. Default: the engine's usual one."""
    database: str | None = field(default=None, metadata=optional(name_check("name of the database")))
    """The database's name, as it is; it is encoded here. Default: none, ``uri`` is used."""
    user: str | None = field(default=None, metadata=optional(name_check("database user")))
    """The database user, as it is; it is encoded here. Default: none, ``uri`` is used."""
    password: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the password"))
    )
    """The Secret key that holds the user's password, as it is: no character in it needs escaping. Default: none, for
    databases that know the user by a certificate or by a credentials provider."""
    ca: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the CA certificate"))
    )
    """The Secret key that holds the CA certificates (PEM) that the database's certificate is checked against, mounted
    in servers and migration alike. Default: none, the ones in SpiceDB's image (public CAs) count."""

    gc_window: timedelta | None = field(
        default=None,
        metadata=optional(
            duration(timedelta(minutes=1), timedelta(days=365), "give a time such as timedelta(hours=24)")
        ),
    )
    """For how long old revisions are kept, for requests at a point in time and for watches that fell behind
    (``--datastore-gc-window``). Default: SpiceDB's own, 24 h. CockroachDB's own ``gc.ttlseconds`` must not be less."""
    max_connections: int | None = field(default=None, metadata=optional(whole_number(1, 1_000_000)))
    """How many connections the database has for these servers. Servers whose pools could open more, with those that a
    roll-out adds, are refused. Default: none; nothing is counted."""

    @property
    def network_port(self) -> int:
        """See `Datastore.network_port`."""
        return self.port or self.default_port

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        uri = uri or self.uri
        connection = (variable("datastore-conn-uri", uri),) if uri else self._parts(migrate)
        return (variable("datastore-engine", self.engine), *connection, *self._settings())

    @abstractmethod
    def connections(self) -> int:
        """How many connections one server opens to the database at most."""

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        return {**super().settings(), "datastore-gc-window": self.gc_window}

    @abstractmethod
    def _parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """The URI composed of the parts, and the password."""

    @abstractmethod
    def _uri_of(self, host: str, migrate: bool = False) -> str:
        """The URI of a host that is reached like this one."""

    @abstractmethod
    def _settings(self) -> tuple[EnvVar, ...]:
        """What goes with either form: TLS and the engine's own settings."""

    def _address(self, host: str) -> str:
        return f"{f'[{host}]' if ':' in host else host}:{self.port or self.default_port}"

    @rule("uri", "host", "port", "database", "user", "password")
    def _uri_or_parts(self) -> Iterator[Problem]:
        parts = {name: getattr(self, name) for name in ("host", "port", "database", "user", "password")}
        if self.uri is not None:
            for name, value in parts.items():
                if value is not None:
                    yield Problem(
                        name,
                        hide(value),
                        "nothing when uri is given",
                        "leave it out, or leave uri out and give the parts",
                    )
        else:
            for name in ("host", "database", "user"):
                if parts[name] is None:
                    yield Problem(
                        name,
                        "None",
                        "uri, or host, database and user",
                        f"give {name}, or uri=SecretKey(…) with the whole connection URI",
                    )

    def _proofs(self, **proofs: object) -> Iterator[Problem]:
        """Problems with the ways in which the database knows the user: with the parts it is one, not none."""
        given = [name for name, value in proofs.items() if value is not None]
        if self.uri is None and self.host is not None and not given:
            yield Problem(
                "password",
                "None",
                " or ".join(proofs),
                "name the Secret key of the user's password: password=SecretKey('my-secret', 'password')",
            )
        if {"password", "credentials_provider"} <= set(given):
            yield Problem(
                "password", "(a SecretKey)", "nothing when credentials_provider is given", "leave one of the two out"
            )
