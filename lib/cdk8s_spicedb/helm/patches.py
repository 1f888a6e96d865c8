"""Patches in a chart. A value that sets a field would undo the patch of that field, so such a patch is an error."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ..errors import InvalidProps, Problem
from ..labels import CHECKSUM, RECOMMENDED, VERSION, Component
from ..manifests import Manifest
from ..manifests.patches import operations_for
from ..props import SpiceDBProps
from .places import overlap
from .value import PATHS, Value

_POD = "spec.template.spec"
_LABELS = "metadata.labels"
_Parts = Sequence[str]


def require_no_values(
    props: SpiceDBProps, values: Sequence[Value], manifests: Mapping[Component, Sequence[Manifest]]
) -> None:
    """Raises `InvalidProps` with every operation on a field that values set."""
    found = [
        problem
        for component, objects in manifests.items()
        for manifest in objects
        for problem in _problems(props, values, component, manifest)
    ]
    if found:
        # A patch of all objects of a kind has the same problem in each.
        unique = {(each.field, each.fix): each for each in found}
        raise InvalidProps(type(props).__name__, list(unique.values()))


def _problems(
    props: SpiceDBProps, values: Sequence[Value], component: Component, manifest: Manifest
) -> Iterator[Problem]:
    for path, operation in operations_for(props, manifest["kind"], manifest["metadata"]["name"]):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation.path.split("/")[1:]]
        setting = next(_settings(values, component, manifest, parts), None)
        if operation.op != "test" and setting:
            value, prop = setting
            allowed = f"a field that no value of the chart sets; the value {value} sets this one, and undoes the patch"
            fix = f"set the prop {prop} instead: it is the default of the value" if prop else "set the value instead"
            yield Problem(path, f"{operation.op} {operation.path}", allowed, fix)


def _settings(
    values: Sequence[Value], component: Component, manifest: Manifest, path: _Parts
) -> Iterator[tuple[str, str]]:
    """The values that set what is at a path, each with its prop."""
    for value in values:
        if any(component in place.components and place.overwrites(manifest, path) for place in value.places):
            yield value.path, value.prop
    for components, where, key, name, prop in _templated(component):
        if component in components and overlap(where, path, *key):
            yield name, prop


def _templated(component: Component) -> Iterator[tuple[Collection[Component], str, _Parts, str, str]]:
    """Fields that the templates set in ways of their own: components, path and last key, value and prop."""
    programs, prefix = (Component.SERVER, Component.MIGRATION), PATHS[component.value]
    every = tuple(Component)
    yield programs, f"{_POD}.containers.0.image", (), "image", "image"
    others = [each for each in every if each not in programs]
    yield others, f"{_POD}.containers.0.image", (), f"{prefix}image", f"{component.value}.image"
    target = "migrations.targetMigration", "migration.target_migration"
    yield (Component.MIGRATION,), f"{_POD}.containers.0.command", (), *target
    account = f"{prefix}serviceAccount.name", f"{component.value}.service_account"
    yield every, f"{_POD}.serviceAccountName", (), *account
    yield every, f"{_POD}.imagePullSecrets", (), "imagePullSecrets", "image_pull_secrets"
    yield (Component.SERVER,), "spec.replicas", (), "replicas", "server.replicas"
    yield (Component.MIGRATION,), "spec.backoffLimit", (), "migrations.backoffLimit", "migration.backoff_limit"
    spread = "topologySpreadConstraints", "server.topology_spread"
    yield (Component.SERVER,), f"{_POD}.topologySpreadConstraints", (), *spread
    for name in ("version", "managed-by"):
        yield every, _LABELS, (f"{RECOMMENDED}{name}",), "image.tag", "version"
    yield every, f"spec.template.{_LABELS}", (VERSION,), "image.tag", "version"
    yield (Component.SERVER,), "spec.template.metadata.annotations", (CHECKSUM,), "migrations", "migration"
