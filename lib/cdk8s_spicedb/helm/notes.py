"""NOTES.txt: what Helm prints after an install or upgrade."""

from __future__ import annotations

import json

import attrs

from ..files.folder import MARK
from ..labels import CHECKSUM, Component, object_name
from ..manifests.ports import DISPATCH_TLS, GRPC, NUMBERS, dispatch_service
from ..props import SpiceDBProps
from ..props.annotations import camel
from ..props.rules.warnings import phase_warning, version_warning
from .names import FULLNAME
from .troubleshooting import troubleshooting

_IN = "--namespace {{ .Release.Namespace }}"


def notes(props: SpiceDBProps, chart: str) -> str:
    """The text of NOTES.txt, a template."""
    props = attrs.evolve(props, name=FULLNAME)
    parts = [_installed(props, chart), *([_migration(props)] if props.datastore.migrates else []), _rollback(props)]
    if props.datastore.migrates:
        parts.append(troubleshooting(props, "{{ .Release.Name }}", _IN, chart="CHART", indent="  "))
    text = f"{{{{- /* {MARK} */ -}}}}\n" + "\n\n".join(map(str.strip, parts)) + _warnings(props) + "\n"
    return text.replace(FULLNAME, f'{{{{ include "{chart}.fullname" . }}}}')


def _installed(props: SpiceDBProps, chart: str) -> str:
    name, port = props.name, NUMBERS[GRPC]
    servers = "{{ .Values.replicas }} server{{ if gt (int .Values.replicas) 1 }}s{{ end }}"
    if props.server.autoscaling:
        servers = "{{ .Values.autoscaling.minReplicas }} to {{ .Values.autoscaling.maxReplicas }} servers"
    text = f"""\
SpiceDB ({{{{ include "{chart}.image" . }}}}) on {props.datastore.engine}: {servers}, release {{{{ .Release.Name }}}},
revision {{{{ .Release.Revision }}}}, in namespace {{{{ .Release.Namespace }}}}.

Address in the cluster: {name}.{{{{ .Release.Namespace }}}}:{port} (gRPC{" with TLS" if props.server.grpc_tls else ""}).
To connect from this machine:

  kubectl port-forward service/{name} {port} {_IN}
{{{{- with .Values.secrets.presharedKey }}}}

Clients authenticate with the API key in the Secret {{{{ .name }}}}, under the key {{{{ .key }}}}.
{{{{- end }}}}"""
    if props.server.dispatch_tls:
        text += f"""

The certificate for requests between servers must contain the DNS name
{dispatch_service(props, DISPATCH_TLS)}.{{{{ .Release.Namespace }}}}.
Without this name, the servers are ready, but requests between them fail."""
    if props.test:
        text += f"""

To test that every server answers permission checks:

  helm test {{{{ .Release.Name }}}} {_IN}"""
    return text


def _migration(props: SpiceDBProps) -> str:
    job = object_name(props.name, Component.MIGRATION)
    return f"""\
{{{{ if .Values.migrations.enabled -}}}}
The datastore was migrated
{{{{- with .Values.migrations.targetMigration }}}} to revision {{{{ . }}}}
{{{{- else }}}}{{{{ with .Values.migrations.targetPhase }}}} through phase {{{{ . }}}}
{{{{- else }}}} to the newest revision of this SpiceDB release{{{{ end }}}}{{{{ end }}}} before the servers changed.
Helm prints the log of the migration. While the Job exists, you can also read the log with:

  kubectl get job {job} {_IN}
  kubectl logs job/{job} {_IN}

{{{{ if .Values.migrations.cleanup.enabled -}}}}
The clean-up deletes a finished migration Job. A failed one stays
{{{{- if eq .Values.migrations.restartPolicy "OnFailure" }}}}, but without its pods
(migrations.restartPolicy=Never keeps the pods and their logs){{{{ end }}}}.
{{{{- else -}}}}
The finished migration Job stays until the next upgrade.
{{{{- end }}}}
{{{{- else -}}}}
The migration is disabled (migrations.enabled is false). Servers become ready when the datastore has a schema that
they can work with.
{{{{- end }}}}

The servers' pods have the annotation {CHECKSUM}, a checksum of the migration's settings.
When one of these settings changes, the servers restart in a rolling update."""


def _rollback(props: SpiceDBProps) -> str:
    text = f"""\
To roll back, look in the history for the last revision that worked before this one, and name it:

  helm history {{{{ .Release.Name }}}} {_IN}
  helm rollback {{{{ .Release.Name }}}} REVISION {_IN} --wait"""
    if props.datastore.migrates:
        text += """

A rollback does not migrate, so the datastore keeps the newer schema. Servers of an older SpiceDB release start on
it only if they allow it (--datastore-allowed-migrations)."""
    return text


def _warnings(props: SpiceDBProps) -> str:
    tag = json.dumps(props.version)
    text = f"""
{{{{- if not (or (eq .Values.image.tag {tag}) (hasPrefix {json.dumps(f"{props.version}-")} .Values.image.tag)
  (not .Values.image.tag)) }}}}

WARNING: the image is {{{{ .Values.image.tag }}}}, but this chart was written for {props.version}. The chart sets
flags and allowed schema revisions that belong to {props.version}. For another SpiceDB release, write the chart again.
{{{{- end }}}}"""
    if not props.datastore.migrates:
        return text
    phase = phase_warning("{{ . }}")
    for name in ("schema_mode", "datastore_migration_phase"):
        phase = phase.replace(f"ServerProps.{name}", f"the value {camel(name)}")
    text += f"""
{{{{- with .Values.migrations.targetPhase }}}}

WARNING: {phase}
{{{{- end }}}}"""
    text += _target(props)
    version = version_warning(props)
    return f"{text}\n\nWARNING: {version}" if version else text


def _target(props: SpiceDBProps) -> str:
    """The warning about a target on which the servers do not start."""
    own = props.releases.starts_on(props.datastore.engine, props.version, props.server.datastore_migration_phase)
    if not own or not props.releases.takes("datastore-allowed-migrations", props.version):
        return ""
    starts_on = " ".join(json.dumps(revision) for revision in ("head", *sorted(own)))
    return f"""
{{{{- with .Values.migrations.targetMigration }}}}
{{{{- if not (or (has . (list {starts_on})) (has . $.Values.allowedMigrations)) }}}}

WARNING: servers of {props.version} do not start on {{{{ . }}}}, at which the migration stops. If they can work with it,
add it to the value allowedMigrations.
{{{{- end }}}}
{{{{- end }}}}"""
