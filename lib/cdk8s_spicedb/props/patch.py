"""Changes to objects, for settings that have no prop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Predicate
from attrs import frozen

from .fields import Message, Pattern
from .types import ObjectName, not_of_yaml


def _is_plain(value: object) -> bool:
    return not any(not_of_yaml(value))


_Path = Annotated[
    str,
    Pattern(r"(/([^~/]|~[01])*)+", "a JSON pointer", max_length=1000),
    Message(fix="use a path such as '/spec/template/spec/dnsPolicy'; '~1' is a '/' in a key, '-' the end of a list"),
]
_Value = Annotated[
    Any, Predicate(_is_plain), Message("a value that a manifest can hold", "write it as in a manifest, and quote dates")
]
_ObjectKind = Annotated[str, Pattern(r"[A-Z][A-Za-z]+", "the kind of an object", "use a kind such as 'Deployment'")]


@frozen(kw_only=True)
class PatchOperation:
    """One operation of a JSON patch (RFC 6902)."""

    op: Literal["add", "replace", "remove", "test"]
    """``add``, ``replace``, ``remove``, or ``test``, which fails unless the field has the value. Required."""
    path: _Path
    """Path of the field in the object, such as ``/spec/revisionHistoryLimit``. Required."""
    value: _Value = None
    """Value for the field; not allowed with ``remove``. Defaults to null."""

    def document(self) -> dict[str, Any]:
        """The operation as RFC 6902 defines it."""
        value = {} if self.op == "remove" else {"value": self.value}
        return {"op": self.op, "path": self.path, **value}


@frozen(kw_only=True)
class Patch:
    """A change to objects of the release. A patch whose path does not exist is an error.

    In a written chart, a field that has a value in ``values.yaml`` always takes that value. So patch only other fields.
    """

    kind: _ObjectKind
    """Kind of the objects, such as ``Deployment``. Required."""
    name: ObjectName | None = None
    """Name of the object, without the hash that ``Delivery.KUBECTL`` adds. Defaults to all objects of the kind."""
    operations: Sequence[PatchOperation]
    """Operations, in the order in which they are applied. Required."""

    def matches(self, kind: str, name: str) -> bool:
        """Whether the patch changes an object."""
        return kind == self.kind and self.name in (None, name)
