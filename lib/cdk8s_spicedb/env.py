"""Environment variables and flags of the SpiceDB program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from attrs import frozen

from .secret import SecretKey

Setting = str | int | float | bool | timedelta | Sequence[str] | None
"""What a flag is given; each of several values by itself, None: nothing."""


@frozen
class EnvVar:
    """One environment variable of a container, with its value or the Secret key that holds it."""

    name: str
    value: str | SecretKey


def variable(flag: str, value: str | SecretKey) -> EnvVar:
    """The variable that SpiceDB reads in place of ``--flag``: ``datastore-engine`` is SPICEDB_DATASTORE_ENGINE."""
    return EnvVar(f"SPICEDB_{flag.replace('-', '_').upper()}", value)


def argument(flag: str, value: str | int | float | bool | timedelta) -> str:
    """``--flag=value`` as SpiceDB parses it; a misspelt argument stops the program, a misspelt variable does not."""
    if isinstance(value, bool):
        return f"--{flag}={str(value).lower()}"
    if isinstance(value, timedelta):
        return (
            f"--{flag}={value // timedelta(milliseconds=1)}ms"
            if value.microseconds
            else f"--{flag}={value // timedelta(seconds=1)}s"
        )
    return f"--{flag}={value}"


def arguments(settings: Mapping[str, Setting]) -> list[str]:
    """The arguments of settings by flag, in their order; what is None is left to SpiceDB."""
    return [argument(flag, value) for flag, given in settings.items() for value in _values(given)]


def _values(given: Setting) -> Iterator[str | int | float | bool | timedelta]:
    if isinstance(given, (list, tuple)):
        yield from given
    elif given is not None:
        yield cast("str | int | float | bool | timedelta", given)


def container_env(variables: Iterable[EnvVar]) -> list[dict[str, Any]]:
    """As a container's ``env``, in the order given: Kubernetes expands ``$(NAME)`` only of variables before it."""
    return [
        {"name": v.name, "valueFrom": v.value.source()}
        if isinstance(v.value, SecretKey)
        else {"name": v.name, "value": v.value}
        for v in variables
    ]
