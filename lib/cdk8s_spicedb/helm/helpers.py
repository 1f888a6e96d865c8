"""_helpers.tpl: what several templates of a chart share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from ..files.folder import MARK
from ..labels import (
    HELM_CHART,
    HELM_RELEASE,
    LONGEST_NAME,
    MANAGED_BY,
    NODE_LOST,
    POD_TEMPLATE_HASH,
    VERSION,
    Component,
    selector_labels,
)
from ..manifests.jobs import changed_settings, plain
from ..manifests.pods import NODE_LOST_SECONDS
from ..props import MigrationProps, SpiceDBProps
from ..props.fields import camel
from ..props.spicedb import image_parts
from .accounts import account_names
from .placement import placement, selector
from .value import FULLNAME, Value, secrets
from .values import has_jobs


def helpers(props: SpiceDBProps, values: list[Value], chart: str) -> Iterator[str]:
    """The lines of _helpers.tpl."""
    yield f"{{{{- /* {MARK} */}}}}"
    parts: dict[str, Iterable[str]] = {
        "render": [f'{{{{- get (printf "v: %s" (include "{chart}.tpl" .) | fromYaml) "v" | toYaml -}}}}'],
        "tpl": _tpl(chart),
        "text": _TEXT,
        "fullname": _fullname(chart),
        "defaultName": _default_name(props, chart),
        **account_names(props, chart),
        "labels": _labels(chart),
        "imagePullSecrets": _pull_secrets(chart),
        "image": _image(props, chart),
        "withRegistry": _WITH_REGISTRY,
        "version": _version(props, chart),
    }
    for name, shared in {"items": _ITEMS, "tolerations": _TOLERATIONS}.items():
        parts[name] = [line.replace("CHART", chart) for line in shared]
    if has_jobs(props) or props.backup:
        parts |= placement(chart)
    if has_jobs(props):
        parts["hookLogs"] = _HOOK_LOGS
    if props.datastore.max_replicas != 1:
        parts["topologySpreadConstraints"] = _spread(chart)
    if props.datastore.migrates:
        parts["migrationChecksum"] = _checksum(props, values, chart)
        parts["migrationHash"] = _if_no_hook(_hash(chart, "migrationSpec"))
    if props.backup:
        parts["volumeHash"] = _hash(chart, "volumeSpec")
    for name, lines in parts.items():
        yield f'{{{{- define "{chart}.{name}" -}}}}'
        yield from lines
        yield "{{- end }}"


def _tpl(chart: str) -> Iterator[str]:
    """A value as JSON, in whose texts the templates are rendered. Its input is a list: the chart's root, and it."""
    yield "{{- $root := index . 0 -}}"
    yield "{{- $value := index . 1 -}}"
    yield "{{- $parts := list -}}"
    yield '{{- if not (contains "{{" (toJson $value)) -}}'
    yield "{{- toJson $value -}}"
    yield '{{- else if kindIs "string" $value -}}'
    yield "{{- tpl $value $root | toJson -}}"
    yield '{{- else if kindIs "map" $value -}}'
    inner = f'include "{chart}.tpl" (list $root $inner)'
    yield "{{- range $key, $inner := $value }}"
    yield f'{{{{- $parts = append $parts (printf "%s: %s" (tpl $key $root | toJson) ({inner})) }}}}'
    yield "{{- end -}}"
    yield '{{- printf "{%s}" (join ", " $parts) -}}'
    yield "{{- else -}}"
    yield f"{{{{- range $inner := $value }}}}{{{{ $parts = append $parts ({inner}) }}}}{{{{ end -}}}}"
    yield '{{- printf "[%s]" (join ", " $parts) -}}'
    yield "{{- end -}}"


_TEXT = (
    '{{- $text := index . 1 | default "" -}}',
    # Helm takes milliseconds for each template.
    '{{- if contains "{{" $text }}{{ tpl $text (index . 0) }}{{ else }}{{ $text }}{{ end -}}',
)
"""A text in which the templates are rendered. Its input is a list: the chart's root, and the text or null."""


def _fullname(chart: str) -> Iterator[str]:
    yield f'{{{{- $name := include "{chart}.text" (list . .Values.fullnameOverride) -}}}}'
    yield f'{{{{- $name = $name | default (include "{chart}.defaultName" .) -}}}}'
    yield f'{{{{- if not (regexMatch "^[a-z]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?$" $name) -}}}}'
    allowed = f"lower-case letters, digits and '-', beginning with a letter, at most {LONGEST_NAME}"
    yield f'{{{{- fail (printf "fullnameOverride is %q; allowed are {allowed}" $name) -}}}}'
    yield "{{- end -}}"
    yield "{{- $name -}}"


def _default_name(props: SpiceDBProps, chart: str) -> Iterator[str]:
    """The name of the props, or else the alias under which another chart depends on this one. An alias that was
    installed before it became the name keeps what it has."""
    yield f"{{{{- $name := {json.dumps(props.name)} -}}}}"
    yield f"{{{{- if ne .Chart.Name {json.dumps(chart)} -}}}}"
    yield '{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace $name | default dict -}}'
    yield f'{{{{- $label := dig "metadata" "labels" "{HELM_CHART}" "" $found -}}}}'
    yield f'{{{{- $release := dig "metadata" "annotations" "{HELM_RELEASE}" "" $found -}}}}'
    same = '(regexMatch (printf "^%s-[0-9]+[.]" .Chart.Name) $label)'
    yield f"{{{{- if not (and (eq $release .Release.Name) {same}) -}}}}"
    yield '{{- $name = .Chart.Name | lower | replace "_" "-" | trimAll "-" -}}'
    yield '{{- if not (regexMatch "^[a-z]" $name) }}{{ $name = printf "spicedb-%s" $name }}{{ end -}}'
    yield f'{{{{- $name = $name | trunc {LONGEST_NAME} | trimSuffix "-" -}}}}'
    yield "{{- end -}}"
    yield "{{- end -}}"
    yield "{{- $name -}}"


def _pull_secrets(chart: str) -> Iterator[str]:
    yield "{{- $names := list -}}"
    yield "{{- $global := .Values.global | default dict -}}"
    yield "{{- range concat (.Values.imagePullSecrets | default list) ($global.imagePullSecrets | default list) -}}"
    yield '{{- $name := kindIs "map" . | ternary . (dict "name" .) -}}'
    yield f'{{{{- $names = append $names (include "{chart}.text" (list $ $name.name)) -}}}}'
    yield "{{- end -}}"
    # Each name once: Kubernetes merges them by name.
    yield "{{- range $names | uniq }}"
    yield "- name: {{ . | quote }}"
    yield "{{- end -}}"


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
    yield f'{{{{ include "{chart}.render" (list $root .) }}}}'
    yield "{{- end }}"


def _image(props: SpiceDBProps, chart: str) -> Iterator[str]:
    _, tag, digest = image_parts(props.full_image)
    own = ".Chart.AppVersion" if tag == props.version else json.dumps(tag or "")
    tags = {name: f'include "{chart}.text" (list . .Values.image.{name})' for name in ("repository", "tag", "digest")}
    yield f"{{{{- $tag := {tags['tag']} -}}}}"
    yield f"{{{{- $digest := {tags['digest']} -}}}}"
    # The chart's own digest is that of its own tag.
    yield f"{{{{- if not (or $tag $digest) }}}}{{{{ $digest = {json.dumps(digest or '')} }}}}{{{{ end -}}}}"
    yield f"{{{{- $tag = $tag | default {own} -}}}}"
    yield f'{{{{- include "{chart}.withRegistry" (list . ({tags["repository"]})) -}}}}'
    yield "{{ with $tag }}:{{ . }}{{ end }}{{ with $digest }}@{{ . }}{{ end }}"


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


def _version(props: SpiceDBProps, chart: str) -> Iterator[str]:
    """The label of the release, which follows the tag of the image."""
    _, tag, _ = image_parts(props.full_image)
    version, written = json.dumps(props.version), json.dumps(tag or "")
    yield f'{{{{- $tag := include "{chart}.text" (list . .Values.image.tag) -}}}}'
    yield f'{{{{- if or (not $tag) (eq $tag {written}) (hasPrefix (printf "%s-" {version}) $tag) -}}}}'
    yield props.version
    yield "{{- else -}}"
    # A tag can be longer than a label, and can end in another character.
    yield '{{ $tag | trunc 63 | regexFind "^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?" }}'
    yield "{{- end -}}"


_ITEMS = (
    "{{- $key := .key }}{{ $own := .own }}{{ $names := list }}{{ $found := dict -}}",
    "{{- range .lists }}",
    "{{- $path := index . 0 }}{{ $seen := list -}}",
    "{{- range index . 1 }}",
    '{{- $name := include "CHART.text" (list $.root (get . $key)) | trimSuffix "/" -}}',
    "{{- if has $name $own }}",
    '{{- fail (printf "value %s: the chart itself sets %s. Remove it, or choose another %s" $path $name $key) }}',
    "{{- else if has $name $seen }}",
    '{{- fail (printf "value %s: %s is there twice. Remove one, or choose another %s" $path $name $key) }}',
    "{{- end }}",
    "{{- $seen = append $seen $name -}}",
    "{{- if not (hasKey $found $name) }}{{ $names = append $names $name }}{{ end -}}",
    "{{- $_ := set $found $name . -}}",
    "{{- end }}",
    "{{- end }}",
    "{{- $items := list }}{{ range $names }}{{ $items = append $items (get $found .) }}{{ end -}}",
    '{{- with $items }}{{ include "CHART.render" (list $.root .) }}{{ end -}}',
)
"""The items of several lists; later ones take precedence. Kubernetes rejects a list that has the same key twice."""
_TOLERATIONS = (
    "{{- $root := index . 0 }}{{ $own := index . 1 | default list }}{{ $all := $own -}}",
    f"{{{{- range $key := list {' '.join(map(json.dumps, NODE_LOST))} -}}}}",
    "{{- $tolerated := false -}}",
    "{{- range $own -}}",
    '{{- $its := include "CHART.text" (list $root (.key | default $key)) -}}',
    '{{- if and (eq $its $key) (eq "NoExecute" (.effect | default "NoExecute")) }}{{ $tolerated = true }}{{ end -}}',
    "{{- end -}}",
    "{{- if not $tolerated -}}",
    '{{- $lost := dict "key" $key "operator" "Exists" "effect" "NoExecute" '
    f'"tolerationSeconds" {NODE_LOST_SECONDS} -}}}}',
    "{{- $all = append $all $lost -}}",
    "{{- end -}}",
    "{{- end -}}",
    '{{- include "CHART.render" (list $root $all) -}}',
)
"""The tolerations of a value, and those of nodes that do not answer, unless the value has its own."""
_FLUX = '.Capabilities.APIVersions.Has "helm.toolkit.fluxcd.io/v2"'
_HOOK_LOGS = (
    '{{- if kindIs "bool" .Values.hookLogs }}{{ ternary "true" "" .Values.hookLogs }}',
    # A release of the helm program knows its commit. A program that only contains Helm's code does not.
    f"{{{{- else if or .Capabilities.HelmVersion.GitCommit (not ({_FLUX})) }}}}true",
    "{{- end -}}",
)
"""Whether Helm prints the logs of hooks. By default, not if Flux installs the chart: its helm-controller crashes."""


def _spread(chart: str) -> Iterator[str]:
    labels = selector(chart, '"server"', ".")
    yield f'{{{{- $selector := dict "matchLabels" (dict {labels}) -}}}}'
    yield f'{{{{- $defaults := dict "labelSelector" $selector "matchLabelKeys" (list "{POD_TEMPLATE_HASH}") -}}}}'
    yield "{{- range .Values.topologySpreadConstraints }}"
    yield '{{- $spread := ternary . (merge (dict) . $defaults) (hasKey . "labelSelector") }}'
    yield f'- {{{{ include "{chart}.render" (list $ $spread) | nindent 2 | trim }}}}'
    yield "{{ end -}}"


def _checksum(props: SpiceDBProps, values: list[Value], chart: str) -> Iterator[str]:
    """The digest of the settings that differ from the defaults of their props, as `migration_checksum` computes it."""
    paths = [value.path.removeprefix("migrations.") for value in values if value.path.startswith("migrations.")]
    names = [path for path in paths if "." not in path]
    settings = attrs.asdict(MigrationProps(), recurse=False).items()
    known = {camel(name): "" if value is None else plain(value) for name, value in settings}
    # A value without a prop is an empty list.
    defaults = {name: known.get(name, []) for name in names}
    changed = changed_settings(props.migration).items()
    fixed = {name: value for name, value in changed if name not in (*names, "serviceAccount")}
    yield f"{{{{- $settings := fromJson {_go(fixed)} -}}}}"
    uri = props.migration.datastore_uri
    if uri is not None:
        rendered = f'include "{chart}.tpl" (list $ .Values.secrets.{secrets(props)[uri]})'
        yield f'{{{{- $_ := set $settings "datastoreUri" ({rendered} | fromJson) -}}}}'
    yield f"{{{{- $defaults := fromJson {_go(defaults)} -}}}}"
    yield "{{- $migrations := .Values.migrations -}}"
    yield "{{- range $name, $default := $defaults -}}"
    yield f'{{{{- $value := include "{chart}.tpl" (list $ (get $migrations $name)) -}}}}'
    yield "{{- if ne $value (toJson $default) -}}"
    yield '{{- $_ := set $settings $name (get (printf `{"v": %s}` $value | fromJson) "v") -}}'
    yield "{{- end -}}"
    yield "{{- end -}}"
    yield '{{- with $migrations.serviceAccount.name }}{{ $_ := set $settings "serviceAccount" . }}{{ end -}}'
    yield "{{- toRawJson $settings | sha256sum -}}"


def _hash(chart: str, spec: str) -> Iterator[str]:
    """The end of the name of a Job that is no hook, as `Delivery.job_name` computes it."""
    yield f'-{{{{ include "{chart}.{spec}" . | fromYaml | toRawJson | sha256sum | trunc 7 }}}}'


def _if_no_hook(lines: Iterable[str]) -> Iterator[str]:
    """What is only there if the migration is no hook."""
    yield "{{- if not .Values.migrations.hook -}}"
    yield from lines
    yield "{{- end -}}"


def _go(value: Any) -> str:
    """A value as JSON, in a string in an action of a template."""
    return json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
