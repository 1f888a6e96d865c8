"""The templates of a chart: the manifests, with expressions where values can be set."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from ..delivery import DEFAULT_PROGRESS_DEADLINE_SECONDS
from ..files.folder import MARK
from ..files.yaml import dump
from ..labels import (
    CHECKSUM,
    HELM_HOOK,
    HELM_HOOK_LOGS,
    SCHEMA_CHECKSUM,
    VERSION,
    Component,
    selector_labels,
)
from ..manifests import Manifest
from ..manifests.backup import STEPS
from ..manifests.jobs import SCHEMA_FILE
from ..manifests.network import DNS, OPENSHIFT_DNS
from ..manifests.objects import spec_with_pods
from ..manifests.pods import METRICS, USER
from ..props import SpiceDBProps
from ..props.jobs import RETRIES
from .accounts import ACCOUNT, CLEANUP_ACCOUNT, annotations_have_an_account, own_account
from .arguments import arguments
from .helpers import helpers
from .placement import require_a_node
from .places import CLOSE, MERGED, OPEN, ZED, merge
from .value import FULLNAME, PATHS, Value, config_maps, secrets
from .whole import whole_manifests

_HOOK = ".Values.migrations.hook"
_CONDITIONS = {
    Component.MIGRATION: ".Values.migrations.enabled",
    Component.CLEANUP: f"and .Values.migrations.enabled {_HOOK} .Values.migrations.cleanup.enabled",
}


def templates(props: SpiceDBProps, chart: str, values: list[Value]) -> dict[str, str]:
    """The files of ``templates/`` that make objects, by their names."""
    files = {"_helpers.tpl": "".join(f"{line}\n" for line in helpers(props, values, chart))}
    for component, manifests in whole_manifests(props, values).items():
        made = [_Template(props, values, chart, component) for _ in manifests]
        body = "---\n".join(each.text(manifest) for each, manifest in zip(made, manifests, strict=True))
        checks = (
            arguments(props, values, chart, component),
            annotations_have_an_account(chart, component),
            require_a_node(chart, component),
        )
        body = "".join((*checks, body))
        definitions = "".join(each.helper for each in made)
        files[f"{component.value}.yaml"] = f"# {MARK}\n{definitions}{_when(_CONDITIONS.get(component), body)}"
    return {**files, "extra.yaml": _EXTRA}


def _when(condition: str | None, text: str) -> str:
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text


_EXTRA = f"""\
{{{{- /* {MARK} */ -}}}}
{{{{- range .Values.extraObjects }}}}
---
{{{{ tpl (kindIs "string" . | ternary . (toYaml .)) $ }}}}
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
        self.helper = ""
        """The definition of what the object includes."""

    def text(self, manifest: Manifest) -> str:
        manifest = deepcopy(manifest)
        condition = self._condition(manifest)
        manifest["metadata"]["labels"] = self._labels(manifest["metadata"]["labels"])
        self._hook(manifest["metadata"].get("annotations", {}))
        of_pods = spec_with_pods(manifest)
        if "template" in of_pods:
            self._limits(of_pods)
            self._program(of_pods["template"])
        for value in self._values:
            for place in value.places:
                if self._component in place.components:
                    place.put(manifest, f".Values.{value.path}", self._mark)
        merge(manifest, self._mark)
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] == FULLNAME:
            self._metrics(manifest["spec"]["ports"])
        if manifest["kind"] == "NetworkPolicy":
            self._dns(manifest["spec"].get("egress", ()))
        if "template" in of_pods:
            self._secret_keys(of_pods["template"])
        # Braces in the manifest are the user's own text.
        text = dump(manifest).replace("{{", '{{ "{{" }}')
        text = self._names("".join(self._line(line) for line in text.splitlines(keepends=True)))
        if self._component is Component.MIGRATION:
            text = self._with_the_release(manifest["kind"], text)
        if self._component is Component.BACKUP and manifest["kind"] == "Job":
            text = self._named_by_its_spec(text, "volume")
        return _when(condition, text)

    def _with_the_release(self, kind: str, text: str) -> str:
        """An object of the migration, which may be no hook. A Job then has a name that changes with its spec."""
        if kind == "ServiceAccount":
            return text
        when = f"or {_HOOK} .Values.commonAnnotations"
        text = re.sub(r"^  annotations:\n(?:    .*\n)+", lambda found: _when(when, found[0]), text, flags=re.MULTILINE)
        return self._named_by_its_spec(text, "migration") if kind == "Job" else text

    def _named_by_its_spec(self, text: str, helper: str) -> str:
        """A Job whose name ends in a hash of its spec. The names of the helpers for both begin with ``helper``."""
        job, _, spec = text.partition("\nspec:\n")
        end = f"{{{{ {self._include(f'{helper}Hash')} }}}}"
        job = re.sub(r"^  name: (.*?)(-[0-9a-f]{7})?$", rf"  name: \1{end}", job, flags=re.MULTILINE)
        self.helper = f'{{{{- define "{self._chart}.{helper}Spec" }}}}\n{spec}{{{{- end }}}}\n'
        return f"{job}\nspec: {{{{- {self._include(f'{helper}Spec')} }}}}\n"

    def _condition(self, manifest: Manifest) -> str | None:
        """The condition under which the object is part of the release, apart from its component's."""
        kind = manifest["kind"]
        if kind == "PodDisruptionBudget":
            count = "autoscaling.minReplicas" if self._props.server.autoscaling else "replicas"
            return f"and .Values.podDisruptionBudget.enabled (gt (int .Values.{count}) 1)"
        if kind == "ServiceAccount":
            return own_account(self._props, self._chart, self._component)
        if kind in ("Role", "RoleBinding"):
            return ".Values.rbac.create"
        if manifest["metadata"]["name"] == f"{FULLNAME}-headless":
            return ".Values.service.headless"
        if kind == "ConfigMap" and self._component is Component.SCHEMA:
            return f"not ({self._text('schema.configMap')})"
        if self._component is Component.BACKUP and kind in ("Job", "PersistentVolumeClaim"):
            return f"not ({self._text('backup.claim')})"
        if kind == "HorizontalPodAutoscaler":
            return "not .Values.autoscaling.external"
        return None

    def _metrics(self, ports: list[Any]) -> None:
        """Leaves the metrics out of a Service that others than the cluster reach, unless that is asked for."""
        for number, port in enumerate(ports):
            if port.get("name") == METRICS:
                condition = 'or (eq .Values.service.type "ClusterIP") .Values.service.exposeMetrics'
                ports[number] = self._mark(f"{{{{- if {condition} }}}}\n{dump([port])}{{{{- end }}}}")

    def _dns(self, rules: Iterable[Manifest]) -> None:
        """Lets pods ask the DNS servers of OpenShift too."""
        for rule in rules:
            ports = rule.get("ports") or []
            if ports[: len(DNS)] == DNS:
                ports.insert(len(DNS), self._mark(_when(".Values.openshift", dump(OPENSHIFT_DNS)).rstrip()))

    def _include(self, name: str, more: str = "") -> str:
        return f'include "{self._chart}.{name}" .{more}'

    def _names(self, text: str) -> str:
        """A text with the expressions of the names that values can change."""
        # Grafana takes at most 40 characters as the identity of a dashboard.
        short = f'{{{{ printf "spicedb-%s" ({self._include("fullname")}) | trunc 40 }}}}'
        text = text.replace(f"spicedb-{FULLNAME}", short)
        for name, helper in _NAMES.items():
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
            block = textwrap.dedent(self._expressions[int(alone[1])])
            block = block.replace("INDENT", str(indent)).replace("CHART", self._chart)
            return textwrap.indent(block, " " * indent) + "\n"
        return re.sub(rf"{OPEN}(\d+){CLOSE}", lambda found: f"{{{{ {self._expressions[int(found[1])]} }}}}", line)

    def _labels(self, labels: dict[str, str]) -> dict[str, Any]:
        """The labels of every object of the chart, and those that only this one has."""
        common = {*selector_labels(FULLNAME, self._component), *self._props.labels}
        include = f'{{{{- include "{self._chart}.labels" (list . "{self._component.value}") | nindent INDENT }}}}'
        return {self._mark(include): None, **{name: text for name, text in labels.items() if name not in common}}

    def _hook(self, annotations: dict[str, Any]) -> None:
        """The annotations of a hook, if the migration is one. Helm prints its log if it is Helm that installs."""
        migrates = self._component is Component.MIGRATION
        hook = {key: annotations.pop(key) for key in [*annotations] if key.startswith(HELM_HOOK)}
        logs = {key: hook.pop(key) for key in (HELM_HOOK_LOGS,) if key in hook}
        if migrates and hook:
            annotations[self._mark(_when(_HOOK, dump(hook)).rstrip())] = None
        else:
            annotations.update(hook)
        if logs:
            condition = f"and {_HOOK} ({self._include('hookLogs')})" if migrates else self._include("hookLogs")
            annotations[self._mark(_when(condition, dump(logs)).rstrip())] = None

    def _limits(self, spec: Manifest) -> None:
        """What depends on whether the migration is a hook."""
        values = ".Values.migrations"
        if self._component is Component.MIGRATION:
            default = f"ternary {RETRIES[True]} {RETRIES[False]} {_HOOK}"
            retries = f'kindIs "string" {values}.backoffLimit | ternary ({default}) {values}.backoffLimit'
            spec["backoffLimit"] = self._mark(retries)
        if self._component is Component.SERVER:
            self._replicas(spec)
        # A patch may have set it.
        waits = self._props.datastore.migrates and "progressDeadlineSeconds" not in spec
        if self._component is Component.SERVER and waits:
            seconds = f"add {values}.activeDeadlineSeconds {DEFAULT_PROGRESS_DEADLINE_SECONDS}"
            line = f"progressDeadlineSeconds: {{{{ {seconds} }}}}\n"
            spec[self._mark(_when(f"and {values}.enabled (not {_HOOK})", line).rstrip())] = None

    def _replicas(self, spec: Manifest) -> None:
        """The number of servers, unless an autoscaler sets it."""
        if "replicas" in spec and self._props.datastore.max_replicas != 1:
            del spec["replicas"]
            line = "replicas: {{ .Values.replicas }}\n"
            spec[self._mark(_when("not .Values.autoscaling.external", line).rstrip())] = None

    def _program(self, template: Manifest) -> None:
        """What several values determine together."""
        if CHECKSUM in template["metadata"].get("annotations", {}):
            template["metadata"]["annotations"][CHECKSUM] = self._mark(self._include("migrationChecksum", " | quote"))
        if self._component is Component.SCHEMA:
            self._schema(template)
        if self._component is Component.BACKUP:
            self._claim(template["spec"])
        template["metadata"]["labels"][VERSION] = self._mark(self._include("version", " | quote"))
        spec = template["spec"]
        security = spec.get("securityContext", {})
        # A patch may have removed some, or set others.
        users = {name: USER for name in ("runAsUser", "runAsGroup", "fsGroup") if security.get(name) == USER}
        for name in users:
            del security[name]
        if users:
            security[self._mark(_when("not .Values.openshift", dump(users)).rstrip())] = None
        pull_secrets = "imagePullSecrets: {{- . | nindent INDENT }}"
        spec[self._mark(f"{{{{- with {self._include('imagePullSecrets')} }}}}\n{pull_secrets}\n{{{{- end }}}}")] = None
        for container in _own_containers(spec):
            container["image"] = self._mark(self._image(container))
        container = spec["containers"][0]
        if self._component is Component.MIGRATION:
            container["command"] = [*container["command"][:2], self._mark(_TARGET)]
            spec.pop("serviceAccountName", None)
            account = self._include("migrationServiceAccountName")
            name = f"{{{{- with {account} }}}}\nserviceAccountName: {{{{ . | quote }}}}\n{{{{- end }}}}"
            spec[self._mark(name)] = None
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

    def _schema(self, template: Manifest) -> None:
        """The ConfigMap with the SpiceDB schema: the chart's own, or one that a value names."""
        metadata = template["metadata"]
        annotations = metadata.pop("annotations")
        own = f'dict "{SCHEMA_CHECKSUM}" "{annotations.pop(SCHEMA_CHECKSUM)}"'
        metadata.update({"annotations": annotations} if annotations else {})
        metadata[f"{MERGED}annotations"] = [f"(empty ({self._text('schema.configMap')}) | ternary ({own}) (dict))"]
        for volume in template["spec"]["volumes"]:
            if volume["name"] == "schema":
                name = f'printf "%s-{Component.SCHEMA.value}" ({self._include("fullname")})'
                items = (
                    f"items:\n  - key: {{{{ {self._text('schema.configMapKey')} | quote }}}}\n    path: {SCHEMA_FILE}\n"
                )
                volume["configMap"] = {
                    "name": self._mark(f"{self._text('schema.configMap')} | default ({name}) | quote"),
                    self._mark(_when(self._text("schema.configMap"), items).rstrip()): None,
                }

    def _claim(self, spec: Manifest) -> None:
        """The claim for the backups: the chart's own, or one that a value names."""
        own = f'printf "%s-{Component.BACKUP.value}" ({self._include("fullname")})'
        name = self._mark(f"{self._text('backup.claim')} | default ({own}) | quote")
        for volume in spec["volumes"]:
            if volume["name"] == Component.BACKUP.value:
                volume["persistentVolumeClaim"] = {"claimName": name}

    def _image(self, container: Manifest) -> str:
        if self._component in (Component.SERVER, Component.MIGRATION):
            return self._include("image", " | quote")
        name = "shellImage" if container["name"] in STEPS else "image"
        value = self._text(f"{PATHS[self._component.value]}{name}")
        return f'include "{self._chart}.withRegistry" (list . ({value} | default "{container["image"]}")) | quote'

    def _secret_keys(self, node: Any) -> None:
        """Puts values in the places of all keys of Secrets and ConfigMaps."""
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self._secret_keys(inner)
        if isinstance(node, dict) and "secretKeyRef" in node:
            node["secretKeyRef"] = self._reference("secret", node["secretKeyRef"])
        for source in node.get("sources", ()) if isinstance(node, dict) else ():
            for kind in source:
                self._file(kind, source[kind])

    def _file(self, kind: str, source: Manifest) -> None:
        """Puts values in the place of the key of a file."""
        items = source.get("items", ())
        if len(items) == 1:
            reference = self._reference(kind, {"name": source.get("name", ""), "key": items[0]["key"]})
            source.update(name=reference["name"], items=[{**items[0], "key": reference["key"]}])

    def _reference(self, kind: str, source: Manifest) -> Manifest:
        """A key with the values that stand for it. Those that only a patch or a user's object has stay."""
        own = self._keys.get((kind, source.get("name", ""), source.get("key", ""))) if len(source) == 2 else None
        if own is None:
            return source
        return {part: self._mark(f"{self._text(f'{own}.{part}')} | quote") for part in ("name", "key")}

    def _text(self, path: str) -> str:
        """The text of a value, in which Helm renders templates."""
        return f'include "{self._chart}.text" (list . .Values.{path})'


def _own_containers(spec: Manifest) -> Iterable[Manifest]:
    """The containers of the package. Others are the user's."""
    yield spec["containers"][0]
    yield from (each for each in spec.get("initContainers", ()) if each["name"] in (*STEPS, ZED))


_NAMES = {CLEANUP_ACCOUNT: "cleanupServiceAccountName", FULLNAME: "fullname", ACCOUNT: "serviceAccountName"}
"""The helper of each name that values can change."""
_TARGET = """\
{{- if or .Values.migrations.targetMigration (not .Values.migrations.targetPhase) }}
- {{ .Values.migrations.targetMigration | default "head" | quote }}
{{- end }}
{{- with .Values.migrations.targetPhase }}
- --phase={{ . }}
{{- end }}"""
