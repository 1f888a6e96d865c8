"""Places of values in the manifests: each puts an expression where the manifest has the default."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from attrs import frozen

from ..labels import Component
from ..manifests import Manifest
from ..manifests.objects import spec_with_pods

OPEN, CLOSE = "\ue000", "\ue001"
"""Around the number of a mark, which the finished template replaces by an expression."""
MERGED = "\ue002"
"""Before the name of a map that gets entries from several values; `merge` makes one expression of them."""
LISTED = "\ue004"
"""Before the name of a list that gets items from several values; `merge` makes one expression of them."""
SETTING: Any = "\ue003"
"""Stands for any setting of an argument."""
Mark = Callable[[str], str]
"""Makes the mark of an expression."""


Overlap = Callable[[Manifest, Sequence[str]], bool]


def _never(manifest: Manifest, path: Sequence[str]) -> bool:
    return False


@frozen
class Place:
    """A place in the objects of some components."""

    components: Collection[Component]
    put: Callable[[Manifest, str, Mark], None]
    """Puts the expression of a value, such as ``.Values.replicas``, into a manifest if it has the place."""
    overwrites: Overlap = _never
    """Whether the value decides about what is at a path of a manifest, so that a patch of it would be lost."""
    optional: bool = False
    """Whether the manifest has nothing there if the value is empty or null."""
    renders: bool = False
    """Whether Helm renders templates in the texts of the value."""
    prop: str = ""
    """The prop that must be `SETTING`, so that the manifest has the place, such as ``server.schema_mode``."""


def field(
    component: Component, path: str, kind: str | None = None, name: str | None = None, *, text: bool = False
) -> Place:
    """A field that always has a value, in objects of a kind and a name. With ``text``, the value is written in quotes,
    because it could be something else than a text."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, key = _parent(manifest, path)
        if key in parent and _matches(manifest, kind, name):
            parent[key] = mark(f"{value} | toString | quote" if text else value)

    def overwrites(manifest: Manifest, other: Sequence[str]) -> bool:
        return _matches(manifest, kind, name) and overlap(path, other)

    return Place((component,), put, overwrites)


def optional_field(components: Collection[Component], path: str, default: str = "", kind: str | None = None) -> Place:
    """A field that is missing if the value is empty. ``default`` is used if the value is empty."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        if parent and _matches(manifest, kind, None):
            parent.pop(name, None)
            expression = f"({value} | default {default})" if default else value
            parent[mark(_whole(expression, name))] = None

    def overwrites(manifest: Manifest, other: Sequence[str]) -> bool:
        return _matches(manifest, kind, None) and overlap(path, other)

    return Place(components, put, overwrites, optional=True, renders=True)


def tolerations(components: Collection[Component], path: str, default: str) -> Place:
    """Tolerations of pods, beside those that the chart itself sets. ``default`` is used if the value is empty."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        if parent:
            parent.pop(name, None)
            found = f'include "CHART.tolerations" (list $ ({value} | default {default}))'
            parent[mark(f"{name}: {{{{- {found} | nindent INDENT }}}}")] = None

    return Place(components, put, lambda manifest, other: overlap(path, other), optional=True, renders=True)


def entries(
    components: Collection[Component],
    path: str,
    default: Collection[str] = (),
    kind: str | None = None,
    name: str | None = None,
) -> Place:
    """Entries of a map, beside those that the chart itself sets. ``default`` has the keys of the value's default."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, key = _parent(manifest, path)
        if parent and _matches(manifest, kind, name):
            own = {each: text for each, text in parent.pop(key, {}).items() if each not in default}
            parent.update({key: own} if own else {})
            parent.setdefault(f"{MERGED}{key}", []).append(value)

    def overwrites(manifest: Manifest, other: Sequence[str]) -> bool:
        return _matches(manifest, kind, name) and any(overlap(path, other, each) for each in default)

    return Place(components, put, overwrites, optional=True, renders=True)


def named_items(components: Collection[Component], path: str, key: str, default: Collection[str] = ()) -> Place:
    """Items of a list that Kubernetes tells apart by ``key``, beside those that the chart itself sets. ``default`` has
    the keys of the value's default."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        if parent:
            own = [item for item in parent.pop(name, []) if item[key] not in default]
            parent.update({name: own} if own else {})
            parent.setdefault(f"{LISTED}{name}", []).append((value, key))

    return Place(
        components, put, lambda manifest, other: bool(default) and overlap(path, other), optional=True, renders=True
    )


def merge(node: Any, mark: Mark) -> None:
    """Makes one expression of all values that have entries in the same map, or items in the same list."""
    for inner in list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else ():
        merge(inner, mark)
    if not isinstance(node, dict):
        return
    for name in [name for name in node if name.startswith(MERGED)]:
        values, key = node.pop(name), name.removeprefix(MERGED)
        maps = " ".join(f"({value} | default dict)" for value in values)
        expression = f"mergeOverwrite (dict) {maps}" if len(values) > 1 else values[0]
        if key in node:
            node[key][mark(_block(expression))] = None
        else:
            node[mark(_whole(expression, key))] = None
    for name in [name for name in node if name.startswith(LISTED)]:
        _merge_lists(node, name.removeprefix(LISTED), node.pop(name), mark)


def _merge_lists(node: dict[str, Any], name: str, values: list[tuple[str, str]], mark: Mark) -> None:
    own, key = node.pop(name, []), values[0][1]
    names = " ".join(f'"{item[key]}"' for item in own)
    lists = " ".join(f'(list "{value.removeprefix(".Values.")}" {value})' for value, _ in values)
    of = f'"root" $ "key" "{key}" "own" (list {names}) "lists" (list {lists})'
    start, end = f'{{{{- with include "CHART.items" (dict {of}) }}}}', "{{- . | nindent INDENT }}\n{{- end }}"
    if own:
        more = mark(f"{start}\n{end}")
        # Containers of users, such as a proxy, run before those of the package.
        node[name] = [more, *own] if name == "initContainers" else [*own, more]
    else:
        node[mark(f"{start}\n{name}:\n{end}")] = None


def items(component: Component, path: str, default: int = 0) -> Place:
    """Items at the end of a list. ``default`` is the number of those that are the value's default."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        parent, name = _parent(manifest, path)
        own = parent.pop(name, [])
        own = own[: len(own) - default]
        if own:
            parent[name] = [*own, mark(_block(value))]
        elif parent:
            parent[mark(_whole(value, name))] = None

    return Place(
        (component,), put, lambda manifest, other: bool(default) and overlap(path, other), optional=True, renders=True
    )


def argument(component: Component, flag: str, default: str | None = None) -> Place:
    """The value of a flag; ``default`` is used if the value is empty."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        expression, args = f"{value} | default {default}" if default else value, _arguments(manifest)
        args[:] = [f"--{flag}={mark(expression)}" if text.startswith(f"--{flag}=") else text for text in args]

    return Place((component,), put, _changes_arguments)


def optional_argument(prop: str, flag: str, loop: str = "with VALUE", text: str = ".") -> Place:
    """A flag that is missing if the value is empty. With the loop ``range VALUE``, each item is an argument of its own.
    ``text`` is the expression that makes the argument's text of the value."""

    def put(manifest: Manifest, value: str, mark: Mark) -> None:
        args = _arguments(manifest)
        if f"--{flag}={SETTING}" in args:
            block = f"{{{{- {loop.replace('VALUE', value)} }}}}\n- --{flag}={{{{ {text} }}}}\n{{{{- end }}}}"
            args[args.index(f"--{flag}={SETTING}")] = mark(block)

    return Place((Component(prop.split(".")[0]),), put, _changes_arguments, optional=True, prop=prop)


_ARGUMENTS = "spec.template.spec.containers.0.args"


def _changes_arguments(manifest: Manifest, path: Sequence[str]) -> bool:
    """Whether a patch does more to the arguments than to add one at the end."""
    return overlap(_ARGUMENTS, path) and [*path] != [*_ARGUMENTS.split("."), "-"]


def overlap(path: str, other: Sequence[str], *key: str) -> bool:
    """Whether two paths are the same, or one is inside the other. ``key`` is the last part of the first one, which may
    contain dots."""
    return all(one == two for one, two in zip([*path.split("."), *key], other, strict=False))


def _arguments(manifest: Manifest) -> list[str]:
    container, name = _parent(manifest, _ARGUMENTS)
    found: list[str] = container.get(name, [])
    return found


def _parent(manifest: Manifest, path: str) -> tuple[dict[str, Any], str]:
    """The object with the field of a path, empty if there is none, and the field's name."""
    *parts, name = _in_cron_job(path) if manifest["kind"] == "CronJob" else path.split(".")
    node: Any = manifest
    for part in parts:
        node = _item(node, part) if isinstance(node, list) else node.get(part, {})
    return node, name


def _item(items: list[Any], part: str) -> Any:
    """An item of a list, by its number or by its name."""
    return items[int(part)] if part.isdecimal() else next((each for each in items if each["name"] == part), {})


_TEMPLATE, _PROGRAM = "spec.template.", "spec.template.spec.containers.0"
_JOB = ("spec", "jobTemplate")
ZED = "zed"
"""The name of the container with zed. In a CronJob, it runs before another container."""


def _in_cron_job(path: str) -> list[str]:
    """The parts of a path in a CronJob: what Jobs have is in the template of its Jobs."""
    if path == _PROGRAM or path.startswith(f"{_PROGRAM}."):
        path = path.replace(_PROGRAM, f"{_TEMPLATE}spec.initContainers.{ZED}", 1)
    of_jobs = path.startswith(_TEMPLATE) or path == "spec.activeDeadlineSeconds"
    return [*_JOB, *path.split(".")] if of_jobs else path.split(".")


def as_in_a_job(manifest: Manifest, path: Sequence[str]) -> list[str]:
    """The parts of a path, as they would be in a Job, for places. Containers have their names."""
    if manifest["kind"] != "CronJob" or tuple(path[: len(_JOB)]) != _JOB:
        return [*path]
    parts = [*path[len(_JOB) :]]
    *start, kind, number = _PROGRAM.split(".")
    found, position, *_ = [*parts[len(start) :], "", ""]
    if parts[: len(start)] == start and found in (kind, "initContainers") and position:
        items = spec_with_pods(manifest)["template"]["spec"].get(found) or []
        name = {str(at): each.get("name") for at, each in enumerate(items)}.get(position, position)
        where = (kind, number) if name == ZED else (found, name)
        return [*start, *where, *parts[len(start) + len(where) :]]
    return parts


def _matches(manifest: Manifest, kind: str | None, name: str | None) -> bool:
    """Whether a manifest has a kind and a name. None stands for any."""
    return kind in (None, manifest["kind"]) and name in (None, manifest["metadata"]["name"])


def _whole(value: str, name: str) -> str:
    """A field with its name, which is missing if the value is empty."""
    return _block(value, f'(dict "{name}" .)')


def _block(value: str, expression: str = ".") -> str:
    """The YAML of a value, in whose texts Helm renders templates."""
    rendered = f'{{{{- include "CHART.render" (list $ {expression}) | nindent INDENT }}}}'
    return f"{{{{- with {value} }}}}\n{rendered}\n{{{{- end }}}}"
