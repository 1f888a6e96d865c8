"""What has no prop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import field, frozen

from ..checks import Metadata, check, each, instance, one_of, optional, rule, text
from ..errors import Problem


def _value_check() -> Metadata:
    kinds = (str, int, float, bool, list, dict, type(None))
    return check("what YAML can hold", lambda value: isinstance(value, kinds), "write it as in a manifest", schema={})


@frozen(kw_only=True)
class PatchOperation:
    """One step of a JSON patch (RFC 6902)."""

    op: str = field(metadata=one_of("add", "replace", "remove", "test"))
    """``add``, ``replace``, ``remove``, or ``test``, which is an error unless the value is there. Required."""
    path: str = field(
        metadata=text(
            r"(/([^~/]|~[01])*)+",
            "a JSON pointer",
            "write it as '/spec/template/spec/dnsPolicy'; '~1' is a '/' in a key, '-' the end of a list",
            most=1000,
        )
    )
    """Where in the object. Required."""
    value: Any = field(default=None, metadata=_value_check())
    """What is put or tested there. Default: null; ``remove`` takes none."""

    def document(self) -> dict[str, Any]:
        """As RFC 6902 writes it."""
        value = {} if self.op == "remove" else {"value": self.value}
        return {"op": self.op, "path": self.path, **value}

    @rule("op", "value")
    def _nothing_to_remove_by(self) -> Iterator[Problem]:
        if self.op == "remove" and self.value is not None:
            yield Problem("value", "(given)", "nothing with op='remove'", "leave it out")


@frozen(kw_only=True)
class Patch:
    """A change to objects of the release, for what has no prop. It has to fit: a path that is not there is an error.

    In a written chart the fields that are values are the values'; patch the others.
    """

    kind: str = field(metadata=text(r"[A-Z][A-Za-z]+", "a kind of objects", "write 'Deployment'"))
    """The kind of the objects, such as ``Deployment``. Required."""
    name: str | None = field(
        default=None,
        metadata=optional(text(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", "an object's name", "write 'spicedb-migration'")),
    )
    """The name of the object, without the hash that ``Delivery.KUBECTL`` adds. Default: all of the kind."""
    operations: Sequence[PatchOperation] = field(
        metadata=each(instance(PatchOperation, "a PatchOperation(op=…, path=…)", "write PatchOperation(op='add', …)"))
    )
    """What is done, in this order. Required."""

    def is_for(self, kind: str, name: str) -> bool:
        """Whether it changes an object."""
        return kind == self.kind and self.name in (None, name)
