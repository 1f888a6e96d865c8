"""Who owns which field of an object, by the rules of Kubernetes: for server-side apply in the fake API server.

The rules are those of the Kubernetes documentation (Server-Side Apply: merge strategy, conflicts, and the markers
``x-kubernetes-list-map-keys`` and ``x-kubernetes-map-type`` of its API), written down here by hand.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]
"""The way to a field, in the words of ``fieldsV1``: ``f:name``, ``k:{"name":"a"}`` or ``v:"a"``."""
Owner = tuple[str, str, str]
"""A manager, its operation, and the subresource it used."""

_PODS = ("containers", "initContainers", "ephemeralContainers")
_BY_KEY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_PODS, ("name",)),
    **{f"{each}.env": ("name",) for each in _PODS},
    **{f"{each}.ports": ("containerPort", "protocol") for each in _PODS},
    **{f"{each}.volumeMounts": ("mountPath",) for each in _PODS},
    **{f"{each}.volumeDevices": ("devicePath",) for each in _PODS},
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "metadata.ownerReferences": ("uid",),
    "status.conditions": ("type",),
    "^spec.ports": ("port", "protocol"),
}
"""The lists whose items have an identity, and the fields that are it. ``^`` is the root of an object. Every other list
is atomic."""
_SETS = ("metadata.finalizers",)
_ATOMIC_MAPS = (
    "selector",
    "podSelector",
    "nodeSelector",
    "secretKeyRef",
    "configMapKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "roleRef",
    "involvedObject",
    "ownerReferences[]",
    "imagePullSecrets[]",
)
_DEFAULTS = {"protocol": "TCP"}
_UNOWNED = (
    ("f:apiVersion",),
    ("f:kind",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "managedFields",
            "selfLink",
        )
    ),
)


class DuplicateKeyError(Exception):
    """Two items of a list have the same identity, or one has none. The text is Kubernetes'."""


class ApplyConflictError(Exception):
    """Somebody else owns a field, and gave it another value."""


class Fields:
    """The rules for one object. ``plain`` is an object of a custom resource without a schema: its lists are atomic."""

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain

    def keys(self, names: str) -> tuple[str, ...]:
        """The identity of the items of the list at a way of plain names. Empty if the list is atomic."""
        if self.plain and not names.startswith("metadata."):
            return ()
        return _keys(names)

    def is_atomic(self, names: str) -> bool:
        """Whether a map has one owner."""
        return not self.plain and _is_atomic(names)

    def children(self, value: Any, names: str) -> Iterator[tuple[str, Any, str]] | None:
        """The parts of a value with their step and their way of plain names. None if it is a leaf."""
        if isinstance(value, dict) and value and not self.is_atomic(names):
            return ((f"f:{name}", each, f"{names}.{name}".lstrip(".")) for name, each in value.items())
        if isinstance(value, list) and names in _SETS:
            return ((f"v:{json.dumps(each)}", each, f"{names}[]") for each in value)
        if isinstance(value, list) and self.keys(names):
            return ((step, each, f"{names}[]") for step, each in self.items(value, names).items())
        return None

    def items(self, value: list[Any], names: str) -> dict[str, Any]:
        """The items of a list by their step."""
        return {_step(self._identity(item, names)): item for item in value}

    def _identity(self, item: Object, names: str) -> Object:
        return {key: item.get(key, _DEFAULTS.get(key)) for key in self.keys(names)}

    def require_identities(self, value: Any, names: str = "") -> None:
        """Raises `DuplicateKeyError` if items of a list cannot be told apart."""
        if isinstance(value, list) and self.keys(names):
            seen = set[str]()
            for number, item in enumerate(value):
                identity = self._identity(item, names)
                missing = [key for key, each in identity.items() if each is None]
                if missing:
                    raise DuplicateKeyError(
                        f".{names}: element {number}: associative list with keys has an element that omits key field "
                        f'"{missing[0]}" (and doesn\'t have default value)'
                    )
                if _step(identity) in seen:
                    shown = ",".join(f"{key}={json.dumps(each)}" for key, each in identity.items())
                    raise DuplicateKeyError(f".{names}: duplicate entries for key [{shown}]")
                seen.add(_step(identity))
        for _, each, way in self.children(value, names) or ():
            self.require_identities(each, way)

    def paths(self, value: Any, names: str = "", path: Path = ()) -> Iterator[Path]:
        """The ways to all leaves, and to the items of lists."""
        children = self.children(value, names)
        if path and (children is None or path[-1][0] in "kv") and path not in _UNOWNED:
            yield path
        if path not in _UNOWNED:
            for step, each, way in children or ():
                yield from self.paths(each, way, (*path, step))

    def value(self, content: Any, path: Path, names: str = "") -> Any:
        """The value at a way. None if there is none."""
        if not path:
            return content
        children = {step: (each, way) for step, each, way in self.children(content, names) or ()}
        if path[0] not in children:
            return None
        each, way = children[path[0]]
        return self.value(each, path[1:], way)

    def merged(self, live: Any, applied: Any, names: str = "") -> Any:
        """What a value is after another was applied to it."""
        if isinstance(live, dict) and isinstance(applied, dict) and not self.is_atomic(names):
            ways = {name: f"{names}.{name}".lstrip(".") for name in applied}
            return {**live, **{name: self.merged(live.get(name), applied[name], ways[name]) for name in applied}}
        if isinstance(live, list) and isinstance(applied, list) and names in _SETS:
            return [*live, *(each for each in applied if each not in live)]
        if isinstance(live, list) and isinstance(applied, list) and self.keys(names):
            one, two = self.items(live, names), self.items(applied, names)
            return [self.merged(one.get(step), two.get(step, one.get(step)), f"{names}[]") for step in {**one, **two}]
        return copy.deepcopy(applied)

    def without(self, content: Any, path: Path, names: str = "") -> None:
        """Removes the field at a way, if it is there, and what becomes empty by it."""
        for step, each, way in list(self.children(content, names) or ()):
            if step != path[0]:
                continue
            if len(path) > 1:
                self.without(each, path[1:], way)
                if not each and isinstance(content, dict):
                    del content[step[2:]]
            elif isinstance(content, dict) and step[2:] not in self.keys(names.removesuffix("[]")):
                del content[step[2:]]
            elif isinstance(content, list):
                content.remove(each)

    def written(self, live: Object, before: Object) -> set[Path]:
        """The ways at which an object differs from what it was."""
        return {path for path in self.paths(live) if self.differs(live, before, path)}

    def differs(self, one: Object, two: Object, path: Path) -> bool:
        """Whether two objects differ in a field. An item with fields of its own differs only if one has none."""
        first, second = self.value(one, path), self.value(two, path)
        if path[-1].startswith("k:") and self.children(first or second, _names(path)):
            return (first is None) is not (second is None)
        return bool(first != second)


def _names(path: Path) -> str:
    """The way of plain names."""
    return ".".join(step[2:] if step[0] == "f" else "[]" for step in path).replace(".[]", "[]")


def _step(identity: Object) -> str:
    return f"k:{json.dumps(identity, separators=(',', ':'), sort_keys=True)}"


@cache
def _keys(names: str) -> tuple[str, ...]:
    return next((keys for ending, keys in _BY_KEY.items() if _ends(names, ending)), ())


@cache
def _is_atomic(names: str) -> bool:
    return any(_ends(names, each) for each in _ATOMIC_MAPS)


def _ends(names: str, ending: str) -> bool:
    plain = names.replace("[]", "") if not ending.endswith("[]") else names
    return plain == ending[1:] if ending[0] == "^" else f".{plain}".endswith(f".{ending}")


# ------------------------------------------------------------ managedFields


def owners(live: Object) -> dict[Owner, Object]:
    """The entries of ``managedFields``, by manager, operation and subresource."""
    found = live["metadata"].get("managedFields", ())
    return {(each["manager"], each["operation"], each.get("subresource", "")): each for each in found}


def set_of(entry: Object) -> set[Path]:
    """The ways of ``fieldsV1``."""

    def ways(content: Object, path: Path) -> Iterator[Path]:
        if path and not content:
            yield path
        for step, each in content.items():
            if step == ".":
                yield path
            else:
                yield from ways(each, (*path, step))

    return set(ways(entry.get("fieldsV1", {}), ()))


def entry_of(manager: str, operation: str, live: Object, fields: set[Path], subresource: str, time: str) -> Object:
    """An entry of ``managedFields``."""
    content: Object = {}
    for path in sorted(fields):
        place = content
        for step in path:
            place = place.setdefault(step, {})
    for path in sorted(fields):
        place = content
        for step in path:
            place = place[step]
        if place:
            place["."] = {}
    entry = {"manager": manager, "operation": operation, "apiVersion": live["apiVersion"], "time": time}
    return {
        **entry,
        "fieldsType": "FieldsV1",
        "fieldsV1": content,
        **({"subresource": subresource} if subresource else {}),
    }


def _store(live: Object, sets: Mapping[Owner, tuple[set[Path], Object | None]], time: str) -> None:
    entries = []
    for (manager, operation, subresource), (fields, before) in sets.items():
        unchanged = before is not None and set_of(before) == fields
        if unchanged and before is not None:
            entries.append(before)
        elif fields:
            entries.append(entry_of(manager, operation, live, fields, subresource, time))
    live["metadata"]["managedFields"] = entries


def track(
    rules: Fields,
    live: Object,
    before: Object,
    manager: str,
    time: str,
    subresource: str = "",
    operation: str = "Update",
) -> None:
    """Writes down who changed an object by another way than apply: what changed is the manager's now."""
    changed = rules.written(live, before)
    now = set(rules.paths(live))
    sets = {who: ((set_of(entry) - changed) & now, entry) for who, entry in owners(before).items()}
    me = (manager, operation, subresource)
    mine = sets.get(me, (set[Path](), None))
    _store(live, {**sets, me: (mine[0] | changed, mine[1])}, time)


def apply(rules: Fields, live: Object, applied: Object, manager: str, time: str, *, force: bool) -> Object:
    """An object after server-side apply. ``live`` is not changed."""
    rules.require_identities(applied)
    wanted = set(rules.paths(applied))
    result: Object = rules.merged(copy.deepcopy(live), applied)
    known = owners(live)
    me = (manager, "Apply", "")
    changed = {path for path in wanted if rules.differs(live, result, path)}
    conflicts = {who: set_of(entry) & changed for who, entry in known.items() if who != me}
    if not force:
        _refuse_conflicts({who: paths for who, paths in conflicts.items() if paths}, known)
    sets = {who: (set_of(entry) - conflicts[who], entry) for who, entry in known.items() if who != me}
    mine = set_of(known[me]) if me in known else set[Path]()
    shared = {path for fields, _ in sets.values() for path in fields}
    # What it applied before and does not apply now goes, unless somebody else has it too.
    for path in sorted(mine - wanted, key=len):
        if not any(each[: len(path)] == path for each in shared | wanted):
            rules.without(result, path)
    now = set(rules.paths(result))
    _store(
        result,
        {**{who: (fields & now, each) for who, (fields, each) in sets.items()}, me: (wanted, known.get(me))},
        time,
    )
    return result


def _refuse_conflicts(conflicts: Mapping[Owner, set[Path]], known: Mapping[Owner, Object]) -> None:
    if not conflicts:
        return
    count = sum(map(len, conflicts.values()))
    parts = []
    for who, paths in conflicts.items():
        entry = known[who]
        subresource = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
        about = f'"{entry["manager"]}"{subresource} using {entry["apiVersion"]}'
        shown = sorted(map(_shown, paths))
        if len(shown) == 1:
            parts.append(f"conflict with {about}: {shown[0]}")
        else:
            parts.append(f"conflicts with {about}:\n" + "\n".join(f"- {each}" for each in shown))
    raise ApplyConflictError(f"Apply failed with {count} conflict{'s' * (count > 1)}: " + "\n".join(parts))


def _shown(path: Path) -> str:
    """A way as Kubernetes writes it, such as ``.spec.containers[name="a"].image``."""
    text = ""
    for step in path:
        kind, _, content = step.partition(":")
        if kind == "f":
            text += f".{content}"
        elif kind == "k":
            text += f"[{','.join(f'{key}={json.dumps(each)}' for key, each in json.loads(content).items())}]"
        else:
            text += f"[={content}]"
    return text
