"""The ServiceAccount of each kind of pod in a chart: its name, and whether the chart creates it."""

from __future__ import annotations

from collections.abc import Iterable

from ..labels import Component, object_name
from ..props import SpiceDBProps

ACCOUNT = "cdk8s-spicedb-account"
"""The ServiceAccount of the servers, which the values of names can change."""
CLEANUP_ACCOUNT = "cdk8s-spicedb-cleanup-account"
"""The ServiceAccount of the clean-up."""
IDENTITY = "cdk8s-spicedb-identity"
"""An annotation of the ServiceAccounts, which the value ``serviceAccount.annotations`` replaces."""
_ALL, _SERVERS = ".Values.pods.serviceAccount.name", ".Values.serviceAccount.name"
_MIGRATION, _CLEANUP = ".Values.migrations.serviceAccount.name", ".Values.migrations.cleanup.serviceAccount.name"


def own_account(props: SpiceDBProps, chart: str, component: Component) -> str:
    """The condition under which the chart creates a component's ServiceAccount."""
    if component is Component.MIGRATION:
        return f"and (not {_text(chart, _MIGRATION)}) ({_identity(props, chart)})"
    own = _SERVERS if component is Component.SERVER else _CLEANUP
    return f"not {_text(chart, f'{own} | default {_ALL}')}"


def annotations_have_an_account(chart: str, component: Component) -> str:
    """The start of the servers' template, which stops Helm if a value annotates a ServiceAccount that another names."""
    if component is not Component.SERVER:
        return ""
    named = _text(chart, f"{_SERVERS} | default {_ALL}")
    return (
        f"{{{{- if and .Values.serviceAccount.annotations {named} -}}}}\n"
        '{{- fail "serviceAccount.annotations: the chart does not create the ServiceAccount that serviceAccount.name '
        'or pods.serviceAccount.name names. Annotate that one, and set serviceAccount.annotations to null" -}}\n'
        "{{- end -}}\n"
    )


def _text(chart: str, value: str) -> str:
    """The text of a value. A template in it may make nothing of it."""
    return f'(include "{chart}.text" (list . ({value})))'


def _identity(props: SpiceDBProps, chart: str) -> str:
    """The condition under which the migration gets an identity of its own, unless a value names one."""
    own = props.migration.service_account_annotations
    if own is not None:
        return "true" if own else "false"
    condition, servers = ".Values.serviceAccount.annotations", _text(chart, f"{_SERVERS} | default {_ALL}")
    return f"or {condition} (not {servers})" if props.datastore.needs_identity else condition


def account_names(props: SpiceDBProps, chart: str) -> dict[str, Iterable[str]]:
    """The helpers that give the names."""

    servers, migration = _text(chart, f"{_SERVERS} | default {_ALL}"), _text(chart, _MIGRATION)
    fullname = f'include "{chart}.fullname" .'
    found: dict[str, Iterable[str]] = {"serviceAccountName": [f"{{{{- {servers} | default ({fullname}) -}}}}"]}
    if not props.datastore.migrates:
        return found
    cleanup = object_name("", Component.CLEANUP)
    found["migrationServiceAccountName"] = [
        f"{{{{- if {migration} }}}}{{{{ {migration} }}}}",
        f"{{{{- else if {_identity(props, chart)} }}}}{{{{ {fullname} }}}}{object_name('', Component.MIGRATION)}",
        f"{{{{- else }}}}{{{{ {servers} }}}}",
        "{{- end -}}",
    ]
    own = f'(printf "%s{cleanup}" ({fullname}))'
    found["cleanupServiceAccountName"] = [f"{{{{- {_text(chart, f'{_CLEANUP} | default {_ALL}')} | default {own} -}}}}"]
    return found
