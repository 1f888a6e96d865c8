"""Settings that every kind of pod has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Interval, Unit
from attrs import field, frozen

from .types import Affinity, Amounts, Labels, PodAnnotations, PriorityClassName, Selector


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


@frozen(kw_only=True)
class PodProps:
    """Settings that every kind of pod has."""

    resources: Resources
    """Resources of the container. Required here; each kind of pod has its own default."""
    pod_labels: Labels = field(factory=dict)
    """Labels of the pods, in addition to the ones that this package sets. Defaults to none."""
    pod_annotations: PodAnnotations = field(factory=dict)
    """Annotations of the pods, such as ``{"sidecar.istio.io/inject": "false"}``. Defaults to none."""
    node_selector: Selector = field(factory=dict)
    """Node selector of the pods (``nodeSelector``). Defaults to any node."""
    tolerations: Sequence[Toleration] = ()
    """Tolerations of the pods (``tolerations``). Defaults to none."""
    priority_class_name: PriorityClassName | None = None
    """PriorityClass of the pods (``priorityClassName``). Defaults to the cluster's default."""
    affinity: Affinity = field(factory=dict)
    """Affinity of the pods (``affinity``), written as in a manifest, with keys such as ``nodeAffinity``. Defaults to
    none."""
