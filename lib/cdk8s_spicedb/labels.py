"""Names and labels of everything this package renders; they are a contract with clusters that run it.

Every selector carries the component: without it the migration's pods would end up behind the Service.
The labels of a selector are fixed; a user's labels decorate objects and never enter a selector.
"""

from __future__ import annotations

from enum import Enum

from .checks import Metadata, excluding, mapping, string, text

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
VERSION = "app.kubernetes.io/version"
CHECKSUM = "checksum/migration-config"
RESERVED = (NAME, INSTANCE, COMPONENT, VERSION)


class Component(Enum):
    """The part of a release that an object belongs to."""

    SERVER = "server"
    MIGRATION = "migration"
    CLEANUP = "cleanup"
    SCHEMA = "schema"
    TEST = "test"


_SUFFIX = {
    Component.SERVER: "",
    Component.MIGRATION: "-migration",
    Component.CLEANUP: "-migration-cleanup",
    Component.SCHEMA: "-schema",
    Component.TEST: "-test",
}
LONGEST_NAME = 63 - max(map(len, _SUFFIX.values()))
"""Kubernetes copies a Job's name into a label of its pods, and a label's value has at most 63 characters."""


def object_name(name: str, component: Component) -> str:
    """The name of a component's objects: the Deployment, Service and ServiceAccount have the release's own."""
    return name + _SUFFIX[component]


def selector_labels(name: str, component: Component) -> dict[str, str]:
    """What selects the pods of one component of one release."""
    return {NAME: "spicedb", INSTANCE: name, COMPONENT: component.value}


def selector_text(name: str, component: Component) -> str:
    """The same as ``kubectl --selector`` takes it."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(name, component).items())


# ---------------------------------------------------------------- checks

_QUALIFIED = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = text(
    r"([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?",
    "a label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
    "shorten it or replace the other characters; longer texts belong into an annotation",
    most=63,
)


_KEY = text(_QUALIFIED, "keys ([prefix/]name)", "write keys as 'team' or 'example.com/team'", most=317)


def labels_check() -> Metadata:
    """User labels: any but the ones that selectors are made of."""
    return mapping(excluding(_KEY, *RESERVED), _LABEL_VALUE)


def annotations_check(*reserved: str) -> Metadata:
    """User annotations: any but the ones given, which this package sets."""
    return mapping(excluding(_KEY, *reserved), string("annotation values are texts: quote numbers and booleans"))


def node_selector_check() -> Metadata:
    return mapping(_KEY, _LABEL_VALUE)
