"""What the SQL engines share: a URI from a Secret, or its parts."""

from __future__ import annotations

import ipaddress
import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from attrs import field, frozen

from ..checks import Metadata, check, hide, optional, rule, text, whole_number
from ..env import EnvVar, variable
from ..errors import Problem
from ..secret import SecretKey, as_secret_key, secret_key
from .base import Datastore


def _is_host(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return ipaddress.ip_address(value) is not None and "%" not in value
    except ValueError:
        return len(value) <= 253 and re.fullmatch(r"[A-Za-z0-9_]([-.\w]*[A-Za-z0-9_])?", value, re.ASCII) is not None


def _host_check() -> Metadata:
    return check(
        "a DNS name or an IP address",
        _is_host,
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


def credentials_provider_check() -> Metadata:
    return check(
        "aws-iam",
        lambda value: value == "aws-iam",
        "'aws-iam' is the only provider that SpiceDB has; leave it out to use a password",
        schema={"const": "aws-iam"},
    )


@frozen(kw_only=True)
class SQLDatastore(Datastore):
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

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        uri = uri or self.uri
        connection = (variable("datastore-conn-uri", uri),) if uri else self._parts(migrate)
        return (variable("datastore-engine", self.engine), *connection, *self._settings())

    @abstractmethod
    def _parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """The URI composed of the parts, and the password."""

    @abstractmethod
    def _settings(self) -> tuple[EnvVar, ...]:
        """What goes with either form: TLS and the engine's own settings."""

    @property
    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"{host}:{self.port or self.default_port}"

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
