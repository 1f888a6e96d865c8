"""The values of a chart: one table, from which values.yaml, its schema, the templates and the README come."""

from __future__ import annotations

from collections.abc import Iterator

from ..files.schema import field_schema
from ..props import SpiceDBProps, secret_keys
from ..props.annotations import camel
from ..props.secrets import SecretKey
from . import extras, settings
from .value import MIGRATION, SERVER, Value


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    found = [
        *extras.names(props),
        *extras.image(props),
        *settings.servers(props),
        *extras.pods("", "servers", SERVER, props.server),
        *extras.objects(props),
        *_secrets(props),
    ]
    if props.datastore.migrates:
        found += settings.migrations(props)
        found += extras.pods("migrations.", "migration", MIGRATION, props.migration)
        found += settings.cleanup(props)
    return found


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        yield Value(f"{path}.name", str(key.name), field_schema(SecretKey, "name"), "Name of the Secret.")
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "Key in the Secret.")
