"""What would change in the cluster if a file was applied: the objects, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from ..errors import SpiceDBError
from ..manifests import release_manifests
from ..manifests.objects import Manifest
from ..plans.plan import UpgradePlan
from ..props import SpiceDBProps, require
from .apierror import ClusterError, Unreachable, reads
from .cluster import DEPLOYMENT, MANAGER, Cluster, Kind
from .compare import Change, ObjectDiff, by_key, compare
from .instance import describe
from .meaning import Change as Meant
from .meaning import meaning
from .poll import parallel
from .released import (
    Released,
    apply_manager,
    find_released,
    helm_release_of,
    identity,
    is_hook,
    is_of,
    last_applied,
    own_objects,
)


@frozen(kw_only=True)
class Diff:
    """What would change."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Namespace in which it would change."""
    objects: Sequence[ObjectDiff]
    """All objects of the release, without Jobs that run before or after it."""
    meaning: Sequence[str]
    """What the changes mean, in sentences."""

    @property
    def changes(self) -> bool:
        """Whether any object changes."""
        return any(each.change is not Change.UNCHANGED for each in self.objects)


@reads("the objects of the release")
def diff(cluster: Cluster, props: SpiceDBProps, *, plan: UpgradePlan | None = None) -> Diff:
    """What would change if these props were applied, by a server-side dry run that changes nothing.

    ``plan`` is the plan that this is about, and defaults to one from what runs to the props.

    Raises `InvalidProps` if the props are invalid, and `SpiceDBError` if Kubernetes would refuse an object.
    """
    require(props)
    manifests = [each for each in release_manifests(props) if not is_hook(each)]
    deployment = cluster.get(DEPLOYMENT, props.name)
    running = describe(deployment) if deployment else None
    release = helm_release_of(deployment)
    # With other programs than Helm, each object says itself what was applied.
    released = find_released(cluster, running, release) if running and release else Released(())
    old = {identity(each): each for each in released.objects or ()}
    manager = (running.applier.field_manager if running else None) or MANAGER
    results = parallel(lambda each: _object(cluster, each, old.get(identity(each)), manager), manifests)
    refused = [each for each in results if isinstance(each, str)]
    if refused:
        raise SpiceDBError("\n".join(refused))
    objects = [each for each in results if isinstance(each, ObjectDiff)]
    wanted = {identity(each) for each in manifests}
    gone = [each for key, each in old.items() if key not in wanted]
    own = [each for each in gone if is_of(each, props.name)]
    helm = released.helm is not None
    if helm:
        objects += [compare(each, None) for each in own]
    live = [] if helm or running is None else own_objects(cluster, props.name)
    left = [each for each in live if not each["metadata"].get("ownerReferences") and not is_hook(each)]
    meant = Meant(
        running=running,
        props=props,
        plan=plan,
        objects=objects,
        deletes=[_title(each) for each in own] if helm else [],
        leaves=[_title(each) for each in left if identity(each) not in wanted],
        values=tuple(sorted(map(str, released.values))),
        foreign=[_title(each) for each in gone if not is_of(each, props.name)] if helm else [],
        unknown=released.reason if running and released.objects is None else "",
    )
    return Diff(name=props.name, namespace=cluster.namespace, objects=tuple(objects), meaning=tuple(meaning(meant)))


def _title(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def _object(cluster: Cluster, manifest: Manifest, old: Manifest | None, manager: str) -> ObjectDiff | str:
    """What happens to an object, or why Kubernetes refuses it."""
    try:
        live = cluster.get(Kind.of(manifest), manifest["metadata"]["name"])
        after = cluster.apply(manifest, manager=apply_manager(live, manager), dry_run=True)
        if live is None:
            # Without the defaults of Kubernetes, which nobody wrote.
            return compare(None, manifest)
        return compare(live, _without_removed(cluster, after, old or last_applied(live), manifest))
    except Unreachable:
        raise
    except ClusterError as error:
        return f"Kubernetes would refuse the {_title(manifest)}: {error}"


def _without_removed(cluster: Cluster, after: Manifest, old: Manifest | None, new: Manifest) -> Manifest:
    """The result of a dry run without the fields that were released before and are no longer.

    Server-side apply removes a field only if the same program set it in the same way. Helm 3 and ``kubectl apply``
    compare with what they applied before instead.
    """
    result: Manifest = after if old is None else _removed(after, old, new)
    if result == after:
        return after
    try:
        return cluster.replace(result, dry_run=True)  # Kubernetes adds its defaults.
    except ClusterError:
        return result


def _removed(value: Any, old: Any, new: Any) -> Any:
    """A value without the members that are in the old manifest and not in the new one."""
    if isinstance(value, dict) and isinstance(old, dict) and isinstance(new, dict):
        gone = [key for key in value if old.get(key) is not None and new.get(key) is None]
        return {key: _removed(value[key], old.get(key), new.get(key)) for key in value if key not in gone}
    if isinstance(value, list) and isinstance(old, list) and isinstance(new, list):
        members, before, after = by_key(value), by_key(old), by_key(new)
        named = members is not None and before is not None and after is not None
        if named and all(isinstance(item, dict) for item in value):
            return list(_removed(members, before, after).values())
    return value
