"""README.md of a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..files.folder import MARK
from ..props import SpiceDBProps
from .troubleshooting import troubleshooting
from .value import Value
from .values import secrets


def readme(props: SpiceDBProps, chart: str, values: list[Value]) -> str:
    """The text of README.md."""
    parts = [*_opening(props, chart), *_install(props), *_upgrade(props), *_values(values)]
    return "\n".join(parts) + "\n"


def _opening(props: SpiceDBProps, chart: str) -> Iterator[str]:
    yield f"<!-- {MARK} -->"
    yield f"# {chart}\n"
    yield f"SpiceDB {props.version} on {props.datastore.engine}, for Kubernetes 1.30 or later and Helm 3.18 or later.\n"
    if props.datastore.migrates:
        yield "A Job migrates the datastore before the servers change (a pre-install and pre-upgrade hook). If the Job"
        yield "fails, the install or upgrade fails, and the old servers keep serving.\n"
    yield "The engine of the datastore and its address are fixed in this chart. To change them, write the chart again"
    yield "with cdk8s-spicedb. To install the chart more than once in a namespace, set `fullnameOverride` for each"
    yield "release.\n"


def _install(props: SpiceDBProps) -> Iterator[str]:
    yield "## Install\n"
    yield "Before you install, create these Secrets with these keys. To use another Secret or key, set the value at the"
    yield "end of the line:\n"
    yield from (f"- `{key.name}`, key `{key.key}`: `secrets.{name}`" for key, name in secrets(props).items())
    yield "\nRun all commands in this folder. First, see what Helm would apply. These commands change nothing:\n"
    yield f"    helm template {props.name} . --namespace NAMESPACE"
    yield f"    helm install {props.name} . --namespace NAMESPACE --dry-run=server\n"
    yield "Then install the chart:\n"
    yield f"    helm install {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm get notes {props.name} --namespace NAMESPACE\n"
    yield "Helm's notes say how to connect, and how to see what the migration did.\n"


def _upgrade(props: SpiceDBProps) -> Iterator[str]:
    yield "## Upgrade and roll back\n"
    yield f"    helm upgrade {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm history {props.name} --namespace NAMESPACE"
    yield f"    helm rollback {props.name} REVISION --namespace NAMESPACE --wait\n"
    yield "To roll back, look in the history for the last revision that worked before the current one, and name it."
    yield "If you name none, Helm takes the previous revision, even if that was a failed attempt."
    if props.datastore.migrates:
        yield "A rollback does not migrate, so the datastore keeps the newer schema.\n"
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
