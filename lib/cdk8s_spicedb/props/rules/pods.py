"""Resources, tolerations and patches."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ...errors import Problem
from ..annotations import Problems, rule, unset
from ..kinds import show
from ..patch import PatchOperation
from ..pod import Resources, Toleration

_UNITS = {
    "m": Decimal("0.001"),
    **{prefix: Decimal(1000**power) for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}i": Decimal(1024**power) for power, prefix in enumerate("KMGT", 1)},
}


def _amount(quantity: str) -> Decimal:
    number = quantity.rstrip("mkKiMGT")
    return Decimal(number) * _UNITS.get(quantity[len(number) :], 1)


@rule(Resources)
def requests_at_most_limits(requests: Mapping[str, str], limits: Mapping[str, str]) -> Problems:
    for name, requested in requests.items():
        if name in limits and _amount(requested) > _amount(limits[name]):
            allowed, fix = f"at most the limit, {limits[name]}", "lower it, or raise the limit"
            yield Problem(f"requests.{name}", show(requested), allowed, fix)


@rule(Resources)
def memory_is_limited(limits: Mapping[str, str]) -> Problems:
    if "memory" not in limits:
        yield Problem("limits", show(dict(limits)), "limits with a memory limit", "add one, such as {'memory': '1Gi'}")


@rule(Toleration)
def equal_needs_a_key(key: str | None, operator: str) -> Problems:
    if key is None and operator == "Equal":
        yield Problem("key", "None", "a key, or operator='Exists'", "set the taint's key")


@rule(Toleration)
def exists_has_no_value(operator: str, value: str | None) -> Problems:
    if operator == "Exists":
        yield from unset("value", value, "with operator='Exists'", "remove it, or use operator='Equal'")


@rule(Toleration)
def only_evictions_have_a_time(effect: str | None, toleration_seconds: int | None) -> Problems:
    if effect != "NoExecute":
        fix = "remove it, or use effect='NoExecute'"
        yield from unset("toleration_seconds", toleration_seconds, "without effect='NoExecute'", fix)


@rule(PatchOperation)
def remove_has_no_value(op: str, value: object) -> Problems:
    if op == "remove":
        yield from unset("value", value, "with op='remove'", shown="(set)")
