"""The templates of a chart: the manifests, with expressions in the places of what values can set."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import attrs

from ..checksum import migration_checksum
from ..dump import dump
from ..folder import MARK
from ..labels import CHECKSUM, COMPONENT
from ..manifests import Manifest, release_manifests
from ..props import SpiceDBProps
from ..secret import SecretKey
from .values import chart_values, nested, secrets

_OPEN, _CLOSE = "\ue000", "\ue001"
_VALUES = {"server": ".Values.", "migration": ".Values.migrations.", "cleanup": ".Values.migrations.cleanup."}
"""By component whose pods have values, where they are."""
_CONDITIONS = {
    "migration": ".Values.migrations.enabled",
    "cleanup": "and .Values.migrations.enabled .Values.migrations.cleanup.enabled",
}
_POD_FIELDS = ("nodeSelector", "tolerations", "affinity", "priorityClassName")


def templates(props: SpiceDBProps, chart: str) -> dict[str, str]:
    """The files of ``templates/`` that make objects, by their names."""
    whole = attrs.evolve(
        props,
        migration=attrs.evolve(props.migration, enabled=True),
        cleanup=attrs.evolve(props.cleanup, enabled=None),
    )
    texts: dict[str, list[str]] = {}
    for manifest in release_manifests(whole if props.datastore.migrates else props):
        component = manifest["metadata"]["labels"][COMPONENT]
        texts.setdefault(component, []).append(_Template(props, chart, component).text(manifest))
    return {
        "_helpers.tpl": _helpers(props, chart),
        **{f"{name}.yaml": _file(name, each) for name, each in texts.items()},
    }


def _file(component: str, texts: list[str]) -> str:
    condition, body = _CONDITIONS.get(component), "---\n".join(texts)
    return f"# {MARK}\n" + (f"{{{{- if {condition} }}}}\n{body}{{{{- end }}}}\n" if condition else body)


class _Template:
    """One object as a template: marks in the places of expressions, which become them once the rest is YAML."""

    def __init__(self, props: SpiceDBProps, chart: str, component: str) -> None:
        self._chart, self._component, self._values = chart, component, _VALUES.get(component)
        self._secrets = secrets(props)
        self._expressions: list[str] = []

    def text(self, manifest: Manifest) -> str:
        manifest = deepcopy(manifest)
        if "template" in manifest.get("spec", {}):
            self._workload(manifest["spec"])
            self._secret_keys(manifest["spec"]["template"])
        if manifest["kind"] == "HorizontalPodAutoscaler":
            for name in ("minReplicas", "maxReplicas"):
                manifest["spec"][name] = self._mark(f".Values.autoscaling.{name}")
        # What looks like a template is the user's own text.
        text = dump(manifest).replace("{{", '{{ "{{" }}')
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def _mark(self, expression: str) -> str:
        self._expressions.append(expression)
        return f"{_OPEN}{len(self._expressions) - 1}{_CLOSE}"

    def _line(self, line: str) -> str:
        """A line in which a mark is alone becomes a block at its indent."""
        indent = len(line) - len(line.lstrip())
        alone = re.fullmatch(rf"\s*(?:- )?{_OPEN}(\d+){_CLOSE}(?:: null)?\n", line)
        if alone:
            block = textwrap.dedent(self._expressions[int(alone[1])]).replace("INDENT", str(indent))
            return textwrap.indent(block, " " * indent) + "\n"

        def inline(match: re.Match[str]) -> str:
            return f"{{{{ {self._expressions[int(match[1])]} }}}}"

        return re.sub(rf"{_OPEN}(\d+){_CLOSE}", inline, line).replace("{{ - ", "{{- ")

    def _workload(self, spec: Manifest) -> None:
        if self._values is None:
            return
        for name in ("replicas", "backoffLimit", "activeDeadlineSeconds"):
            if name in spec and self._component != "cleanup":
                spec[name] = self._mark(f"{self._values}{name}")
        template = spec["template"]
        self._annotations(template["metadata"])
        pod = template["spec"]
        if self._component == "migration":
            pod["restartPolicy"] = self._mark(".Values.migrations.restartPolicy")
        for name in _POD_FIELDS:
            pod.pop(name, None)
            pod[self._block(f"{self._values}{name}", name)] = None
        pod.pop("imagePullSecrets", None)
        pod[self._block(".Values.imagePullSecrets", "imagePullSecrets")] = None
        for container in pod["containers"]:
            self._container(container)

    def _block(self, value: str, field: str) -> str:
        return self._mark(
            f'{{{{- with {value} }}}}\n{{{{- dict "{field}" . | toYaml | nindent INDENT }}}}\n{{{{- end }}}}'
        )

    def _annotations(self, metadata: Manifest) -> None:
        own = metadata.pop("annotations", {})
        fixed = {}
        if CHECKSUM in own:
            fixed[CHECKSUM] = self._mark(f'include "{self._chart}.migrationChecksum" .')
        value = f"{self._values}podAnnotations"
        if fixed:
            merge = f"{{{{- with {value} }}}}\n{{{{- toYaml . | nindent INDENT }}}}\n{{{{- end }}}}"
            metadata["annotations"] = {**fixed, self._mark(merge): None}
        else:
            metadata[self._block(value, "annotations")] = None

    def _container(self, container: Manifest) -> None:
        if self._component == "cleanup":
            container["image"] = self._mark(".Values.migrations.cleanup.image | quote")
        else:
            container["image"] = self._mark(f'include "{self._chart}.image" . | quote')
        container.pop("imagePullPolicy", None)
        container[self._block(".Values.image.pullPolicy", "imagePullPolicy")] = None
        container["resources"] = self._mark(f"- toYaml {self._values}resources | nindent 12")
        level = {"server": ".Values.logLevel", "migration": ".Values.migrations.logLevel | default .Values.logLevel"}
        container["args"] = [
            f"--log-level={self._mark(level[self._component])}" if argument.startswith("--log-level=") else argument
            for argument in container.get("args", [])
        ]
        if not container["args"]:
            del container["args"]
        if self._component == "migration":
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
        value = f".Values.secrets.{self._secrets[SecretKey(name, key)]}"
        return {"name": self._mark(f"{value}.name | quote"), "key": self._mark(f"{value}.key | quote")}


_TARGET = """\
{{- if or .Values.migrations.targetMigration (not .Values.migrations.targetPhase) }}
- {{ .Values.migrations.targetMigration | default "head" | quote }}
{{- end }}
{{- with .Values.migrations.targetPhase }}
- --phase={{ . }}
{{- end }}"""


def _helpers(props: SpiceDBProps, chart: str) -> str:
    return "".join(f"{text}\n" for text in _definitions(props, chart))


def _definitions(props: SpiceDBProps, chart: str) -> Iterator[str]:
    yield f"{{{{- /* {MARK} */}}}}"
    yield f'{{{{- define "{chart}.image" -}}}}'
    yield "{{- $image := .Values.image -}}"
    yield "{{- $tag := $image.tag -}}"
    yield "{{- if not (or $tag $image.digest) }}{{ $tag = .Chart.AppVersion }}{{ end -}}"
    yield "{{ $image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with $image.digest }}@{{ . }}{{ end }}"
    yield "{{- end }}"
    if not props.datastore.migrates:
        return
    # Until a value is changed it is the checksum of the props; then it follows the values.
    values = chart_values(props)
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
