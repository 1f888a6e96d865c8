"""The templates of a chart: the manifests, with expressions where values can be set."""

from __future__ import annotations

import re
import textwrap
from copy import deepcopy
from typing import Any, TypeVar

import attrs

from ..files.folder import MARK
from ..files.yaml import dump
from ..labels import CHECKSUM, COMPONENT, HELM_HOOK_LOGS, VERSION, Component, selector_labels
from ..manifests import Manifest, objects_of
from ..manifests.objects import Objects, require_matches
from ..manifests.pods import METRICS
from ..props import MigrationProps, ServerProps, SpiceDBProps
from ..props.patch import Patch
from .arguments import arguments
from .helpers import helpers
from .places import CLOSE, OPEN, SETTING, merge
from .values import ACCOUNT, FULLNAME, IDENTITY, Value, config_maps, has_default_identity, secrets

Part = TypeVar("Part", ServerProps, MigrationProps)


def _whole_manifests(props: SpiceDBProps, values: list[Value]) -> dict[Component, list[Manifest]]:
    """The manifests of each component, with every place of a value."""
    needed = [place.prop.split(".") for value in values for place in value.places if place.prop]

    def with_settings(part: Part, component: Component) -> Part:
        return attrs.evolve(part, **{name: SETTING for owner, name in needed if owner == component.value})

    whole = attrs.evolve(
        props,
        name=FULLNAME,
        hook_logs=True,
        rbac_create=True,
        server=with_settings(_server(props), Component.SERVER),
        migration=with_settings(attrs.evolve(props.migration, enabled=True), Component.MIGRATION),
        cleanup=attrs.evolve(props.cleanup, enabled=None),
        service_account_annotations={IDENTITY: ""},
        patches=[_patch(patch, props.name) for patch in props.patches],
    )
    account = Objects(whole, Component.SERVER).service_account(whole.service_account_annotations)
    manifests, found = [account, *objects_of(whole)], dict[Component, list[Manifest]]()
    names = [(each["kind"], each["metadata"]["name"].replace(FULLNAME, props.name)) for each in manifests]
    require_matches(props, [{"kind": kind, "metadata": {"name": name}} for kind, name in names])
    for manifest in manifests:
        found.setdefault(Component(manifest["metadata"]["labels"][COMPONENT]), []).append(manifest)
    return found


def _server(props: SpiceDBProps) -> ServerProps:
    budget = props.server.disruption_budget or 1
    server = attrs.evolve(props.server, service_account=ACCOUNT, disruption_budget=budget, headless_service=True)
    if props.datastore.max_replicas == 1:
        return server
    if server.autoscaling is None:
        return attrs.evolve(server, replicas=2)
    return attrs.evolve(server, autoscaling=attrs.evolve(server.autoscaling, min_replicas=2, max_replicas=3))


def _patch(patch: Patch, name: str) -> Patch:
    """A patch for the object whose name begins with the one that stands for an expression."""
    if patch.name is None or not (patch.name == name or patch.name.startswith(f"{name}-")):
        return patch
    return attrs.evolve(patch, name=f"{FULLNAME}{patch.name.removeprefix(name)}")


_CONDITIONS = {
    Component.MIGRATION: ".Values.migrations.enabled",
    Component.CLEANUP: "and .Values.migrations.enabled .Values.migrations.cleanup.enabled",
}


def templates(props: SpiceDBProps, chart: str, values: list[Value]) -> dict[str, str]:
    """The files of ``templates/`` that make objects, by their names."""
    files = {"_helpers.tpl": "".join(f"{line}\n" for line in helpers(props, values, chart))}
    for component, manifests in _whole_manifests(props, values).items():
        body = "---\n".join(_Template(props, values, chart, component).text(manifest) for manifest in manifests)
        condition = _CONDITIONS.get(component)
        files[f"{component.value}.yaml"] = f"# {MARK}\n{_when(condition, body)}"
    return {**files, "arguments.yaml": arguments(props, values), "extra.yaml": _EXTRA}


def _when(condition: str | None, text: str) -> str:
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text


_EXTRA = f"""\
{{{{- /* {MARK} */ -}}}}
{{{{- range .Values.extraObjects }}}}
---
{{{{ tpl (toYaml .) $ }}}}
{{{{- end }}}}
"""


class _Template:
    """One object as a template: it has marks, which become expressions once the rest is YAML."""

    def __init__(self, props: SpiceDBProps, values: list[Value], chart: str, component: Component) -> None:
        self._props, self._values, self._chart, self._component = props, values, chart, component
        self._keys: dict[tuple[str, str, str], str] = {
            **{("secret", str(key.name), key.key): f"secrets.{name}" for key, name in secrets(props).items()},
            **{
                ("configMap", key.config_map, key.key): f"configMaps.{name}" for key, name in config_maps(props).items()
            },
        }
        self._expressions = list[str]()

    def text(self, manifest: Manifest) -> str:
        manifest = deepcopy(manifest)
        condition = self._condition(manifest)
        manifest["metadata"]["labels"] = self._labels(manifest["metadata"]["labels"])
        self._logs(manifest["metadata"].get("annotations", {}))
        if "template" in manifest.get("spec", {}):
            self._program(manifest["spec"]["template"])
        for value in self._values:
            for place in value.places:
                if self._component in place.components:
                    place.put(manifest, f".Values.{value.path}", self._mark)
        merge(manifest, self._mark)
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] == FULLNAME:
            self._metrics(manifest["spec"]["ports"])
        if "template" in manifest.get("spec", {}):
            self._secret_keys(manifest["spec"]["template"])
        # Braces in the manifest are the user's own text.
        text = dump(manifest).replace("{{", '{{ "{{" }}')
        text = self._names("".join(self._line(line) for line in text.splitlines(keepends=True)))
        return _when(condition, text)

    def _condition(self, manifest: Manifest) -> str | None:
        """The condition under which the object is part of the release, apart from its component's."""
        kind, server = manifest["kind"], self._component is Component.SERVER
        if kind == "PodDisruptionBudget":
            count = "autoscaling.minReplicas" if self._props.server.autoscaling else "replicas"
            return f"and .Values.podDisruptionBudget.enabled (gt (int .Values.{count}) 1)"
        if kind in ("Role", "RoleBinding"):
            return ".Values.rbac.create"
        if manifest["metadata"]["name"] == f"{FULLNAME}-headless":
            return ".Values.service.headless"
        if kind == "ServiceAccount" and server:
            return "not .Values.serviceAccount.name"
        if kind == "ServiceAccount" and IDENTITY in manifest["metadata"].get("annotations", {}):
            return ".Values.serviceAccount.annotations"
        return None

    def _metrics(self, ports: list[Any]) -> None:
        """Leaves the metrics out of a Service that others than the cluster reach, unless that is asked for."""
        for number, port in enumerate(ports):
            if port["name"] == METRICS:
                condition = 'or (eq .Values.service.type "ClusterIP") .Values.service.exposeMetrics'
                ports[number] = self._mark(f"{{{{- if {condition} }}}}\n{dump([port])}{{{{- end }}}}")

    def _include(self, name: str, more: str = "") -> str:
        return f'include "{self._chart}.{name}" .{more}'

    def _names(self, text: str) -> str:
        """A text with the expressions of the names that values can change."""
        # Grafana takes at most 40 characters as the identity of a dashboard.
        short = f'{{{{ printf "spicedb-%s" ({self._include("fullname")}) | trunc 40 }}}}'
        text = text.replace(f"spicedb-{FULLNAME}", short)
        for name, helper in ((FULLNAME, "fullname"), (ACCOUNT, "serviceAccountName")):
            # A name alone may be a word of YAML, such as `on`. A longer text that contains it is none.
            alone = rf"^( *(?:- |[^\s:]+: )+){name}$"
            text = re.sub(alone, rf"\1{{{{ {self._include(helper)} | quote }}}}", text, flags=re.MULTILINE)
            text = text.replace(name, f"{{{{ {self._include(helper)} }}}}")
        return text

    def _mark(self, expression: str) -> str:
        self._expressions.append(expression)
        return f"{OPEN}{len(self._expressions) - 1}{CLOSE}"

    def _line(self, line: str) -> str:
        """A line with its marks replaced. A mark on a line of its own becomes a block with its indent."""
        if OPEN not in line:
            return line
        indent = len(line) - len(line.lstrip())
        alone = re.fullmatch(rf"\s*(?:- )?{OPEN}(\d+){CLOSE}(?:: null)?\n", line)
        if alone:
            block = textwrap.dedent(self._expressions[int(alone[1])]).replace("INDENT", str(indent))
            return textwrap.indent(block, " " * indent) + "\n"
        return re.sub(rf"{OPEN}(\d+){CLOSE}", lambda found: f"{{{{ {self._expressions[int(found[1])]} }}}}", line)

    def _labels(self, labels: dict[str, str]) -> dict[str, Any]:
        """The labels of every object of the chart, and those that only this one has."""
        common = {*selector_labels(FULLNAME, self._component), *self._props.labels}
        include = f'{{{{- include "{self._chart}.labels" (list . "{self._component.value}") | nindent INDENT }}}}'
        return {self._mark(include): None, **{name: text for name, text in labels.items() if name not in common}}

    def _logs(self, annotations: dict[str, Any]) -> None:
        """The annotation by which Helm prints the log of a hook, if Helm installs the chart."""
        if HELM_HOOK_LOGS in annotations:
            line = f"{HELM_HOOK_LOGS}: {annotations.pop(HELM_HOOK_LOGS)}"
            annotations[self._mark(f"{{{{- if {self._include('hookLogs')} }}}}\n{line}\n{{{{- end }}}}")] = None

    def _program(self, template: Manifest) -> None:
        """What several values determine together."""
        if CHECKSUM in template["metadata"].get("annotations", {}):
            template["metadata"]["annotations"][CHECKSUM] = self._mark(self._include("migrationChecksum", " | quote"))
        template["metadata"]["labels"][VERSION] = self._mark(self._include("version", " | quote"))
        spec = template["spec"]
        for container in spec["containers"]:
            container["image"] = self._mark(self._image(container["image"]))
            if self._component is Component.MIGRATION:
                container["command"] = [*container["command"][:2], self._mark(_TARGET)]
        if self._component is Component.MIGRATION and has_default_identity(self._props):
            account = f"serviceAccountName: {spec.pop('serviceAccountName')}"
            spec[self._mark(f"{{{{- if .Values.serviceAccount.annotations }}}}\n{account}\n{{{{- end }}}}")] = None
        if "topologySpreadConstraints" in spec:
            del spec["topologySpreadConstraints"]
            count = "autoscaling.maxReplicas" if self._props.server.autoscaling else "replicas"
            spread = (
                f"{{{{- if and .Values.topologySpreadConstraints (gt (int .Values.{count}) 1) }}}}\n"
                "topologySpreadConstraints:\n"
                f"  {{{{- {self._include('topologySpreadConstraints')} | nindent INDENT }}}}\n"
                "{{- end }}"
            )
            spec[self._mark(spread)] = None

    def _image(self, image: str) -> str:
        if self._component in (Component.SERVER, Component.MIGRATION):
            return self._include("image", " | quote")
        reference = ".Values.migrations.cleanup.image" if self._component is Component.CLEANUP else f'"{image}"'
        return f'include "{self._chart}.withRegistry" (list . {reference}) | quote'

    def _secret_keys(self, node: Any) -> None:
        """Puts values in the places of all keys of Secrets and ConfigMaps."""
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self._secret_keys(inner)
        if isinstance(node, dict) and "secretKeyRef" in node:
            node["secretKeyRef"] = self._reference("secret", **node["secretKeyRef"])
        for source in node.get("sources", ()) if isinstance(node, dict) else ():
            for kind in source:
                name, (item,) = source[kind]["name"], source[kind]["items"]
                reference = self._reference(kind, name, item["key"])
                source[kind] = {"name": reference["name"], "items": [{**item, "key": reference["key"]}]}

    def _reference(self, kind: str, name: str, key: str) -> Manifest:
        value = f".Values.{self._keys[kind, name, key]}"
        return {"name": self._mark(f"{value}.name | quote"), "key": self._mark(f"{value}.key | quote")}


_TARGET = """\
{{- if or .Values.migrations.targetMigration (not .Values.migrations.targetPhase) }}
- {{ .Values.migrations.targetMigration | default "head" | quote }}
{{- end }}
{{- with .Values.migrations.targetPhase }}
- --phase={{ . }}
{{- end }}"""
