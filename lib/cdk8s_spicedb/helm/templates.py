"""The templates of a chart: the manifests, with expressions where values can be set."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import attrs

from ..files.folder import MARK
from ..files.yaml import dump
from ..labels import CHECKSUM, COMPONENT, Component
from ..manifests import Manifest, release_manifests
from ..manifests.checksum import migration_checksum
from ..props import SecretKey, SpiceDBProps
from .places import CLOSE, OPEN
from .values import Value, chart_values, nested, secrets

_CONDITIONS = {
    Component.MIGRATION: ".Values.migrations.enabled",
    Component.CLEANUP: "and .Values.migrations.enabled .Values.migrations.cleanup.enabled",
}


def templates(props: SpiceDBProps, chart: str) -> dict[str, str]:
    """The files of ``templates/`` that make objects, by their names."""
    whole = attrs.evolve(
        props,
        migration=attrs.evolve(props.migration, enabled=True),
        cleanup=attrs.evolve(props.cleanup, enabled=None),
    )
    values, keys, texts = chart_values(props), secrets(props), dict[Component, list[str]]()
    for manifest in release_manifests(whole if props.datastore.migrates else props):
        component = Component(manifest["metadata"]["labels"][COMPONENT])
        texts.setdefault(component, []).append(_Template(values, keys, chart, component).text(manifest))
    return {
        "_helpers.tpl": "".join(f"{line}\n" for line in _helpers(props, values, chart)),
        **{f"{component.value}.yaml": _file(component, each) for component, each in texts.items()},
    }


def _file(component: Component, texts: list[str]) -> str:
    condition, body = _CONDITIONS.get(component), "---\n".join(texts)
    return f"# {MARK}\n" + (f"{{{{- if {condition} }}}}\n{body}{{{{- end }}}}\n" if condition else body)


class _Template:
    """One object as a template: it has marks, which become expressions once the rest is YAML."""

    def __init__(self, values: list[Value], keys: Mapping[SecretKey, str], chart: str, component: Component) -> None:
        self._values, self._keys, self._chart, self._component = values, keys, chart, component
        self._expressions: list[str] = []

    def text(self, manifest: Manifest) -> str:
        manifest = deepcopy(manifest)
        if "template" in manifest.get("spec", {}) and self._component in _PROGRAMS:
            self._program(manifest["spec"]["template"])
        for value in self._values:
            for place in value.places:
                if place.component is self._component:
                    place.put(manifest, f".Values.{value.path}", self._mark)
        if "template" in manifest.get("spec", {}):
            self._secret_keys(manifest["spec"]["template"])
        # Braces in the manifest are the user's own text.
        text = dump(manifest).replace("{{", '{{ "{{" }}')
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def _mark(self, expression: str) -> str:
        self._expressions.append(expression)
        return f"{OPEN}{len(self._expressions) - 1}{CLOSE}"

    def _line(self, line: str) -> str:
        """A line with its marks replaced. A mark on a line of its own becomes a block with its indent."""
        indent = len(line) - len(line.lstrip())
        alone = re.fullmatch(rf"\s*(?:- )?{OPEN}(\d+){CLOSE}(?:: null)?\n", line)
        if alone:
            block = textwrap.dedent(self._expressions[int(alone[1])]).replace("INDENT", str(indent))
            return textwrap.indent(block, " " * indent) + "\n"

        def inline(match: re.Match[str]) -> str:
            return f"{{{{ {self._expressions[int(match[1])]} }}}}"

        return re.sub(rf"{OPEN}(\d+){CLOSE}", inline, line).replace("{{ - ", "{{- ")

    def _program(self, template: Manifest) -> None:
        """What several values determine together: image, checksum and the migration's target."""
        if CHECKSUM in template["metadata"].get("annotations", {}):
            template["metadata"]["annotations"][CHECKSUM] = self._mark(f'include "{self._chart}.migrationChecksum" .')
        for container in template["spec"]["containers"]:
            container["image"] = self._mark(f'include "{self._chart}.image" . | quote')
            if self._component is Component.MIGRATION:
                container["command"] = [*container["command"][:2], self._mark(_TARGET)]

    def _secret_keys(self, node: Any) -> None:
        """Puts values in the places of all Secret keys."""
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self._secret_keys(inner)
        if isinstance(node, dict) and "secretKeyRef" in node:
            node["secretKeyRef"] = self._reference(**node["secretKeyRef"])
        if isinstance(node, dict) and isinstance(node.get("secret"), dict):
            source = node["secret"]
            (item,) = source["items"]
            reference = self._reference(source["name"], item["key"])
            node["secret"] = {"name": reference["name"], "items": [{**item, "key": reference["key"]}]}

    def _reference(self, name: str, key: str) -> Manifest:
        value = f".Values.secrets.{self._keys[SecretKey(name, key)]}"
        return {"name": self._mark(f"{value}.name | quote"), "key": self._mark(f"{value}.key | quote")}


_PROGRAMS = (Component.SERVER, Component.MIGRATION)
"""The components that run SpiceDB's image."""
_TARGET = """\
{{- if or .Values.migrations.targetMigration (not .Values.migrations.targetPhase) }}
- {{ .Values.migrations.targetMigration | default "head" | quote }}
{{- end }}
{{- with .Values.migrations.targetPhase }}
- --phase={{ . }}
{{- end }}"""


def _helpers(props: SpiceDBProps, values: list[Value], chart: str) -> Iterator[str]:
    yield f"{{{{- /* {MARK} */}}}}"
    yield f'{{{{- define "{chart}.image" -}}}}'
    yield "{{- $image := .Values.image -}}"
    yield "{{- $tag := $image.tag -}}"
    yield "{{- if not (or $tag $image.digest) }}{{ $tag = .Chart.AppVersion }}{{ end -}}"
    yield "{{ $image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with $image.digest }}@{{ . }}{{ end }}"
    yield "{{- end }}"
    if not props.datastore.migrates:
        return
    # The checksum of the props, until a value changes; then the values are part of it.
    defaults = {**nested(values, "migrations."), "uri": _migration_secret(props)}
    del defaults["cleanup"]
    checksum = migration_checksum(props.migration)
    yield f'{{{{- define "{chart}.migrationChecksum" -}}}}'
    yield '{{- $uri := dig "migrationDatastoreUri" (dict) .Values.secrets -}}'
    yield '{{- $migrations := set (omit .Values.migrations "cleanup") "uri" $uri | toJson -}}'
    yield f"{{{{- $written := toJson (fromJson {_go(json.dumps(defaults, ensure_ascii=False))}) -}}}}"
    yield "{{- if eq $migrations $written -}}"
    yield checksum
    yield "{{- else -}}"
    yield f'{{{{ printf "{checksum} %s" $migrations | sha256sum }}}}'
    yield "{{- end -}}"
    yield "{{- end }}"


def _migration_secret(props: SpiceDBProps) -> dict[str, str]:
    key = props.migration.datastore_uri
    named = key is not None and secrets(props)[key] == "migrationDatastoreUri"
    return {"name": key.name, "key": key.key} if key is not None and named else {}


def _go(text: str) -> str:
    """A string in an action of a template."""
    return json.dumps(text, ensure_ascii=False)
