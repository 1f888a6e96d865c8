"""README.md of a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..files.folder import MARK
from ..props import SpiceDBProps
from .values import Value, secrets


def readme(props: SpiceDBProps, chart: str, values: list[Value]) -> str:
    """The text of README.md."""
    return "\n".join([*_opening(props, chart), *_install(props), *_upgrade(props), *_values(values)]) + "\n"


def _opening(props: SpiceDBProps, chart: str) -> Iterator[str]:
    yield f"<!-- {MARK} -->"
    yield f"# {chart}\n"
    yield f"SpiceDB {props.version} on {props.datastore.engine}, for Kubernetes 1.30 or later and Helm 3.18 or later.\n"
    if props.datastore.migrates:
        yield "The datastore is migrated before the servers change (a pre-install and pre-upgrade hook). A migration"
        yield "that fails stops the release, with its log in Helm's output; the servers before it go on serving.\n"


def _install(props: SpiceDBProps) -> Iterator[str]:
    yield "## Install\n"
    yield "These Secrets come first; the values say which others it takes instead:\n"
    yield from (f"- `{key.name}`, key `{key.key}`: `secrets.{name}`" for key, name in secrets(props).items())
    yield "\nIn this folder:\n"
    yield f"    helm install {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield "    helm get notes " + f"{props.name} --namespace NAMESPACE\n"
    yield "Helm's notes say how to reach it, and how to see what the migration did."
    yield "What would be applied, with nothing changed:\n"
    yield f"    helm template {props.name} . --namespace NAMESPACE"
    yield f"    helm install {props.name} . --namespace NAMESPACE --dry-run=server\n"


def _upgrade(props: SpiceDBProps) -> Iterator[str]:
    yield "## Upgrade and go back\n"
    yield f"    helm upgrade {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm history {props.name} --namespace NAMESPACE"
    yield f"    helm rollback {props.name} REVISION --namespace NAMESPACE --wait\n"
    yield "Go back to the revision that was deployed last; without one Helm takes the one before, a failed attempt too."
    if props.datastore.migrates:
        yield "Nothing migrates on a rollback: a schema only goes forward."
    yield ""


def _values(values: list[Value]) -> Iterator[str]:
    yield "## Values\n"
    yield "| Value | Default | Meaning |"
    yield "| --- | --- | --- |"
    for value in values:
        default, text = (part.replace("|", "\\|") for part in (json.dumps(value.default), value.text))
        yield f"| `{value.path}` | `{default}` | {text} |"
