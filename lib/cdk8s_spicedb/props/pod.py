"""What can be said of any pod of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from ..checks import (
    check,
    each,
    instance,
    mapping,
    one_of,
    optional,
    or_number,
    rule,
    show,
    string,
    text,
    whole_number,
)
from ..errors import Problem
from ..labels import CHECKSUM, annotations_check, labels_check, node_selector_check

_QUANTITY = or_number(
    text(
        r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?",
        "a Kubernetes quantity, such as '250m' or '512Mi'",
        "'500m' is half a core, '512Mi' is memory",
    )
)
_AMOUNTS = mapping(one_of("cpu", "memory", "ephemeral-storage"), _QUANTITY)
_UNITS = {
    "m": Decimal("0.001"),
    **{prefix: Decimal(1000**power) for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}i": Decimal(1024**power) for power, prefix in enumerate("KMGT", 1)},
}


def _amount(quantity: str) -> Decimal:
    number = quantity.rstrip("mkKiMGT")
    return Decimal(number) * _UNITS.get(quantity[len(number) :], 1)


def _as_texts(amounts: Mapping[str, Any]) -> Mapping[str, str]:
    """Amounts as Kubernetes shows them: a plain number is one too."""
    if not isinstance(amounts, Mapping):
        return amounts
    # What is neither is left to the check; True is a number to Python alone.
    plain = {name: str(amount) for name, amount in amounts.items() if type(amount) in (int, float)}
    return {**amounts, **plain}


@frozen(kw_only=True)
class Resources:
    """A container's ``resources``. SpiceDB sizes its caches by the memory limit, so there is always one."""

    requests: Mapping[str, str] = field(converter=_as_texts, metadata=_AMOUNTS)
    """What the scheduler sets aside, by ``cpu`` and ``memory``. Required: there is no amount that fits every pod."""
    limits: Mapping[str, str] = field(converter=_as_texts, metadata=_AMOUNTS)
    """What the container may use at most, by ``cpu`` and ``memory``. Required, as above."""

    @rule("requests", "limits")
    def _requests_within_limits(self) -> Iterator[Problem]:
        for name, requested in self.requests.items():
            limit = self.limits.get(name)
            if limit is not None and _amount(requested) > _amount(limit):
                yield Problem(
                    f"requests.{name}", show(requested), f"at most the limit, {limit}", "lower it, or raise the limit"
                )

    @rule("limits")
    def _memory_is_limited(self) -> Iterator[Problem]:
        if "memory" not in self.limits:
            yield Problem(
                "limits", show(dict(self.limits)), "a memory limit among them", "add one, such as {'memory': '1Gi'}"
            )


def default_resources(cpu: str, memory: str, *, most: tuple[str, str]) -> Resources:
    """CPU and memory, and room for logs, which are all that is written to the node's disk."""
    return Resources(
        requests={"cpu": cpu, "memory": memory, "ephemeral-storage": "64Mi"},
        limits={"cpu": most[0], "memory": most[1], "ephemeral-storage": "1Gi"},
    )


RESOURCES = instance(Resources, "Resources(requests=…, limits=…)", "give both requests and limits")


@frozen(kw_only=True)
class Toleration:
    """A taint that pods put up with (the Kubernetes field ``tolerations``)."""

    key: str | None = field(default=None, metadata=optional(string()))
    """The taint's key. Default: every key, which asks for the operator ``Exists``."""
    operator: str = field(default="Equal", metadata=one_of("Equal", "Exists"))
    """``Equal`` compares the value, ``Exists`` the key alone. Default: ``Equal``, as in Kubernetes."""
    value: str | None = field(default=None, metadata=optional(string()))
    """The taint's value. Default: none."""
    effect: str | None = field(default=None, metadata=optional(one_of("NoSchedule", "PreferNoSchedule", "NoExecute")))
    """The taint's effect. Default: every effect."""
    toleration_seconds: int | None = field(default=None, metadata=optional(whole_number(0, unit="seconds")))
    """How long a pod stays on a node with a ``NoExecute`` taint, in seconds. Default: for good."""

    def manifest(self) -> dict[str, Any]:
        """As one of a pod's ``tolerations``."""
        fields = {
            "key": self.key,
            "operator": self.operator,
            "value": self.value,
            "effect": self.effect,
            "tolerationSeconds": self.toleration_seconds,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @rule("key", "operator")
    def _every_key_exists(self) -> Iterator[Problem]:
        if self.key is None and self.operator == "Equal":
            yield Problem("key", "None", "a key, or operator='Exists'", "give the taint's key")

    @rule("operator", "value")
    def _existing_keys_have_no_value(self) -> Iterator[Problem]:
        if self.operator == "Exists" and self.value is not None:
            yield Problem("value", show(self.value), "nothing with operator='Exists'", "leave it out, or write 'Equal'")

    @rule("effect", "toleration_seconds")
    def _only_eviction_can_wait(self) -> Iterator[Problem]:
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            yield Problem(
                "toleration_seconds",
                show(self.toleration_seconds),
                "nothing but with effect='NoExecute'",
                "leave it out, or write effect='NoExecute'",
            )


@frozen(kw_only=True)
class PodProps:
    """What can be said of any pod of a release."""

    resources: Resources = field(metadata=RESOURCES)
    """What the container asks for and may use (``resources``). Required here; each kind of pod has a default."""
    pod_labels: Mapping[str, str] = field(factory=dict, metadata=labels_check())
    """Labels of the pods beside this package's own. Default: none."""
    pod_annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check(CHECKSUM))
    """Annotations of the pods, for instance ``{"sidecar.istio.io/inject": "false"}``. Default: none."""
    node_selector: Mapping[str, str] = field(factory=dict, metadata=node_selector_check())
    """The labels that a node must have (``nodeSelector``). Default: any node."""
    tolerations: Sequence[Toleration] = field(
        factory=tuple,
        metadata=each(instance(Toleration, "a Toleration(…)", "write Toleration(key='dedicated', value='spicedb')")),
    )
    """The taints that the pods put up with (``tolerations``). Default: none."""
    priority_class_name: str | None = field(
        default=None,
        metadata=optional(
            text(
                r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
                "the name of a PriorityClass",
                "give the name of one that the cluster has, such as 'system-cluster-critical'",
            )
        ),
    )
    """The PriorityClass that says who gives way when nodes are full (``priorityClassName``). Default: the cluster's."""
    affinity: Mapping[str, Any] = field(
        factory=dict,
        metadata=mapping(
            one_of("nodeAffinity", "podAffinity", "podAntiAffinity"),
            check(
                "an object",
                lambda value: isinstance(value, Mapping),
                "write it as in a manifest, in Kubernetes' names",
                schema={"type": "object"},
            ),
        ),
    )
    """Where the pods would rather or must run (``affinity``), in Kubernetes' own names. Default: anywhere."""
