"""The start of a template, which stops Helm if a value contradicts what the chart sets or what SpiceDB has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..labels import Component
from ..props import SpiceDBProps
from ..props.fields import camel
from ..props.flags import variable_name
from ..props.rules.arguments import COMMANDS, WITHOUT_PROP, props_of_flags
from ..versions import known_flags
from .value import PATHS, Value

_CHECK = """\
{{- $flags := fromJson FLAGS -}}
{{- $known := list -}}
{{- if and "KNOWN" (eq (include "CHART.version" $) "VERSION") -}}
{{- $known = splitList " " "KNOWN" -}}
{{- end -}}
{{- range .Values.PATHextraArgs -}}
{{- $flag := include "CHART.text" (list $ .) | splitList "=" | first | trimPrefix "--" -}}
{{- with get $flags $flag -}}
{{- fail (printf "PATHextraArgs has --%s, which you cannot set here: %s" $flag .) -}}
{{- end -}}
{{- if and $known (not (has $flag $known)) -}}
{{- fail (printf "PATHextraArgs has --%s, which SpiceDB VERSION does not have: remove it" $flag) -}}
{{- end -}}
{{- end -}}
{{- range .Values.PATHextraEnv -}}
{{- $name := include "CHART.text" (list $ .name) -}}
{{- if hasPrefix "PREFIX" $name -}}
{{- $flag := $name | trimPrefix "PREFIX" | lower | replace "_" "-" -}}
{{- with get $flags $flag -}}
{{- fail (printf "PATHextraEnv has %s, which you cannot set here: %s" $name .) -}}
{{- end -}}
{{- if and $known (not (has $flag $known)) -}}
{{- fail (printf "PATHextraEnv has %s, which SpiceDB VERSION does not read: remove it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
"""

_OF_ALL_PODS = """\
{{- range .Values.pods.extraEnv -}}
{{- $name := include "CHART.text" (list $ .name) -}}
{{- if hasPrefix "PREFIX" $name -}}
{{- fail (printf "pods.extraEnv has %s, which servers and migration read as a flag: set it in EACH" $name) -}}
{{- end -}}
{{- end -}}
"""


def arguments(props: SpiceDBProps, values: list[Value], chart: str, component: Component) -> str:
    """The start of a component's template: it fails if the values with more arguments and variables have a flag that
    the chart sets, or that the chart's release of SpiceDB lacks."""
    if component not in (Component.SERVER, Component.MIGRATION):
        return ""
    paths = {value.path for value in values}
    found = dict.fromkeys(WITHOUT_PROP, "remove it")
    for flag, owners in props_of_flags(component.value, props.server, type(props.datastore)).items():
        names = re.findall(r"{([^}]*)}", owners) or [owners]
        of_chart = [path for name in names for path in _value_paths(name) if {path, f"{path}.name"} & paths]
        again = " or ".join(".".join(map(camel, name.split("."))) for name in names)
        found[flag] = f"use the value {of_chart[0]}" if of_chart else f"write the chart again with {again}"
    # The release always has servers, so their template checks what is for all pods.
    check = f"{_OF_ALL_PODS}{_CHECK}" if component is Component.SERVER else _CHECK
    known = known_flags().of(COMMANDS[component.value], props.version)
    text = check.replace("FLAGS", json.dumps(json.dumps(found))).replace("PREFIX", variable_name(""))
    text = text.replace("KNOWN", " ".join(known)).replace("VERSION", props.version)
    each = " or ".join(
        f"{PATHS[part]}extraEnv" for part in ("server", "migration") if f"{PATHS[part]}extraEnv" in paths
    )
    return text.replace("EACH", each).replace("CHART", chart).replace("PATH", PATHS[component.value])


def _value_paths(prop: str) -> Iterator[str]:
    """The paths of the values that could stand for a prop: its own, and the one of a Secret."""
    part, _, name = prop.partition(".")
    if part in ("server", "migration"):
        yield PATHS[part] + camel(name)
    yield f"secrets.{camel(prop.replace('.', '_'))}"
