"""Flags of the SpiceDB program: which prop sets which, and how SpiceDB reads them.

The flag of a prop stands in the annotation of the prop: ``Annotated[Day, Flag("datastore-gc-interval")]``. From there
come the argument or the variable, the rule that a version has the flag, the chart's value and the reference.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, cast

import attrs
from attrs import evolve, frozen

from ..versions import version_order

Setting = str | int | float | bool | timedelta | Sequence[str] | None
"""Value of a flag. Each item of a sequence becomes an argument of its own; None sets nothing."""
ENGINE = "datastore-engine"
TERMINATION_LOG = "termination-log-path"
# These three hold secrets, so they are no arguments.
PRESHARED_KEY = "grpc-preshared-key"
DATASTORE_URI = "datastore-conn-uri"
REPLICA_URI = "datastore-read-replica-conn-uri"


@frozen
class Flag:
    """A flag of SpiceDB that a prop sets.

    A prop that holds other props has the beginning of their flags, ``otel-…``. They have the rest, ``…-endpoint``.
    """

    name: str
    """Its name without dashes."""
    env: bool = False
    """Whether servers and migration read it from a variable. Defaults to an argument."""
    computed: bool = False
    """Whether the setting depends on more than the prop, so that `manifests` computes it."""
    inverse: bool = False
    """Whether it is set when the prop is off. Then it is computed, and a release without the flag needs none."""
    value: str = ""
    """The property that has the setting. Defaults to the prop itself."""
    ignored_before: str | None = None
    """First release that does what the flag says. Earlier ones have the flag, and ignore it. None: all do it."""

    def works_at(self, version: str) -> bool:
        """Whether a release that has the flag does what it says."""
        return self.ignored_before is None or version_order(version) >= version_order(self.ignored_before)


# ---------------------------------------------------------------- the flags of props


@cache
def flags_of(kind: Any) -> Mapping[str, Sequence[Flag]]:
    """The flags of a class of props by the path of the prop, such as ``tracing.endpoint``, in the order of the class.

    This is also the order of the arguments. It must not change, because that would restart the servers.
    """
    found: dict[str, Sequence[Flag]] = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in attrs.fields(kind):
        parts = list(_parts(hints[field.name]))
        flags = [part for part in parts if isinstance(part, Flag)]
        inner = [flags_of(part) for part in parts if flags and attrs.has(part)]
        beginning = flags[0].name.removesuffix("-…") if flags else ""
        nested = {
            f"{field.name}.{path}": [evolve(flag, name=flag.name.replace("…", beginning)) for flag in more]
            for each in inner
            for path, more in each.items()
        }
        found |= nested or ({field.name: flags} if flags else {})
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside it: types and limits."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def flag_of(kind: Any, path: str) -> str:
    """The only flag of a prop."""
    (flag,) = flags_of(kind)[path]
    return flag.name


def flagged(props: Any) -> Iterator[tuple[str, Flag, Any]]:
    """The path, the flag and the value of each prop with a flag. A switch with its default is left to SpiceDB: None."""
    for path, (*outer, name), flag in _paths(cast(Any, type(props))):
        owner = props
        for part in outer:
            owner = getattr(owner, part, None)
        if owner is not None:
            value = getattr(owner, flag.value or name)
            is_default = isinstance(value, bool) and value == _defaults(cast(Any, type(owner)))[name]
            yield path, flag, None if is_default else value


@cache
def _paths(kind: Any) -> Sequence[tuple[str, Sequence[str], Flag]]:
    return [(path, path.split("."), flag) for path, flags in flags_of(kind).items() for flag in flags]


@cache
def _defaults(kind: Any) -> Mapping[str, Any]:
    return {field.name: field.default for field in attrs.fields(kind)}


def settings_of(props: Any) -> dict[str, Setting]:
    """The arguments of props by flag. Those that `manifests` computes have their place, with None."""
    return {
        flag.name: None if flag.computed or flag.inverse or attrs.has(type(value)) else value
        for _, flag, value in flagged(props)
        if not flag.env
    }


# ---------------------------------------------------------------- how SpiceDB reads them


def variable_name(flag: str) -> str:
    """The variable that SpiceDB reads instead of ``--flag``: SPICEDB_DATASTORE_ENGINE for ``datastore-engine``."""
    return f"SPICEDB_{flag.replace('-', '_').upper()}"


def argument(flag: str, value: str | int | float | bool | timedelta) -> str:
    """``--flag=value`` as SpiceDB parses it. SpiceDB rejects misspelled arguments, but ignores misspelled variables."""
    if isinstance(value, bool):
        return f"--{flag}={str(value).lower()}"
    return f"--{flag}={duration(value) if isinstance(value, timedelta) else value}"


def duration(value: timedelta) -> str:
    """A duration as SpiceDB parses it: in seconds, or in milliseconds if it has a fraction of a second."""
    milliseconds = value // timedelta(milliseconds=1)
    return f"{milliseconds}ms" if value.microseconds else f"{milliseconds // 1000}s"


def last_argument(given: Sequence[str], flag: str) -> str | None:
    """The value that SpiceDB takes for a flag of arguments: the last one."""
    values = [each.partition("=")[2] for each in given if each.startswith(f"--{flag}=")]
    return values[-1] if values else None


def arguments(settings: Mapping[str, Setting]) -> list[str]:
    """The arguments of settings by flag, in their order."""
    found = []
    for flag, setting in settings.items():
        values: Iterable[Any] = setting if isinstance(setting, (list, tuple)) else [setting]
        found += [argument(flag, value) for value in values if value is not None]
    return found
