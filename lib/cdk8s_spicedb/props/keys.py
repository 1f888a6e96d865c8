"""The keys of Secrets and ConfigMaps that a release reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from .secrets import ConfigMapKey, SecretKey
from .spicedb import SpiceDBProps

_Key = TypeVar("_Key", SecretKey, ConfigMapKey)


def secret_keys(props: SpiceDBProps) -> dict[SecretKey, str]:
    """Every Secret key that a release reads once, with the name of the first prop that holds it."""
    return _keys(props, SecretKey)


def config_map_keys(props: SpiceDBProps) -> dict[ConfigMapKey, str]:
    """Does what `secret_keys` does, for the keys of ConfigMaps."""
    return _keys(props, ConfigMapKey)


def needed_config_maps(props: SpiceDBProps) -> list[ConfigMapKey]:
    """Every key of a ConfigMap that must exist before the release: for CAs, and the SpiceDB schema."""
    schema = props.schema
    own = [ConfigMapKey(schema.config_map, schema.config_map_key)] if schema and schema.config_map else []
    return [*config_map_keys(props), *own]


def _keys(props: SpiceDBProps, kind: type[_Key]) -> dict[_Key, str]:
    parts = {name: getattr(props, name) for name in ("preshared_key", "other_preshared_keys", "datastore", "migration")}
    found: dict[_Key, str] = {}
    # Keys of the servers have the name of their prop alone.
    more = {name: getattr(props, name) for name in ("schema", "test", "backup", "cleanup", "pods")}
    for part, value in {**parts, "": props.server, **more}.items():
        for key, name in _named_keys(value, part, kind):
            found.setdefault(key, name.removeprefix("_"))
    return found


def _named_keys(value: Any, name: str, kind: type[_Key]) -> Iterator[tuple[_Key, str]]:
    """The keys inside a value, each with a name that begins with the value's."""
    items: Iterable[tuple[object, Any]] = ()
    if isinstance(value, kind):
        yield value, name
    elif isinstance(value, (list, tuple)):
        items = enumerate(value, 1)
    elif isinstance(value, Mapping):
        items = value.items()
    elif attrs.has(type(value)):
        items = attrs.asdict(value, recurse=False).items()
    for inner, item in items:
        yield from _named_keys(item, f"{name}_{inner}", kind)
