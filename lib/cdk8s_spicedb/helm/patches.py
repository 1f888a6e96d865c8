"""Patches in a chart. A value that sets a field would undo the patch of that field, so such a patch is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import InvalidProps, Problem
from ..labels import CHECKSUM, RECOMMENDED, VERSION, Component
from ..manifests import Manifest
from ..manifests.patches import operations_for
from ..props import SpiceDBProps
from .places import as_in_a_job, overlap
from .value import BESIDE_ZED, CONTAINER, PATHS, POD, Value

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
        setting = next(_settings(values, component, manifest, as_in_a_job(manifest, parts)), None)
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
    for where, key, name, prop in _templated(component):
        if overlap(where, path, *key):
            yield name, prop


def _templated(component: Component) -> Iterator[tuple[str, _Parts, str, str]]:
    """Fields that a component's templates set in ways of their own: path and last key, value and prop."""
    part, prefix = component.value, PATHS[component.value]
    is_program = component in (Component.SERVER, Component.MIGRATION)
    image = ("image", "image") if is_program else (f"{prefix}image", f"{part}.image")
    yield f"{CONTAINER}.image", (), *image
    yield f"{POD}.serviceAccountName", (), f"{prefix}serviceAccount.name", f"{part}.service_account"
    yield f"{POD}.imagePullSecrets", (), "imagePullSecrets", "image_pull_secrets"
    for name in ("version", "managed-by"):
        yield _LABELS, (f"{RECOMMENDED}{name}",), "image.tag", "version"
    yield f"spec.template.{_LABELS}", (VERSION,), "image.tag", "version"
    if component is Component.BACKUP:
        for container in BESIDE_ZED:
            yield f"{container}.image", (), "backup.shellImage", "backup.shell_image"
        yield f"{POD}.volumes.0.persistentVolumeClaim", (), "backup.claim", "backup.claim"
    if component is Component.SERVER:
        yield "spec.replicas", (), "replicas", "server.replicas"
        yield f"{POD}.topologySpreadConstraints", (), "topologySpreadConstraints", "server.topology_spread"
        yield "spec.template.metadata.annotations", (CHECKSUM,), "migrations", "migration"
    if component is Component.MIGRATION:
        yield f"{CONTAINER}.command", (), "migrations.targetMigration", "migration.target_migration"
        yield "spec.backoffLimit", (), "migrations.backoffLimit", "migration.backoff_limit"
