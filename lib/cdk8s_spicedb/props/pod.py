"""Settings that every kind of pod has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import attrs
from annotated_types import Interval, Predicate, Unit
from attrs import field, frozen

from .fields import Message
from .secrets import EnvValue, ServiceAccountName, name_of, with_secret_keys
from .types import Affinity, Amounts, EnvName, Labels, PodAnnotations, PriorityClassName, Selector


def _as_texts(amounts: Mapping[str, Any]) -> Mapping[str, str]:
    """Amounts as Kubernetes shows them, which also takes numbers."""
    if not isinstance(amounts, Mapping):
        return amounts
    # A bool is an int in Python, and no amount.
    numbers = {name: str(amount) for name, amount in amounts.items() if type(amount) in (int, float)}
    return {**amounts, **numbers}


@frozen(kw_only=True)
class Resources:
    """Resources of a container. A memory limit is required, because SpiceDB sizes its caches by it."""

    requests: Amounts = field(converter=_as_texts)
    """Requested amounts of ``cpu``, ``memory`` and ``ephemeral-storage``. Required, because no amount fits every
    pod."""
    limits: Amounts = field(converter=_as_texts)
    """Maximum amounts of ``cpu``, ``memory`` and ``ephemeral-storage``. Required, with at least ``memory``."""


def default_resources(cpu: str, memory: str, *, limits: tuple[str, str]) -> Resources:
    """Resources with space for logs, which are all that containers write to the node's disk."""
    return Resources(
        requests={"cpu": cpu, "memory": memory, "ephemeral-storage": "64Mi"},
        limits={"cpu": limits[0], "memory": limits[1], "ephemeral-storage": "1Gi"},
    )


@frozen(kw_only=True)
class Toleration:
    """One of a pod's ``tolerations``."""

    key: str | None = None
    """Key of the taint. Defaults to every key, which requires the operator ``Exists``."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """``Equal`` compares the value, ``Exists`` only the key. Defaults to ``Equal``, as in Kubernetes."""
    value: str | None = None
    """Value of the taint. Defaults to none."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Defaults to every effect."""
    toleration_seconds: Annotated[int, Unit("seconds"), Interval(ge=0)] | None = None
    """How long a pod stays on a node with a ``NoExecute`` taint, in seconds. Defaults to no limit."""


def _has(*fields: str) -> Callable[[object], bool]:
    """Whether a value is an object with some fields, each a text."""

    def test(value: object) -> bool:
        return isinstance(value, Mapping) and all(isinstance(value.get(field), str) for field in fields)

    return test


_AS_IN_A_MANIFEST = "write it as in a manifest, in Kubernetes' own names"
_Volume = Annotated[Any, Predicate(_has("name")), Message("a volume, with a name", _AS_IN_A_MANIFEST, redacted=True)]
_Mount = Annotated[
    Any,
    Predicate(_has("name", "mountPath")),
    Message("a volume mount, with name and mountPath", _AS_IN_A_MANIFEST, redacted=True),
]
_Container = Annotated[
    Any,
    Predicate(_has("name", "image")),
    Message("a container, with name and image", _AS_IN_A_MANIFEST, redacted=True),
]
KEYS: Mapping[str, str] = {
    "extra_volumes": "name",
    "extra_volume_mounts": "mountPath",
    "init_containers": "name",
    "extra_containers": "name",
}
"""The settings that are lists of objects, and the field by which Kubernetes tells the objects apart."""


@frozen(kw_only=True)
class PodSettings:
    """Settings that all pods of a release have: servers, migration, clean-up, schema, test and backup.

    You can also set all of these for one kind of pod. The package merges both settings by name: labels, annotations,
    node selectors, variables, volumes and containers. If both have the same name, the setting for the kind of pod takes
    precedence. Tolerations, affinity, PriorityClass and ServiceAccount have no names: the setting for the kind of pod
    replaces the one here.
    """

    pod_labels: Labels = field(factory=dict)
    """Labels of the pods, in addition to the ones that this package sets. Defaults to none."""
    pod_annotations: PodAnnotations = field(factory=dict)
    """Annotations of the pods, such as ``{"sidecar.istio.io/inject": "false"}``. Defaults to none."""
    node_selector: Selector = field(factory=dict)
    """Node selector of the pods (``nodeSelector``). Defaults to any node."""
    tolerations: Sequence[Toleration] = ()
    """Tolerations of the pods (``tolerations``). The package adds two, for the taints
    ``node.kubernetes.io/not-ready`` and ``node.kubernetes.io/unreachable``. With them, Kubernetes evicts a pod 30 s
    after it taints the node. The default of Kubernetes is 300 s. To change the time, add tolerations with these keys.
    Defaults to none of your own."""
    priority_class_name: PriorityClassName | None = None
    """PriorityClass of the pods (``priorityClassName``). Defaults to the cluster's default."""
    affinity: Affinity = field(factory=dict)
    """Affinity of the pods (``affinity``), written as in a manifest, with keys such as ``nodeAffinity``. Defaults to
    none."""
    service_account: ServiceAccountName | None = field(default=None, converter=name_of)
    """ServiceAccount of the pods, by name or as a cdk8s-plus object. It must exist before you install the release.
    Defaults to the one that this package creates for the pods, or to the namespace's default."""
    env: Mapping[EnvName, EnvValue] = field(factory=dict, converter=with_secret_keys)
    """More environment variables of the pods' first container. For SPICEDB_* variables of servers and migration, the
    same rules apply as for ``extra_args``. Defaults to none."""
    extra_volumes: Sequence[_Volume] = ()
    """More volumes of the pods (``volumes``), written as in a manifest. Defaults to none."""
    extra_volume_mounts: Sequence[_Mount] = ()
    """More volume mounts of the pods' first container (``volumeMounts``), written as in a manifest. Defaults to
    none."""
    init_containers: Sequence[_Container] = ()
    """Containers that run before the pods' own (``initContainers``), written as in a manifest. With ``restartPolicy:
    Always``, a container keeps running beside them, as a proxy for the database must. Defaults to none."""
    extra_containers: Sequence[_Container] = ()
    """More containers of the pods (``containers``), written as in a manifest. A Job ends when all of them end, so in
    Jobs, use ``init_containers`` for a container that keeps running. Defaults to none."""


@frozen(kw_only=True)
class PodProps(PodSettings):
    """Settings of one kind of pod."""

    resources: Resources
    """Resources of the container. Required here; each kind of pod has its own default."""


Settings = TypeVar("Settings", bound=PodSettings)
_NOTHING = PodSettings()


def combined(pods: PodSettings, own: Settings) -> Settings:
    """The settings of one kind of pod, with those of all pods where it has none of its own."""
    if pods == _NOTHING:
        return own
    found = {each.name: _combined(each.name, pods, own) for each in attrs.fields(PodSettings)}
    return attrs.evolve(own, **found)


def without_contents(settings: Settings) -> Settings:
    """The settings without what is in the pods: variables, volumes and containers."""
    empty: dict[str, Any] = {"env": {}, **dict.fromkeys(KEYS, ())}
    return attrs.evolve(settings, **empty)


def _combined(name: str, pods: PodSettings, own: PodSettings) -> Any:
    shared, value = getattr(pods, name), getattr(own, name)
    if name in KEYS:
        key = KEYS[name]
        return list({each[key]: each for each in (*shared, *value)}.values())
    if isinstance(shared, Mapping) and name != "affinity":
        return {**shared, **value}
    return value or shared
