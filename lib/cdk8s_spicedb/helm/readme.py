"""README.md of a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..files.folder import MARK
from ..props import SpiceDBProps
from .troubleshooting import troubleshooting
from .values import Value, secrets


def readme(props: SpiceDBProps, chart: str, values: list[Value]) -> str:
    """The text of README.md."""
    parts = [*_opening(props, chart), *_install(props), *_upgrade(props), *_values(values)]
    return "\n".join(parts) + "\n"


def _opening(props: SpiceDBProps, chart: str) -> Iterator[str]:
    yield f"<!-- {MARK} -->"
    yield f"# {chart}\n"
    yield f"SpiceDB {props.version} on {props.datastore.engine}, for Kubernetes 1.30 or later and Helm 3.18 or later.\n"
    if props.datastore.migrates:
        yield "A Job migrates the datastore before the servers change (hook pre-install and pre-upgrade). If it fails,"
        yield "the release fails, and the servers from before keep serving.\n"
    yield "The engine, its address, and the names of all objects are fixed in this chart. For others, write another"
    yield "chart.\n"


def _install(props: SpiceDBProps) -> Iterator[str]:
    yield "## Install\n"
    yield "Create these Secrets before you install. To use others, set the values:\n"
    yield from (f"- `{key.name}`, key `{key.key}`: `secrets.{name}`" for key, name in secrets(props).items())
    yield "\nSee what Helm would apply. Run these commands in this folder; they change nothing:\n"
    yield f"    helm template {props.name} . --namespace NAMESPACE"
    yield f"    helm install {props.name} . --namespace NAMESPACE --dry-run=server\n"
    yield "Then install the chart:\n"
    yield f"    helm install {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm get notes {props.name} --namespace NAMESPACE\n"
    yield "The notes say how to connect, and how to see what the migration did.\n"


def _upgrade(props: SpiceDBProps) -> Iterator[str]:
    yield "## Upgrade and roll back\n"
    yield f"    helm upgrade {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm history {props.name} --namespace NAMESPACE"
    yield f"    helm rollback {props.name} REVISION --namespace NAMESPACE --wait\n"
    yield "Roll back to the revision that was deployed last. Without a revision, Helm takes the one before, which may"
    yield "be a failed attempt."
    if props.datastore.migrates:
        yield "A rollback does not migrate: the schema stays the newer one.\n"
        yield "## Troubleshoot a migration\n"
        yield troubleshooting(props, props.name, "--namespace NAMESPACE", chart=".", indent="    ")
    yield ""


def _values(values: list[Value]) -> Iterator[str]:
    yield "## Values\n"
    yield "| Value | Default | Meaning |"
    yield "| --- | --- | --- |"
    for value in values:
        default, text = (part.replace("|", "\\|") for part in (json.dumps(value.default), value.text))
        yield f"| `{value.path}` | `{default}` | {text} |"
