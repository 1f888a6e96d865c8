"""One value of a chart."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ..labels import Component
from ..props.annotations import kind_of
from ..props.kinds import Schema
from .places import Place

TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array", "items": OBJECT}
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
SERVER, MIGRATION, CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP


@frozen
class Value:
    """One value of a chart."""

    path: str
    """Its path in values.yaml, such as ``migrations.logLevel``."""
    default: Any
    schema: Schema
    text: str
    """Its documentation."""
    places: tuple[Place, ...] = ()
    """Where the templates use it. Empty: `templates` uses it in a way of its own."""
    nullable: bool = False
    """Whether `templates` can do without it."""

    @property
    def optional(self) -> bool:
        """Whether it may be missing, as after a null in Helm."""
        return self.nullable or (bool(self.places) and all(place.optional for place in self.places))


def schema_of(annotation: Any) -> Schema:
    """The JSON Schema of a plain type."""
    found: Schema = kind_of(annotation).schema(lambda _: {})
    return found
