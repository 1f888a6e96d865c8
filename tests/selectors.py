"""Label and field selectors of the fake API server, as the documentation of Kubernetes describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "replicasets": ("status.replicas",),
    "jobs": ("status.successful",),
}
"""The fields that a selector may name, beside the name and the namespace of each object."""
_REQUIREMENT = re.compile(
    r"\s*(?:!\s*(?P<absent>[\w./-]+)"
    r"|(?P<key>[\w./-]+)(?:\s*(?P<sign>==|!=|=)\s*(?P<value>[\w.-]*)"
    r"|\s+(?P<word>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)


def matches_labels(labels: Mapping[str, str], selector: str) -> bool:
    """Whether labels meet all of ``a=b``, ``a==b``, ``a!=b``, ``a in (b,c)``, ``a notin (b)``, ``a`` and ``!a``."""
    return all(_meets(labels, each) for each in _requirements(selector))


def _requirements(selector: str) -> Iterator[Mapping[str, str | None]]:
    position = 0
    while position < len(selector):
        found = _REQUIREMENT.match(selector, position)
        if found is None:
            raise AssertionError(f"Kubernetes cannot parse the selector {selector!r}")
        yield found.groupdict()
        position = found.end()


def _meets(labels: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    if wanted["absent"]:
        return wanted["absent"] not in labels
    value = labels.get(wanted["key"] or "")
    if wanted["sign"]:
        return (value == wanted["value"]) is (wanted["sign"] != "!=")
    if wanted["word"]:
        values = [each.strip() for each in (wanted["values"] or "").split(",")]
        return (value in values) is (wanted["word"] == "in")
    return value is not None


def _fields(selector: str) -> Iterator[tuple[str, str, str]]:
    for part in filter(None, selector.split(",")):
        name, sign, value = re.split(r"(!=|==|=)", part, maxsplit=1)
        yield name.strip(), sign, value.strip()


def unsupported(plural: str, selector: str) -> str:
    """The first field of a selector that the server does not select by. Empty if there is none."""
    known = ("metadata.name", "metadata.namespace", *_FIELDS.get(plural, ()))
    return next((name for name, _, _ in _fields(selector) if name not in known), "")


def matches_fields(content: Any, selector: str) -> bool:
    """Whether fields of an object have the values that a selector names."""
    for name, sign, value in _fields(selector):
        found = content
        for part in name.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        if (str(found or "") == value) is (sign == "!="):
            return False
    return True
