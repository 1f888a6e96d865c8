"""Whether ResourceQuotas have room for the pods of a roll-out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from ...labels import Component
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ...props.spicedb import number_of
from ...props.types import parse_quantity
from ..apierror import Forbidden
from ..cluster import RESOURCE_QUOTA, Cluster, items_of
from .admission import PodTemplate, pod_templates
from .finding import Finding

Amounts = Mapping[str, Decimal]
"""Amounts by the names that quotas have for them, such as ``requests.cpu``."""
_NONE = Decimal(0)
_MIB, _GIB = Decimal(2**20), Decimal(2**30)
_MATCHES = ("NotTerminating", "NotBestEffort")
"""Scopes of a quota that the pods of a release are in: they have no deadline of their own, and have requests."""


def quota_findings(
    cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest], running: Manifest | None, servers: int
) -> Iterator[Finding]:
    """One finding for each ResourceQuota that counts these pods.

    ``running`` is the pod template of the servers that run, of which there are ``servers``.
    """
    try:
        quotas = cluster.find(RESOURCE_QUOTA)
    except Forbidden:
        fix = 'add to your Role: {apiGroups: [""], resources: ["resourcequotas"], verbs: ["list"]}'
        yield Finding.warning("ResourceQuotas", "not checked: you have no right to list them", fix)
        return
    templates = list(pod_templates(manifests))
    for quota in quotas:
        counted = [template for template in templates if _counts(quota, template)]
        needed = _needed(props, counted, running, servers)
        subject = f"ResourceQuota {quota['metadata']['name']}"
        problems = list(_problems(subject, quota, needed))
        yield from problems or [Finding.ok(subject, "has room for the roll-out")]
    if not quotas:
        yield Finding.ok("ResourceQuotas", "the namespace has none")


def _problems(subject: str, quota: Manifest, needed: Amounts) -> Iterator[Finding]:
    status = quota.get("status", {})
    hard, used = status.get("hard") or quota["spec"].get("hard", {}), status.get("used", {})
    for name in hard:
        limit, taken, wanted = _number(hard[name]), _number(used.get(name)), needed.get(name, _NONE)
        free = max(limit - taken, _NONE)
        if wanted > free:
            text = (
                f"the roll-out needs {_show(name, wanted)} of {name} in addition to what runs, and "
                f"{_show(name, free)} of {_show(name, limit)} is free"
            )
            more = _show(name, taken + wanted)
            fix = f"raise {name} of the quota to {more}, or reduce server.resources or server.maxSurge in the file"
            yield Finding.failure(subject, text, fix)


def _needed(props: SpiceDBProps, templates: Iterable[PodTemplate], running: Manifest | None, servers: int) -> Amounts:
    """What a roll-out needs in addition to the servers that run."""
    pods = {template.component: pod_amounts(template.spec) for template in templates}
    new = pods.pop(Component.SERVER, {})
    roll_out = _times(new, props.replicas)
    if new and running is not None:
        old = pod_amounts(running["spec"])
        wanted = servers if props.server.autoscaling else props.replicas
        surge = number_of(props.max_surge, wanted)
        # The most is there either with the first new servers or with the last old ones.
        last = _joined(sum, [_times(new, wanted), _times(old, surge - servers)])
        roll_out = _joined(max, [_times(new, surge), last])
    # Backups and tests run at another time. Backups run by themselves, so they need room too.
    backup = pods.pop(Component.BACKUP, {})
    others = [amounts for component, amounts in pods.items() if component is not Component.TEST]
    # Each hook has ended before the next one starts, and before the servers do, or after.
    return _joined(max, [backup, _joined(max if props.migrates_first else sum, [roll_out, *others])])


def pod_amounts(spec: Manifest) -> Amounts:
    """What a quota counts for a pod."""
    start = list(items_of(spec, "initContainers"))
    sidecars = [container for container in start if container.get("restartPolicy") == "Always"]
    main = _joined(sum, [_container(container) for container in (*spec["containers"], *sidecars)])
    amounts = _joined(max, [main, *(_container(container) for container in start if container not in sidecars)])
    return {**amounts, "pods": Decimal(1), "count/pods": Decimal(1)}


def _container(container: Manifest) -> Amounts:
    resources = container.get("resources", {})
    limits = resources.get("limits", {})
    # A limit without a request is also the request.
    requests = {**limits, **resources.get("requests", {})}
    named = {"": requests, "requests.": requests, "limits.": limits}
    return {f"{kind}{name}": _number(value) for kind, each in named.items() for name, value in each.items()}


def _counts(quota: Manifest, template: PodTemplate) -> bool:
    scopes = ({"scopeName": scope} for scope in items_of(quota, "spec", "scopes"))
    expressions = items_of(quota, "spec", "scopeSelector", "matchExpressions")
    return all(_in(each, template) for each in (*scopes, *expressions))


def _in(expression: Manifest, template: PodTemplate) -> bool:
    if expression["scopeName"] != "PriorityClass":
        return expression["scopeName"] in _MATCHES
    priority, values = template.spec.get("priorityClassName"), expression.get("values") or ()
    answers = {
        "Exists": priority is not None,
        "DoesNotExist": priority is None,
        "In": priority in values,
        "NotIn": priority not in values,
    }
    return answers.get(expression.get("operator", ""), False)


def _number(quantity: str | int | None) -> Decimal:
    return _NONE if quantity is None else parse_quantity(str(quantity))


def _joined(how: Callable[[Iterable[Decimal]], Decimal | int], many: Sequence[Amounts]) -> Amounts:
    """The sum or the maximum of the amounts with the same name."""
    names = dict.fromkeys(chain(*many))
    return {name: Decimal(how(amounts[name] for amounts in many if name in amounts)) for name in names}


def _times(amounts: Amounts, count: int) -> Amounts:
    return {name: amount * count for name, amount in amounts.items()}


def _show(name: str, amount: Decimal) -> str:
    if name.endswith(("memory", "storage")):
        size, unit = (_GIB, "Gi") if amount >= _GIB and amount % _GIB == 0 else (_MIB, "Mi")
        return f"{-(-amount // size)}{unit}"
    if name.endswith("cpu") and amount % 1:
        return f"{int(amount * 1000)}m"
    return f"{int(amount)}"
