"""Places of values in the manifests: each puts an expression where the manifest has the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..labels import Component
from ..manifests import Manifest

OPEN, CLOSE = "\ue000", "\ue001"
"""Around the number of a mark, which the finished template replaces by an expression."""
Mark = Callable[[str], str]
"""Makes the mark of an expression."""


@frozen
class Place:
    """A place in the objects of a component."""

    component: Component
    put: Callable[[Manifest, str, Mark], None]
    """Puts the expression of a value, such as ``.Values.replicas``, into a manifest if it has the place."""


def field(component: Component, path: str, kind: str | None = None, form: str = "{}") -> Place:
    """A field that always has a value, in objects of a kind. ``form`` is the expression around the value."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        if name in parent and kind in (None, manifest["kind"]):
            parent[name] = mark(form.format(value))

    return Place(component, put)


def optional_field(component: Component, path: str) -> Place:
    """A field that is missing if the value is empty."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        if parent:
            parent.pop(name, None)
            parent[mark(_block(value, f'dict "{name}" . | toYaml'))] = None

    return Place(component, put)


def pod_annotations(component: Component) -> Place:
    """The annotations of the pods, beside those that the chart itself sets."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        metadata, _ = _parent(manifest, "spec.template.metadata.annotations")
        own = {name: text for name, text in metadata.pop("annotations", {}).items() if text.startswith(OPEN)}
        if own:
            metadata["annotations"] = {**own, mark(_block(value, "toYaml .")): None}
        elif metadata:
            metadata[mark(_block(value, 'dict "annotations" . | toYaml'))] = None

    return Place(component, put)


def argument(component: Component, flag: str, default: str | None = None) -> Place:
    """The value of a flag; ``default`` is used if the value is empty."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        container, _ = _parent(manifest, "spec.template.spec.containers.0.args")
        expression = f"{value} | default {default}" if default else value
        for number, text in enumerate(container.get("args", ())):
            if text.startswith(f"{flag}="):
                container["args"][number] = f"{flag}={mark(expression)}"

    return Place(component, put)


def _parent(manifest: Manifest, path: str) -> tuple[dict[str, Any], str]:
    """The object with the field of a path, empty if there is none, and the field's name."""
    *parts, name = path.split(".")
    node: Any = manifest
    for part in parts:
        node = node[int(part)] if isinstance(node, list) else node.get(part, {})
    return node, name


def _block(value: str, expression: str) -> str:
    return f"{{{{- with {value} }}}}\n{{{{- {expression} | nindent INDENT }}}}\n{{{{- end }}}}"
