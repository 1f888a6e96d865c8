"""NOTES.txt: what Helm says when the chart is installed or upgraded."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..files.folder import MARK
from ..labels import CHECKSUM, Component, object_name
from ..manifests.ports import DISPATCH_TLS, GRPC, NUMBERS, dispatch_service
from ..props import SpiceDBProps
from ..props.rules.warnings import phase_warning, version_warning

_ON = "--namespace {{ .Release.Namespace }}"


def notes(props: SpiceDBProps) -> str:
    """The text of NOTES.txt, a template."""
    lines = [*_installed(props), *(_migration(props) if props.datastore.migrates else ()), *_back(props)]
    return f"{{{{- /* {MARK} */ -}}}}\n" + "\n".join([*lines, *_warnings(props)]) + "\n"


def _installed(props: SpiceDBProps) -> Iterator[str]:
    name, port = props.name, NUMBERS[GRPC]
    servers = "{{ .Values.replicas }} server{{ if gt (int .Values.replicas) 1 }}s{{ end }}"
    if props.server.autoscaling:
        servers = "{{ .Values.autoscaling.minReplicas }} to {{ .Values.autoscaling.maxReplicas }} servers"
    grpc = "gRPC with TLS" if props.server.grpc_tls else "gRPC"
    image = "{{ .Values.image.repository }}{{ with .Values.image.tag }}:{{ . }}{{ end }}"
    yield f"SpiceDB ({image}) on {props.datastore.engine}: {servers}, release {{{{ .Release.Name }}}}, revision"
    yield "{{ .Release.Revision }}, in namespace {{ .Release.Namespace }}."
    yield ""
    yield f"In the cluster it is at {name}.{{{{ .Release.Namespace }}}}:{port} ({grpc}). From here:"
    yield ""
    yield f"  kubectl port-forward service/{name} {port} {_ON}"
    yield ""
    yield "{{- with .Values.secrets.presharedKey }}"
    yield "Clients send the key that Secret {{ .name }} holds as {{ .key }}."
    yield "{{- end }}"
    if props.server.dispatch_tls:
        service = dispatch_service(props, DISPATCH_TLS)
        yield ""
        yield "Servers show each other a certificate that has to hold the name"
        yield f"{service}.{{{{ .Release.Namespace }}}}; without it they are ready, and fail requests."
    if props.test:
        yield ""
        yield "Whether permissions can be checked, by every server, says:"
        yield ""
        yield f"  helm test {{{{ .Release.Name }}}} {_ON}"


def _migration(props: SpiceDBProps) -> Iterator[str]:
    job = object_name(props.name, Component.MIGRATION)
    yield ""
    yield "{{ if .Values.migrations.enabled -}}"
    yield 'The datastore was migrated to {{ .Values.migrations.targetMigration | default "its head" }} before the'
    yield "servers changed. Helm prints the migration's log; while the Job is there, so does:"
    yield ""
    yield f"  kubectl get job {job} {_ON}"
    yield f"  kubectl logs job/{job} {_ON}"
    yield f"  kubectl describe job {job} {_ON}"
    yield ""
    yield "{{ if .Values.migrations.cleanup.enabled -}}"
    yield "A finished migration is removed; one that failed stays"
    yield '{{- if eq .Values.migrations.restartPolicy "OnFailure" }}, without its pods'
    yield "(migrations.restartPolicy=Never keeps them and their logs){{ end }}."
    yield "{{- else -}}"
    yield "The Job stays until the next release."
    yield "{{- end }}"
    yield "{{- else -}}"
    yield "The datastore was not migrated (migrations.enabled is false): servers turn ready once its schema is theirs."
    yield "{{- end }}"
    yield ""
    yield f"The servers' pods carry {CHECKSUM}, a checksum of the migration's settings: they restart, one"
    yield "at a time, when one of those changes."


def _back(props: SpiceDBProps) -> Iterator[str]:
    yield ""
    yield "To go back, name the revision that was deployed last:"
    yield ""
    yield f"  helm history {{{{ .Release.Name }}}} {_ON}"
    yield f"  helm rollback {{{{ .Release.Name }}}} REVISION {_ON} --wait"
    if props.datastore.migrates:
        yield ""
        yield "Nothing migrates then: a schema only goes forward. Servers of an older release start on the newer schema"
        yield "where they were told to allow it."


def _warnings(props: SpiceDBProps) -> Iterator[str]:
    version = props.version
    tag = json.dumps(version)
    yield f"{{{{- if not (or (eq .Values.image.tag {tag}) (hasPrefix {json.dumps(f'{version}-')} .Values.image.tag)"
    yield "  (not .Values.image.tag)) }}"
    yield ""
    yield f"WARNING: the image is {{{{ .Values.image.tag }}}}, and this chart was written for {version}: its flags and"
    yield "the schemas on which its servers start are of that release. Have it written anew for another."
    yield "{{- end }}"
    if not props.datastore.migrates:
        return
    yield "{{- with .Values.migrations.targetPhase }}"
    yield ""
    yield f"WARNING: {phase_warning('{{ . }}')}"
    yield "{{- end }}"
    unknown = version_warning(props)
    if unknown is not None:
        yield ""
        yield f"WARNING: {unknown}"
