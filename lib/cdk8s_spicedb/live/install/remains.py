"""What belongs to a SpiceDB in a cluster: the objects that an uninstall deletes, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from ...labels import INSTANCE, NAME, OWN
from ...manifests.objects import Manifest
from ...props.datastores import Memory
from ...text import some_of
from ..apierror import ClusterError, Unreachable
from ..cluster import CONFIG_MAP, JOB, POD, Cluster, Kind
from ..instance import Running
from ..poll import parallel
from ..record import record_name
from ..released import KINDS

CLAIM = Kind("v1", "PersistentVolumeClaim")
_KINDS = (*KINDS, JOB, Kind("batch/v1", "CronJob"), POD)
SHOWN = 12
"""How many objects a sentence names."""


@frozen(kw_only=True)
class Remains:
    """The objects of a SpiceDB."""

    objects: Sequence[Manifest]
    """What an uninstall deletes. Kubernetes deletes what belongs to one of them."""
    pods: Sequence[Manifest]
    """The pods of these objects."""
    claims: Sequence[Manifest]
    """The PersistentVolumeClaims with backups, which stay."""
    unknown: Sequence[str] = ()
    """What could not be looked for, and why."""


def remains_of(cluster: Cluster, name: str) -> Remains:
    """The objects of a SpiceDB by their labels, and those that the commands themselves have made."""
    unknown: list[str] = []

    def of_kind(kind: Kind) -> list[Manifest]:
        try:
            return cluster.find(kind, labels=f"{NAME}=spicedb,{INSTANCE}={name}") if cluster.has(kind) else []
        except Unreachable:
            raise
        except ClusterError as error:
            unknown.append(f"{kind.kind}: {error}")
            return []

    def note(config_map: str) -> list[Manifest]:
        found = cluster.get(CONFIG_MAP, config_map)
        labels = found["metadata"].get("labels") or {} if found else {}
        return [found] if found and OWN.items() <= labels.items() else []

    found = [each for kind in parallel(of_kind, (*_KINDS, CLAIM)) for each in kind]
    own = [each for each in found if not each["metadata"].get("ownerReferences")]
    return Remains(
        objects=[
            *(each for each in own if Kind.of(each) != CLAIM),
            *note(f"{name}-rehearsal"),
            *note(record_name(name)),
        ],
        pods=[each for each in found if Kind.of(each) == POD and each not in own],
        claims=[each for each in found if Kind.of(each) == CLAIM],
        unknown=sorted(unknown),
    )


def titles(objects: Sequence[Manifest]) -> list[str]:
    """Kind and name of each object."""
    return [f"{each['kind']} {each['metadata']['name']}" for each in objects]


def summed(objects: Sequence[Manifest]) -> str:
    """The kinds and names of objects, in one line. Not all of them if there are many."""
    return some_of(titles(objects), SHOWN)


def staying(cluster: Cluster, running: Running | None, remains: Remains) -> Iterator[str]:
    """What an uninstall leaves, in words."""
    engine = running.engine if running else None
    if engine != Memory.engine:
        yield f"the database{f' ({engine})' if engine else ''} with all relationships and the SpiceDB schema"
    secrets = sorted(set(_secrets(running.template["spec"]))) if running else []
    yield f"Secrets that the servers read: {', '.join(secrets)}" if secrets else "all Secrets that you have made"
    if remains.claims:
        yield f"backups: {', '.join(titles(remains.claims))}"
    yield f"the namespace {cluster.namespace}, and all other objects in it"


def _secrets(value: Any) -> Iterator[str]:
    """The names of the Secrets in a pod's spec."""
    if isinstance(value, list):
        for each in value:
            yield from _secrets(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in ("secretKeyRef", "secretRef", "secret") and isinstance(each, dict):
                yield from (str(each[name]) for name in ("name", "secretName") if name in each)
            elif key == "imagePullSecrets":
                yield from (str(secret["name"]) for secret in each)
            else:
                yield from _secrets(each)
