"""_helpers.tpl: what several templates of a chart share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from ..files.folder import MARK
from ..labels import HELM_CHART, MANAGED_BY, POD_TEMPLATE_HASH, VERSION, Component, selector_labels
from ..manifests.jobs import changed_settings, plain
from ..props import MigrationProps, SpiceDBProps
from ..props.fields import camel
from ..props.spicedb import image_parts
from .values import FULLNAME, Value, has_jobs, secrets


def helpers(props: SpiceDBProps, values: list[Value], chart: str) -> Iterator[str]:
    """The lines of _helpers.tpl."""
    yield f"{{{{- /* {MARK} */}}}}"
    parts: dict[str, Iterable[str]] = {
        "fullname": [f'{{{{- .Values.fullnameOverride | default "{props.name}" -}}}}'],
        "serviceAccountName": [f'{{{{- .Values.serviceAccount.name | default (include "{chart}.fullname" .) -}}}}'],
        "labels": _labels(chart),
        "image": _image(chart),
        "withRegistry": _WITH_REGISTRY,
        "version": _version(props),
    }
    if has_jobs(props):
        parts["hookLogs"] = _HOOK_LOGS
    if props.datastore.max_replicas != 1:
        parts["topologySpreadConstraints"] = _spread(chart)
    if props.datastore.migrates:
        parts["migrationChecksum"] = _checksum(props, values)
        parts["migrationHash"] = _hash(chart)
    for name, lines in parts.items():
        yield f'{{{{- define "{chart}.{name}" -}}}}'
        yield from lines
        yield "{{- end }}"


def _labels(chart: str) -> Iterator[str]:
    """The labels of every object. Pods have only those that never change with the chart's version."""
    component = Component.SERVER
    yield "{{- $root := index . 0 -}}"
    for name, value in selector_labels(FULLNAME, component).items():
        names = {FULLNAME: f'{{{{ include "{chart}.fullname" $root | quote }}}}', component.value: "{{ index . 1 }}"}
        yield f"{name}: {names.get(value, value)}"
    yield '{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}'
    yield f'{HELM_CHART}: {{{{ $chart | trunc 63 | trimSuffix "-" | quote }}}}'
    yield f"{MANAGED_BY}: {{{{ $root.Release.Service | quote }}}}"
    yield f'{VERSION}: {{{{ include "{chart}.version" $root | quote }}}}'
    yield "{{- with $root.Values.commonLabels }}"
    yield "{{ toYaml . }}"
    yield "{{- end }}"


def _image(chart: str) -> Iterator[str]:
    yield "{{- $image := .Values.image -}}"
    yield "{{- $tag := $image.tag -}}"
    yield "{{- if not (or $tag $image.digest) }}{{ $tag = .Chart.AppVersion }}{{ end -}}"
    yield f'{{{{- include "{chart}.withRegistry" (list . $image.repository) -}}}}'
    yield "{{ with $tag }}:{{ . }}{{ end }}{{ with $image.digest }}@{{ . }}{{ end }}"


_WITH_REGISTRY = (
    "{{- $global := (index . 0).Values.global | default dict -}}",
    "{{- $image := index . 1 -}}",
    "{{- with $global.imageRegistry -}}",
    # The part before the first slash is a registry if it has a dot or a port, or is localhost.
    '{{ . }}/{{ regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $image "" }}',
    "{{- else -}}",
    "{{ $image }}",
    "{{- end -}}",
)
"""An image in the registry that all charts of a release share, if they do."""


def _version(props: SpiceDBProps) -> Iterator[str]:
    """The label of the release, which follows the tag of the image."""
    _, tag, _ = image_parts(props.full_image)
    version, written = json.dumps(props.version), json.dumps(tag or "")
    yield "{{- $tag := .Values.image.tag -}}"
    yield f'{{{{- if or (not $tag) (eq $tag {written}) (hasPrefix (printf "%s-" {version}) $tag) -}}}}'
    yield props.version
    yield "{{- else -}}"
    # A tag can be longer than a label, and can end in another character.
    yield '{{ $tag | trunc 63 | regexFind "^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?" }}'
    yield "{{- end -}}"


_FLUX = '.Capabilities.APIVersions.Has "helm.toolkit.fluxcd.io/v2"'
_HOOK_LOGS = (
    '{{- if kindIs "bool" .Values.hookLogs }}{{ ternary "true" "" .Values.hookLogs }}',
    # A release of the helm program knows its commit. A program that only contains Helm's code does not.
    f"{{{{- else if or .Capabilities.HelmVersion.GitCommit (not ({_FLUX})) }}}}true",
    "{{- end -}}",
)
"""Whether Helm prints the logs of hooks. By default, not if Flux installs the chart: its helm-controller crashes."""


def _spread(chart: str) -> Iterator[str]:
    selector = selector_labels(FULLNAME, Component.SERVER)
    labels = " ".join(
        f'"{name}" ' + (f'(include "{chart}.fullname" .)' if value == FULLNAME else f'"{value}"')
        for name, value in selector.items()
    )
    yield f'{{{{- $selector := dict "matchLabels" (dict {labels}) -}}}}'
    yield f'{{{{- $defaults := dict "labelSelector" $selector "matchLabelKeys" (list "{POD_TEMPLATE_HASH}") -}}}}'
    yield "{{- range .Values.topologySpreadConstraints }}"
    yield '- {{ ternary . (merge (dict) . $defaults) (hasKey . "labelSelector") | toYaml | nindent 2 | trim }}'
    yield "{{ end -}}"


def _checksum(props: SpiceDBProps, values: list[Value]) -> Iterator[str]:
    """The digest of the settings that differ from the defaults of their props, as `migration_checksum` computes it."""
    paths = [value.path.removeprefix("migrations.") for value in values if value.path.startswith("migrations.")]
    names = [path for path in paths if "." not in path]
    settings = attrs.asdict(MigrationProps(), recurse=False).items()
    known = {camel(name): "" if value is None else plain(value) for name, value in settings}
    # A value without a prop is an empty list.
    defaults = {name: known.get(name, []) for name in names}
    fixed = {name: value for name, value in changed_settings(props.migration).items() if name not in names}
    yield f"{{{{- $settings := fromJson {_go(fixed)} -}}}}"
    uri = props.migration.datastore_uri
    if uri is not None:
        yield f'{{{{- $_ := set $settings "datastoreUri" .Values.secrets.{secrets(props)[uri]} -}}}}'
    yield f"{{{{- $defaults := fromJson {_go(defaults)} -}}}}"
    yield "{{- $migrations := .Values.migrations -}}"
    yield "{{- range $name, $default := $defaults -}}"
    yield "{{- $value := get $migrations $name -}}"
    yield "{{- if ne (toJson $value) (toJson $default) }}{{ $_ := set $settings $name $value }}{{ end -}}"
    yield "{{- end -}}"
    yield "{{- toRawJson $settings | sha256sum -}}"


def _hash(chart: str) -> Iterator[str]:
    """The end of the name of a migration that is no hook, as `Delivery.job_name` computes it."""
    yield "{{- if not .Values.migrations.hook -}}"
    yield f'-{{{{ include "{chart}.migrationSpec" . | fromYaml | toRawJson | sha256sum | trunc 7 }}}}'
    yield "{{- end -}}"


def _go(value: Any) -> str:
    """A value as JSON, in a string in an action of a template."""
    return json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
