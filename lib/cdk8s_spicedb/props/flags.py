"""Flags and environment variables of the SpiceDB program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from .secrets import SecretKey

Setting = str | int | float | bool | timedelta | Sequence[str] | None
"""Value of a flag. Each item of a sequence becomes an argument of its own; None sets nothing."""


@frozen
class EnvVar:
    """An environment variable of a container."""

    name: str
    value: str | SecretKey
    """Its value, or the Secret key that holds it."""


def variable(flag: str, value: str | SecretKey) -> EnvVar:
    """The variable that SpiceDB reads instead of ``--flag``: SPICEDB_DATASTORE_ENGINE for ``datastore-engine``."""
    return EnvVar(f"SPICEDB_{flag.replace('-', '_').upper()}", value)


def argument(flag: str, value: str | int | float | bool | timedelta) -> str:
    """``--flag=value`` as SpiceDB parses it. SpiceDB rejects misspelled arguments, but ignores misspelled variables."""
    if isinstance(value, bool):
        return f"--{flag}={str(value).lower()}"
    return f"--{flag}={duration(value) if isinstance(value, timedelta) else value}"


def duration(value: timedelta) -> str:
    """A duration as SpiceDB parses it: in seconds, or in milliseconds if it has a fraction of a second."""
    milliseconds = value // timedelta(milliseconds=1)
    return f"{milliseconds}ms" if value.microseconds else f"{milliseconds // 1000}s"


def arguments(settings: Mapping[str, Setting]) -> list[str]:
    """The arguments of settings by flag, in their order."""
    found = []
    for flag, setting in settings.items():
        values: Iterable[Any] = setting if isinstance(setting, (list, tuple)) else [setting]
        found += [argument(flag, value) for value in values if value is not None]
    return found


def container_env(variables: Iterable[EnvVar]) -> list[dict[str, Any]]:
    """A container's ``env``, in the given order: Kubernetes expands ``$(NAME)`` only for variables that come before."""
    return [
        {"name": variable.name, "valueFrom": variable.value.source()}
        if isinstance(variable.value, SecretKey)
        else {"name": variable.name, "value": variable.value}
        for variable in variables
    ]
