"""Placement of the Jobs in a chart: an anti-affinity that a value gives the servers must leave nodes for the Jobs."""

from __future__ import annotations

import json

from ..labels import COMPONENT, VERSION, Component, selector_labels
from ..props.rules.pods import REQUIRED
from .value import FULLNAME, PATHS


def selector(chart: str, component: str, root: str) -> str:
    """The arguments of ``dict`` for the labels that select a component's pods. All parameters are expressions."""
    texts = {FULLNAME: f'(include "{chart}.fullname" {root})', Component.SERVER.value: component}
    own = selector_labels(FULLNAME, Component.SERVER).items()
    return " ".join(f'"{name}" {texts.get(text, json.dumps(text))}' for name, text in own)


def _labels(chart: str, component: str, values: str) -> str:
    """The expression of the labels of a component's pods."""
    pairs = selector(chart, component, "$root")
    version = f'"{VERSION}" (include "{chart}.version" $root)'
    shared = "($root.Values.pods.podLabels | default dict)"
    return f"mergeOverwrite (dict {pairs} {version}) {shared} ({values}.podLabels | default dict)"


def placement(chart: str) -> dict[str, list[str]]:
    """The helpers that stop Helm if a Job could find no node."""
    servers, jobs = _labels(chart, '"server"', "$root.Values"), _labels(chart, "$component", "$values")
    shared = "$root.Values.pods.affinity | default dict"
    return {
        # Takes the root, the component of a Job, and the Job's values.
        "findsANode": [
            "{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $values := index . 2 -}}",
            f'{{{{- $job := dict "labels" ({jobs}) "affinity" ($values.affinity | default {shared}) -}}}}',
            f'{{{{- $server := dict "labels" ({servers}) "affinity" ($root.Values.affinity | default {shared}) -}}}}',
            f'{{{{- include "{chart}.keptApart" (list $server.affinity $job.labels $component) -}}}}',
            f'{{{{- include "{chart}.keptApart" (list $job.affinity $server.labels $component) -}}}}',
        ],
        # Takes an affinity, the labels of other pods, and the component of the Job.
        "keptApart": [
            "{{- $labels := index . 1 }}{{ $component := index . 2 -}}",
            f'{{{{- range (get ((index . 0).podAntiAffinity | default dict) "{REQUIRED}" | default list) }}}}',
            '{{- if kindIs "map" . -}}',
            '{{- $matches := and (kindIs "map" .labelSelector) (not .namespaces) -}}',
            "{{- $selector := .labelSelector | default dict -}}",
            "{{- range $key, $text := $selector.matchLabels -}}",
            "{{- if ne (get $labels $key) $text }}{{ $matches = false }}{{ end -}}",
            "{{- end -}}",
            "{{- range $selector.matchExpressions -}}",
            "{{- $has := hasKey $labels .key -}}",
            "{{- $in := and $has (has (get $labels .key) (.values | default list)) -}}",
            '{{- $fits := dict "In" $in "NotIn" (not $in) "Exists" $has "DoesNotExist" (not $has) -}}',
            "{{- if not (get $fits .operator) }}{{ $matches = false }}{{ end -}}",
            "{{- end -}}",
            "{{- if $matches }}",
            '{{- $text := "affinity: a required podAntiAffinity keeps servers and the Job %s off the same node. With a '
            f'server on each node, the Job could start nowhere. Add {COMPONENT}: server to its labelSelector" -}}}}',
            "{{- fail (printf $text $component) }}",
            "{{- end }}",
            "{{- end }}",
            "{{- end }}",
        ],
    }


def require_a_node(chart: str, component: Component) -> str:
    """The line of a Job's template that stops Helm if the Job could find no node."""
    if component is Component.SERVER:
        return ""
    values = f".Values.{PATHS[component.value]}".rstrip(".")
    return f'{{{{- include "{chart}.findsANode" (list . "{component.value}" {values}) }}}}\n'
