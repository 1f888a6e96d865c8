"""Names and labels of all rendered objects. Clusters depend on them, so they never change.

Every selector includes the component: without it, the Service would also select the migration's pods. The labels of a
selector are fixed. User labels are added to objects and never to a selector.
"""

from __future__ import annotations

from enum import Enum

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
    """The name of a component's objects. The Deployment, Service and ServiceAccount have the release's own name."""
    return name + _SUFFIX[component]


def selector_labels(name: str, component: Component) -> dict[str, str]:
    """The labels that select the pods of one component of one release."""
    return {NAME: "spicedb", INSTANCE: name, COMPONENT: component.value}


def selector_text(name: str, component: Component) -> str:
    """The selector in the form that ``kubectl --selector`` takes."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(name, component).items())
