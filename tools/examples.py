"""An example of each setting in the words of files: from ``examples.yaml``, or else from the type of the setting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from cdk8s_spicedb.files.yaml import load
from cdk8s_spicedb.props import fieldtypes
from cdk8s_spicedb.props.fields import PropsOf, camel, fields_of
from cdk8s_spicedb.props.fieldtypes import FieldType
from tools.props import KINDS, Kind, flow, own_settings, owner_of

_VALUES = "Values"
_FILE = Path(__file__).with_suffix(".yaml")


@cache
def _given() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = load(_FILE.read_text("utf-8"), _FILE.name)[0]
    return found


def of_value(path: str) -> Any:
    """The given example of a value of a written chart. None: there is none."""
    return _given()[_VALUES].get(path)


def unused() -> list[str]:
    """The names in ``examples.yaml`` that are no settings."""
    kinds = {kind.__name__: kind for kind in KINDS}
    return [
        f"{name}.{key}"
        for name, examples in _given().items()
        if name != _VALUES
        for key in examples
        if name not in kinds or key not in {camel(field.name) for field in own_settings(kinds[name])}
    ]


def example(kind: Kind, name: str) -> Any:
    """The example of a setting of a class, by its name in Python."""
    owner = owner_of(kind, name)
    given = _given().get(owner.__name__, {})
    if camel(name) in given:
        return given[camel(name)]
    field = attrs.fields_dict(owner)[name]
    found = _of_type(fields_of(owner)[name], field.default)
    if found is None:
        raise LookupError(f"{owner.__name__}.{camel(name)} has no example: add one to {_FILE.name}")
    return found


def in_yaml(kind: Kind, name: str) -> str:
    """The example of a setting as a line of YAML."""
    return f"{camel(name)}: {flow(example(kind, name))}"


def _of_type(type_: FieldType, default: Any) -> Any:
    """A value of a type other than the default. None: the type gives none."""
    match type_:
        case fieldtypes.Nullable(item=item) | fieldtypes.Limited(base=item):
            return _of_type(item, default)
        case fieldtypes.Choice(members=members, texts=texts):
            return next(text for member, text in zip(members, texts, strict=True) if default not in (member, text))
        case PropsOf(kind=kind):
            required = [field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING]
            return {camel(name): example(kind, name) for name in required}
        case fieldtypes.Plain(type=plain) if plain is bool:
            return default is not True
    return None
