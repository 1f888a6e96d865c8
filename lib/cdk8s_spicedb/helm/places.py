"""Places of values in the manifests: each puts an expression where the manifest has the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..labels import Component
from ..manifests import Manifest

Mark = Callable[[str], str]
"""Makes a mark, which the finished template replaces by an expression."""


@frozen
class Place:
    """A place in the objects of a component."""

    component: Component

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """Puts the expression of a value, such as ``.Values.replicas``, into a manifest that has the place."""
        raise NotImplementedError


@frozen
class _Path(Place):
    """A field of a manifest."""

    path: str

    def _parent(self, manifest: Manifest) -> tuple[Any, str] | None:
        """The object that has the field, and the field's name."""
        *parts, name = self.path.split(".")
        node: Any = manifest
        for part in parts:
            node = node[int(part)] if isinstance(node, list) else node.get(part)
            if node is None:
                return None
        return node, name


@frozen
class Field(_Path):
    """A field that always has a value."""

    kind: str | None = None
    """Kind of the object; None: any."""
    quoted: bool = False

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """See `Place.put`."""
        found = self._parent(manifest) if self.kind in (None, manifest["kind"]) else None
        if found and found[1] in found[0]:
            found[0][found[1]] = mark(f"{value} | quote" if self.quoted else value)


@frozen
class Whole(_Path):
    """A field that always has a value, an object."""

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """See `Place.put`."""
        found = self._parent(manifest)
        if found and found[1] in found[0]:
            found[0][found[1]] = mark(f"- toYaml {value} | nindent 12")


@frozen
class Block(_Path):
    """A field that is missing if the value is empty."""

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """See `Place.put`."""
        found = self._parent(manifest)
        if found:
            found[0].pop(found[1], None)
            found[0][block(value, found[1], mark)] = None


@frozen
class Annotations(Place):
    """The annotations of the pods, beside those that are fixed."""

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """See `Place.put`."""
        template = manifest.get("spec", {}).get("template")
        if template is None:
            return
        fixed = {name: text for name, text in template["metadata"].pop("annotations", {}).items() if is_mark(text)}
        if fixed:
            merge = f"{{{{- with {value} }}}}\n{{{{- toYaml . | nindent INDENT }}}}\n{{{{- end }}}}"
            template["metadata"]["annotations"] = {**fixed, mark(merge): None}
        else:
            template["metadata"][block(value, "annotations", mark)] = None


@frozen
class Argument(Place):
    """The value of a flag."""

    flag: str
    default: str | None = None
    """Value that is used if this one is empty."""

    def put(self, manifest: Manifest, value: str, mark: Mark) -> None:
        """See `Place.put`."""
        template = manifest.get("spec", {}).get("template")
        for container in template["spec"]["containers"] if template else ():
            expression = f"{value} | default {self.default}" if self.default else value
            container["args"] = [
                f"{self.flag}={mark(expression)}" if argument.startswith(f"{self.flag}=") else argument
                for argument in container.get("args", [])
            ]


OPEN, CLOSE = "\ue000", "\ue001"
"""Around the number of a mark."""


def is_mark(text: object) -> bool:
    """Whether a text is a mark."""
    return isinstance(text, str) and text.startswith(OPEN)


def block(value: str, field: str, mark: Mark) -> str:
    """A mark for a field that is missing if the value is empty."""
    return mark(f'{{{{- with {value} }}}}\n{{{{- dict "{field}" . | toYaml | nindent INDENT }}}}\n{{{{- end }}}}')
