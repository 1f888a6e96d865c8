"""The values of a chart: one table, from which values.yaml, its schema, the templates and the README come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast, get_args

from attrs import frozen

from ..files.schema import field_schema, field_texts, for_files
from ..labels import Component
from ..manifests.jobs import plain
from ..props import SpiceDBProps, secret_keys
from ..props.fields import camel, type_of
from ..props.fieldtypes import Schema
from ..props.pod import PodProps
from ..props.secrets import SecretKey
from ..props.server import ServerProps
from ..props.spicedb import image_parts
from ..props.types import PullPolicy, ReleaseName, Revision
from .places import Place, argument, entries, field, items, optional_argument, optional_field

FULLNAME = "cdk8s-spicedb-fullname"
"""The name of the SpiceDB, which the value ``fullnameOverride`` can change."""
ACCOUNT = "cdk8s-spicedb-account"
"""The ServiceAccount of the servers, which the value ``serviceAccount.name`` can change."""
IDENTITY = "cdk8s-spicedb-identity"
"""An annotation of the ServiceAccounts, which the value ``serviceAccount.annotations`` replaces."""


TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array", "items": OBJECT}
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
SERVER, MIGRATION, CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP


@frozen
class Value:
    """One value of a chart."""

    path: str
    """Its path in values.yaml, such as ``migrations.logLevel``."""
    default: Any
    schema: Schema
    text: str
    """Its documentation."""
    places: tuple[Place, ...] = ()
    """Where the templates use it. Empty: `templates` uses it in a way of its own."""
    nullable: bool = False
    """Whether `templates` can do without it."""

    @property
    def optional(self) -> bool:
        """Whether it may be missing, as after a null in Helm."""
        return self.nullable or (bool(self.places) and all(place.optional for place in self.places))


def schema_of(annotation: Any) -> Schema:
    """The JSON Schema of a plain type."""
    return type_of(annotation).schema(lambda _: {})


def names(props: SpiceDBProps) -> Iterator[Value]:
    """The value that changes the names of all objects."""
    schema = {"anyOf": [schema_of(ReleaseName), {"const": ""}]}
    text = (
        "Name of the Deployment and the Service. The names of all other objects begin with it. Set a different name "
        f"for each release in a namespace, and never change it later. Defaults to {props.name}."
    )
    yield Value("fullnameOverride", "", schema, text, nullable=True)


def image(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the images."""
    repository, tag, digest = image_parts(props.full_image)
    text = "Image of the servers and the migration, without the tag."
    yield Value("image.repository", repository, {**TEXT, "minLength": 1}, text)
    text = (
        f"Image tag. The flags and the allowed revisions of the database in this chart are for {props.version}. For "
        "another SpiceDB release, write the chart again."
    )
    yield Value("image.tag", tag or "", TEXT, text)
    pattern = {**TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"}
    yield Value("image.digest", digest or "", pattern, "Image digest. Takes precedence over the tag.")
    policies = {"enum": ["", *get_args(PullPolicy)]}
    place = optional_field(tuple(Component), f"{CONTAINER}.imagePullPolicy")
    text = "Image pull policy of all pods. Defaults to the default of Kubernetes."
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, text, (place,))
    pull_secrets = [{"name": name} for name in props.image_pull_secrets]
    place = optional_field(tuple(Component), f"{POD}.imagePullSecrets")
    text = "Secrets for all pods to pull images: [{name: …}]."
    yield Value("imagePullSecrets", pull_secrets, LIST, text, (place,))


def pods(path: str, whose: str, component: Component, pod: Any) -> Iterator[Value]:
    """What a component's pods get in addition."""
    text = f"More arguments of the {whose}, after the chart's own, so that they take precedence."
    place = items(component, f"{CONTAINER}.args", len(pod.extra_args))
    yield Value(f"{path}extraArgs", list(pod.extra_args), {"type": "array", "items": TEXT}, text, (place,))
    lists = {
        "extraEnv": ("env", "More environment variables of the {}, as in a container's env."),
        "extraVolumeMounts": ("volumeMounts", "More volume mounts of the {}, as in a container's volumeMounts."),
    }
    for name, (field_name, text) in lists.items():
        place = items(component, f"{CONTAINER}.{field_name}")
        yield Value(f"{path}{name}", [], LIST, text.format(whose), (place,))
    text = f"More volumes of the {whose}, as in a pod's volumes."
    yield Value(f"{path}extraVolumes", [], LIST, text, (items(component, f"{POD}.volumes"),))
    if component is SERVER:
        text = "More containers of the servers' pods, as in a pod's containers."
        yield Value("extraContainers", [], LIST, text, (items(component, f"{POD}.containers"),))
        text = "Containers that run before the servers start, as in a pod's initContainers."
        yield Value("initContainers", [], LIST, text, (items(component, f"{POD}.initContainers"),))


def objects(props: SpiceDBProps) -> Iterator[Value]:
    """Values of the objects around the pods."""
    if props.datastore.max_replicas != 1:
        text = "Creates a PodDisruptionBudget if there is more than one server."
        enabled = props.server.disruption_budget is not None
        yield Value("podDisruptionBudget.enabled", enabled, {"type": "boolean"}, text)
        spread = [
            {"maxSkew": each.max_skew, "topologyKey": each.topology_key, "whenUnsatisfiable": each.when_unsatisfiable}
            for each in props.server.topology_spread
        ]
        text = (
            "How servers are spread over nodes, if there is more than one. An item without a labelSelector gets the "
            "servers' labelSelector and matchLabelKeys."
        )
        yield Value("topologySpreadConstraints", spread, LIST, text, nullable=True)
    text = "Existing ServiceAccount for the servers. Defaults to a new one with the name of the Deployment."
    yield Value("serviceAccount.name", str(props.server.service_account or ""), TEXT, text, nullable=True)
    text = "Annotations of the ServiceAccounts of the servers and the migration, for workload identity."
    places = tuple(
        entries((component,), "metadata.annotations", (IDENTITY,), "ServiceAccount")
        for component in (SERVER, MIGRATION)
        if component is SERVER or has_default_identity(props)
    )
    annotations = field_schema(SpiceDBProps, "annotations")
    yield Value("serviceAccount.annotations", dict(props.service_account_annotations), annotations, text, places)
    types, service = ["ClusterIP", "NodePort", "LoadBalancer"], field(SERVER, "spec.type", "Service", FULLNAME)
    yield Value("service.type", "ClusterIP", {"enum": types}, "Type of the Service for clients.", (service,))
    default = dict(props.server.service_annotations)
    place = entries((SERVER,), "metadata.annotations", default, "Service", FULLNAME)
    yield Value("service.annotations", default, annotations, "Annotations of the Service for clients.", (place,))
    text, labels = "Labels of every object except pods. For pods, use podLabels.", field_schema(SpiceDBProps, "labels")
    yield Value("commonLabels", dict(props.labels), labels, text, nullable=True)
    text = "Annotations of every object except pods. For pods, use podAnnotations."
    place = entries(tuple(Component), "metadata.annotations", props.annotations)
    yield Value("commonAnnotations", dict(props.annotations), annotations, text, (place,))
    if has_jobs(props):
        logs: Schema = {"anyOf": [{"type": "boolean"}, {"const": ""}]}
        text = (
            "Lets Helm print the log of the migration, and the logs of other hooks if they fail. Defaults to true, or "
            "to false if Flux installs the chart, because Flux's helm-controller crashes on the annotation for it."
        )
        yield Value("hookLogs", "" if props.hook_logs is None else props.hook_logs, logs, text, nullable=True)
    text = "More objects for the release. Their strings may contain templates."
    yield Value("extraObjects", [], LIST, text, nullable=True)


def has_jobs(props: SpiceDBProps) -> bool:
    """Whether the chart has Jobs, whose logs Helm can print."""
    return props.datastore.migrates or props.schema is not None or props.test is not None


def has_default_identity(props: SpiceDBProps) -> bool:
    """Whether the ServiceAccount of the migration has the same annotations as the one of the servers."""
    migration = props.migration
    shared = migration.service_account is None and migration.service_account_annotations is None
    return shared and props.datastore.migrates


@frozen
class _Row:
    """A value that stands for a prop, which gives its default, schema and documentation."""

    path: str
    prop: str
    place: Place | None = None
    schema: Schema | None = None
    """Its schema, if charts need another one than the prop's."""
    default: Any = None
    """Its default, if the prop's own is None."""
    note: str = ""
    """A sentence after the prop's documentation."""


def servers(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the servers."""
    return _values(props, _servers(props))


def migrations(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the migration."""
    return _values(props, _migrations(props))


def cleanup(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the clean-up."""
    return _values(props, _cleanup(props))


def _servers(props: SpiceDBProps) -> Iterator[_Row]:
    if props.server.autoscaling:
        prop, kind = "server.autoscaling", "HorizontalPodAutoscaler"
        yield _Row("autoscaling.minReplicas", f"{prop}.min_replicas", field(SERVER, "spec.minReplicas", kind))
        yield _Row("autoscaling.maxReplicas", f"{prop}.max_replicas", field(SERVER, "spec.maxReplicas", kind))
    else:
        maximum = props.datastore.max_replicas
        schema = {"type": "integer", "minimum": 1, **({"maximum": maximum} if maximum else {})}
        yield _Row("replicas", "server.replicas", field(SERVER, "spec.replicas"), schema, props.replicas)
    if props.datastore.max_replicas != 1:
        update = "spec.strategy.rollingUpdate"
        surge, share = field(SERVER, f"{update}.maxSurge"), field_schema(ServerProps, "max_unavailable")
        yield _Row("rollingUpdate.maxSurge", "server.max_surge", surge, share, props.max_surge)
        yield _Row("rollingUpdate.maxUnavailable", "server.max_unavailable", field(SERVER, f"{update}.maxUnavailable"))
        budget = field(SERVER, "spec.maxUnavailable", "PodDisruptionBudget")
        schema = {"type": "integer", "minimum": 1}
        yield _Row("podDisruptionBudget.maxUnavailable", "server.disruption_budget", budget, schema, 1)
    yield _Row("logLevel", "server.log_level", argument(SERVER, "--log-level"))
    yield from _phases(props)
    seconds = {"type": "integer", "minimum": 1}
    grace = field(SERVER, f"{POD}.terminationGracePeriodSeconds")
    prop, default = "server.termination_grace_period_seconds", props.server.termination_seconds
    yield _Row("terminationGracePeriodSeconds", prop, grace, seconds, default)
    yield from _pods("", "server", SERVER, props.server)


def _phases(props: SpiceDBProps) -> Iterator[_Row]:
    """The servers' settings for phases of a migration, as far as the release has their flags."""
    if not props.datastore.migrates:
        return
    flags = {
        "schema_mode": "experimental-schema-mode",
        "datastore_migration_phase": "datastore-migration-phase",
    }
    for name, flag in flags.items():
        if props.releases.takes(flag, props.version):
            yield _Row(camel(name), f"server.{name}", optional_argument(SERVER, f"--{flag}"))
    flag = "datastore-allowed-migrations"
    if props.releases.takes(flag, props.version):
        schema = {"type": "array", "items": schema_of(Revision)}
        place, default = optional_argument(SERVER, f"--{flag}", "range"), list(props.allowed_migrations)
        yield _Row("allowedMigrations", "server.allowed_migrations", place, schema, default)


def _migrations(props: SpiceDBProps) -> Iterator[_Row]:
    path, prop = "migrations", "migration"
    yield _Row(f"{path}.enabled", f"{prop}.enabled")
    yield _Row(f"{path}.logLevel", f"{prop}.log_level", argument(MIGRATION, "--log-level", ".Values.logLevel"))
    known = props.releases.revisions(props.datastore.engine, props.version)
    choice = {"enum": ["", "head", *known]} if known and not props.migration.allow_unknown_target else None
    yield _Row(f"{path}.targetMigration", f"{prop}.target_migration", schema=choice)
    yield _Row(f"{path}.targetPhase", f"{prop}.target_phase")
    flags = {"migration_timeout": "migration-timeout", "backfill_batch_size": "migration-backfill-batch-size"}
    for name, flag in flags.items():
        if props.releases.takes(flag, props.version):
            yield _Row(f"{path}.{camel(name)}", f"{prop}.{name}", optional_argument(MIGRATION, f"--{flag}"))
    yield _Row(f"{path}.restartPolicy", f"{prop}.restart_policy", field(MIGRATION, f"{POD}.restartPolicy"))
    yield _Row(f"{path}.backoffLimit", f"{prop}.backoff_limit", field(MIGRATION, "spec.backoffLimit"))
    deadline = field(MIGRATION, "spec.activeDeadlineSeconds")
    yield _Row(f"{path}.activeDeadlineSeconds", f"{prop}.active_deadline_seconds", deadline)
    yield from _pods("migrations.", "migration", MIGRATION, props.migration)


def _cleanup(props: SpiceDBProps) -> Iterator[_Row]:
    path = "migrations.cleanup"
    yield _Row(f"{path}.enabled", "cleanup.enabled", schema={"type": "boolean"}, default=True)
    yield _Row(f"{path}.image", "cleanup.image")
    deadline = field(CLEANUP, "spec.activeDeadlineSeconds")
    yield _Row(f"{path}.activeDeadlineSeconds", "cleanup.active_deadline_seconds", deadline)
    yield from _pods(f"{path}.", "cleanup", CLEANUP, props.cleanup)


def _pods(path: str, prop: str, component: Component, pod: PodProps) -> Iterator[_Row]:
    """The values of a component's pods."""
    resources = optional_field((component,), f"{CONTAINER}.resources")
    note = "To render no resources, set null. {} keeps the defaults, because Helm merges maps."
    yield _Row(f"{path}resources", f"{prop}.resources", resources, OBJECT, note=note)
    metadata = "spec.template.metadata"
    labels = entries((component,), f"{metadata}.labels", pod.pod_labels)
    yield _Row(f"{path}podLabels", f"{prop}.pod_labels", labels)
    annotations = entries((component,), f"{metadata}.annotations", pod.pod_annotations)
    yield _Row(f"{path}podAnnotations", f"{prop}.pod_annotations", annotations)
    for name in ("node_selector", "tolerations", "affinity", "priority_class_name"):
        place = optional_field((component,), f"{POD}.{camel(name)}")
        yield _Row(f"{path}{camel(name)}", f"{prop}.{name}", place, LIST if name == "tolerations" else None)


def _values(props: SpiceDBProps, rows: Iterator[_Row]) -> Iterator[Value]:
    return (_value(props, row) for row in rows)


def _value(props: SpiceDBProps, row: _Row) -> Value:
    *parts, name = row.prop.split(".")
    owner: Any = props
    for part in parts:
        owner = getattr(owner, part)
    kind, default = cast(Any, type(owner)), plain(getattr(owner, name))
    schema = row.schema or field_schema(kind, name)
    text, _, meaning = for_files(field_texts(kind).get(name, "")).partition(" Defaults")
    if {"type": "null"} in schema.get("anyOf", ()):
        # A chart's value is never null: to Helm, null removes the key.
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        default, schema = default or "", {"anyOf": [*options, {"const": ""}]}
    default = row.default if default is None else default
    if default is None:
        default = ""
    if default == "" and meaning:
        # An empty value means the default of the prop.
        text = f"{text} Defaults{meaning.partition('. ')[0].rstrip('.')}."
    return Value(row.path, default, schema, f"{text} {row.note}".rstrip(), (row.place,) if row.place else ())


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    found = [
        *names(props),
        *image(props),
        *servers(props),
        *pods("", "servers", SERVER, props.server),
        *objects(props),
        *_secrets(props),
    ]
    if props.datastore.migrates:
        found += migrations(props)
        found += pods("migrations.", "migration", MIGRATION, props.migration)
        found += cleanup(props)
    return found


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        yield Value(f"{path}.name", str(key.name), field_schema(SecretKey, "name"), "Name of the Secret.")
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "Key in the Secret.")
