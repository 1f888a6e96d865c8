"""NOTES.txt, which Helm prints after an install or upgrade, and the README of a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs

from ..files.folder import MARK
from ..labels import CHECKSUM, Component, object_name
from ..manifests.pods import DISPATCH_TLS, GRPC, METRICS, dispatch_service, open_ports, service_port
from ..props import SpiceDBProps, secret_keys
from ..props.fields import camel
from ..props.rules.warnings import phase_warning, version_warning
from ..props.spicedb import image_parts
from ..text import link
from ..versions import ALLOWED_MIGRATIONS
from .value import FULLNAME, Value, config_maps, secrets

_GUIDE = link("upgrade/migrations")


def troubleshooting(props: SpiceDBProps, release: str, namespace: str, *, chart: str, indent: str) -> str:
    """The text, with the names of the release and the chart, and the option of the namespace, in all commands."""
    job = object_name(props.name, Component.MIGRATION)
    secrets = " ".join(dict.fromkeys(str(key.name) for key in secret_keys(props)))
    return f"""\
If a migration fails, the install or upgrade fails, and the old servers keep serving. To find the reason:

{indent}kubectl describe job {job} {namespace}
{indent}kubectl get events {namespace} --sort-by .lastTimestamp
{indent}kubectl logs job/{job} {namespace}

- connection refused, no such host: check the address in the Secret, and the network.
- password authentication failed: check the Secret. This command lists its keys, but not their values:

{indent}kubectl describe secret {secrets} {namespace}

- DeadlineExceeded: the migration took longer than migrations.activeDeadlineSeconds. Give the migration
  and Helm more time:

{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --wait \\
{indent}  --set migrations.activeDeadlineSeconds=3600 --timeout 61m

- unable to find migration for revision: the datastore has the schema of a newer SpiceDB release, which an older
  release cannot migrate. Use helm rollback, which does not migrate, or install the older release with
  --set migrations.enabled=false.
- unknown flag --phase: no released SpiceDB has this flag. Remove the value migrations.targetPhase.

Fix the cause, then run the same command again. The migration continues where it stopped. Before that, delete a Job that
is stuck. If migrations.hook is false, also delete one that failed:

{indent}kubectl delete job {job} {namespace} --ignore-not-found

To see what an upgrade would apply, without changing anything:

{indent}helm upgrade {release} {chart} {namespace} --dry-run=server

To stop the migration at a revision on which the servers start:

{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --set migrations.targetMigration=REVISION

For more about migrations, read {_GUIDE}."""


_IN = "--namespace {{ .Release.Namespace }}"


def notes(props: SpiceDBProps, chart: str) -> str:
    """The text of NOTES.txt, a template."""
    props = attrs.evolve(props, name=FULLNAME)
    parts = [_installed(props, chart), *([_migration(props)] if props.datastore.migrates else []), _rollback(props)]
    if props.datastore.migrates:
        parts.append(troubleshooting(props, "{{ .Release.Name }}", _IN, chart="CHART", indent="  "))
    text = f"{{{{- /* {MARK} */ -}}}}\n" + "\n\n".join(map(str.strip, parts)) + _warnings(props, chart) + "\n"
    job, named = object_name(FULLNAME, Component.MIGRATION), f'{{{{ include "{chart}.fullname" . }}}}'
    text = text.replace(job, f'{job}{{{{ include "{chart}.migrationHash" . }}}}')
    return text.replace(FULLNAME, named)


def _installed(props: SpiceDBProps, chart: str) -> str:
    name, port, own = props.name, service_port(props, GRPC), props.server.grpc_port
    forwarded = str(port) if port == own else f"{own}:{port}"
    servers = "{{ .Values.replicas }} server{{ if gt (int .Values.replicas) 1 }}s{{ end }}"
    if props.server.autoscaling:
        servers = "{{ .Values.autoscaling.minReplicas }} to {{ .Values.autoscaling.maxReplicas }} servers"
    text = f"""\
SpiceDB ({{{{ include "{chart}.image" . }}}}) on {props.datastore.engine}: {servers}, release {{{{ .Release.Name }}}},
revision {{{{ .Release.Revision }}}}, in namespace {{{{ .Release.Namespace }}}}.

Address in the cluster: {name}.{{{{ .Release.Namespace }}}}:{port} (gRPC{" with TLS" if props.server.grpc_tls else ""}).
To connect from this machine:

  kubectl port-forward service/{name} {forwarded} {_IN}
{{{{- with .Values.secrets.presharedKey }}}}

Clients authenticate with the API key in the Secret {{{{ tpl .name $ }}}}, under the key {{{{ tpl .key $ }}}}.
{{{{- end }}}}"""
    if METRICS in open_ports(props):
        text += f"""

Metrics are at port {service_port(props, METRICS)} of the Service. This port also serves profiles of the SpiceDB process
(pprof), and asks for no key.
{{{{- if ne .Values.service.type "ClusterIP" }}}}
{{{{- if .Values.service.exposeMetrics }}}} WARNING: it is open to whoever reaches the {{{{ .Values.service.type }}}}.
{{{{- else }}}} The {{{{ .Values.service.type }}}} does not have it: see the value service.exposeMetrics.
{{{{- end }}}}
{{{{- end }}}}"""
    if props.server.dispatch_tls:
        text += f"""

The certificate for requests between servers must contain the DNS name
{dispatch_service(props, DISPATCH_TLS)}.{{{{ .Release.Namespace }}}}.
Without this name, the servers are ready, but requests between them fail."""
    if props.backup:
        text += f"""

Backups run on this schedule: {{{{ .Values.backup.schedule }}}}
{{{{- with .Values.backup.timeZone }}}} ({{{{ . }}}}){{{{ end }}}}
{{{{- if .Values.backup.suspend }}}} (suspended){{{{ end }}}}. To back up now:

  kubectl create job backup-now --from=cronjob/{object_name(name, Component.BACKUP)} {_IN}"""
    if props.test:
        text += f"""

To test that every server answers permission checks:

  helm test {{{{ .Release.Name }}}} {_IN}"""
    return text


def _migration(props: SpiceDBProps) -> str:
    job = object_name(props.name, Component.MIGRATION)
    target = """\
{{- with .Values.migrations.targetMigration }} to revision {{ . }}
{{- else }}{{ with .Values.migrations.targetPhase }} through phase {{ . }}
{{- else }} to the newest revision of this SpiceDB release{{ end }}{{ end }}"""
    return f"""\
{{{{ if .Values.migrations.enabled -}}}}
{{{{- if .Values.migrations.hook -}}}}
The datastore was migrated
{target} before the servers changed.
Helm prints the log of the migration. While the Job exists, you can also read the log with:
{{{{- else -}}}}
A Job of this release migrates the datastore
{target}.
New servers become ready when it is done. While the Job exists, you can read its log with:
{{{{- end }}}}

  kubectl get job {job} {_IN}
  kubectl logs job/{job} {_IN}

{{{{ if not .Values.migrations.hook -}}}}
The Job belongs to the release. It stays until an upgrade changes it.
{{{{- else if .Values.migrations.cleanup.enabled -}}}}
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
        text += f"""

A rollback does not migrate, so the datastore keeps the newer schema. Servers of an older SpiceDB release start on
it only if they allow it (--{ALLOWED_MIGRATIONS}).
{{{{- if and .Values.migrations.enabled (not .Values.migrations.hook) }}}}
Helm also runs the older migration again, which fails on the newer schema. That does not stop the servers: delete that
Job, or leave it to the next upgrade.
{{{{- end }}}}"""
    return text


def _warnings(props: SpiceDBProps, chart: str) -> str:
    version, own = props.version, image_parts(props.full_image)[1]
    text = f"""
{{{{- $tag := include "{chart}.text" (list . .Values.image.tag) | default {json.dumps(own or version)} }}}}
{{{{- if not (or (eq $tag {json.dumps(version)}) (hasPrefix {json.dumps(f"{version}-")} $tag)) }}}}

WARNING: the image is {{{{ $tag }}}}, but this chart was written for {version}. The chart sets
flags and allowed schema revisions that belong to {version}. For another SpiceDB release, write the chart again.
If you upgraded with --reuse-values, the tag can be that of an older chart: use --reset-then-reuse-values, and remove
the tag with --set image.tag=null if you did not set it.
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
    unknown = version_warning(props)
    return f"{text}\n\nWARNING: {unknown}" if unknown else text


def _target(props: SpiceDBProps) -> str:
    """The warning about a target on which the servers do not start."""
    own = props.releases.starts_on(props.datastore.engine, props.version, props.server.datastore_migration_phase)
    if not own or not props.releases.takes(ALLOWED_MIGRATIONS, props.version):
        return ""
    starts_on = " ".join(json.dumps(revision) for revision in ("head", *sorted(own)))
    return f"""
{{{{- with .Values.migrations.targetMigration }}}}
{{{{- $allowed := kindIs "slice" $.Values.allowedMigrations | ternary $.Values.allowedMigrations list }}}}
{{{{- if not (or (has . (list {starts_on})) (has . $allowed)) }}}}

WARNING: servers of {props.version} do not start on {{{{ . }}}}, at which the migration stops. If they can work with it,
add it to the value allowedMigrations.
{{{{- end }}}}
{{{{- end }}}}"""


def readme(props: SpiceDBProps, chart: str, values: list[Value]) -> str:
    """The text of README.md."""
    lines = [*_install(props, chart), *_upgrade(props), "| Value | Default | Meaning |", "| --- | --- | --- |"]
    for value in values:
        default, text = (part.replace("|", "\\|") for part in (json.dumps(value.default), value.text))
        lines.append(f"| `{value.path}` | `{default}` | {text} |")
    return "\n".join(lines) + "\n"


def _install(props: SpiceDBProps, chart: str) -> Iterator[str]:
    yield f"<!-- {MARK} -->"
    yield f"# {chart}\n"
    yield f"SpiceDB {props.version} on {props.datastore.engine}, for Kubernetes 1.30 or later and Helm 3.18 or later.\n"
    if props.datastore.migrates:
        yield "A Job migrates the datastore before the servers change (a pre-install and pre-upgrade hook). If the Job"
        yield "fails, the install or upgrade fails, and the old servers keep serving.\n"
        yield "If the same release installs the database or the Secrets, set `migrations.hook` to false. Then Helm"
        yield "applies the Job with all other objects, and new servers become ready when it is done. Use `--wait`.\n"
    yield "The engine of the datastore and its address are fixed in this chart. To change them, write the chart again"
    yield "with cdk8s-spicedb. To install the chart more than once in a namespace, set `fullnameOverride` for each"
    yield "release.\n"
    yield "## Install\n"
    yield "Before you install, create these Secrets with these keys. To use another Secret or key, set the value at the"
    yield "end of the line:\n"
    yield from (f"- `{key.name}`, key `{key.key}`: `secrets.{name}`" for key, name in secrets(props).items())
    for other, name in config_maps(props).items():
        yield f"- ConfigMap `{other.config_map}`, key `{other.key}`: `configMaps.{name}`"
    yield "\nRun all commands in this folder. First, see what Helm would apply. These commands change nothing:\n"
    yield f"    helm template {props.name} . --namespace NAMESPACE"
    yield f"    helm install {props.name} . --namespace NAMESPACE --dry-run=server\n"
    yield "Then install the chart:\n"
    yield f"    helm install {props.name} . --namespace NAMESPACE --wait --timeout {props.migration.helm_timeout}"
    yield f"    helm get notes {props.name} --namespace NAMESPACE\n"
    yield "Helm's notes say how to connect, and how to see what the migration did.\n"


def _upgrade(props: SpiceDBProps) -> Iterator[str]:
    yield "## Upgrade and roll back\n"
    yield f"    helm upgrade {props.name} . --namespace NAMESPACE --reset-then-reuse-values --wait \\"
    yield f"      --timeout {props.migration.helm_timeout}"
    yield f"    helm history {props.name} --namespace NAMESPACE"
    yield f"    helm rollback {props.name} REVISION --namespace NAMESPACE --wait\n"
    yield "With `--reset-then-reuse-values`, Helm keeps the values that you have set, and takes new defaults from this"
    yield "chart.\n"
    yield "To roll back, look in the history for the last revision that worked before the current one, and name it."
    yield "If you name none, Helm takes the previous revision, even if that was a failed attempt."
    if props.datastore.migrates:
        yield "A rollback does not migrate back, so the datastore keeps the newer schema. With `migrations.hook` false,"
        yield "Helm runs the older migration again. It fails, and the servers roll back anyway.\n"
        yield "An upgrade of SpiceDB can have several steps, each with a chart of its own. `cdk8s-spicedb plan` lists"
        yield "them. Install the charts in their order.\n"
        yield "## Troubleshoot a migration\n"
        yield troubleshooting(props, props.name, "--namespace NAMESPACE", chart=".", indent="    ")
    yield "\n## Values\n"
