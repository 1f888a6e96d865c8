"""The values of a chart: one table, from which values.yaml, its schema, the templates and the README come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial, reduce
from typing import Any, cast, get_args

from attrs import evolve, frozen

from ..files.schema import field_schema, field_texts, for_files
from ..labels import Component
from ..manifests.jobs import plain
from ..manifests.pods import METRICS, open_ports
from ..props import SpiceDBProps, config_map_keys, secret_keys
from ..props.fields import camel, type_of
from ..props.fieldtypes import Schema
from ..props.flags import flag_of
from ..props.jobs import SchemaProps
from ..props.pod import KEYS
from ..props.secrets import ConfigMapKey, SecretKey
from ..props.server import LOG_LEVEL, ServerProps
from ..props.spicedb import image_parts
from ..props.types import ObjectName, PullPolicy, ReleaseName, Revision
from .accounts import IDENTITY
from .places import Place, argument, entries, field, items, named_items, optional_argument, optional_field

FULLNAME = "cdk8s-spicedb-fullname"
"""The name of the SpiceDB, which the value ``fullnameOverride`` can change."""
_TEXT: Schema = {"type": "string"}
# From 1,000,000, Helm writes numbers as 1e+06.
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 100_000}
_OBJECT: Schema = {"type": "object"}
_BOOLEAN: Schema = {"type": "boolean"}
_LIST: Schema = {"type": "array", "items": _OBJECT}
PULL_SECRETS: Schema = {"type": "array", "items": {"type": ["object", "string"], "required": ["name"]}}
"""Names of Secrets, alone or as in a pod."""
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers.0"
_SERVER, _MIGRATION, _CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP
_SCHEMA, _TEST = Component.SCHEMA, Component.TEST
PATHS = {
    "server": "",
    "migration": "migrations.",
    "cleanup": "migrations.cleanup.",
    "schema": "schema.",
    "test": "test.",
    "pods": "pods.",
}
"""With what the paths of the values begin that stand for a part of the props."""


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
    prop: str = ""
    """The prop that it stands for, such as ``server.replicas``."""
    renders: bool = False
    """Whether `templates` renders templates in its texts."""

    @property
    def optional(self) -> bool:
        """Whether it may be missing, as after a null in Helm."""
        return self.nullable or (bool(self.places) and all(place.optional for place in self.places))

    def with_templates(self) -> Value:
        """The value as a chart has it: its schema accepts templates where Helm renders them, and its default has none,
        because braces in props are text."""
        if not (self.renders or any(place.renders for place in self.places)):
            return self
        return evolve(self, default=_literal(self.default), schema=_with_templates(self.schema))


def _literal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _literal(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return list(map(_literal, value))
    return value.replace("{{", '{{ "{{" }}') if isinstance(value, str) else value


def _with_templates(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    found = {
        name: [_with_templates(each) for each in inner] if name == "anyOf" else _with_templates(inner)
        for name, inner in schema.items()
    }
    if isinstance(found.get("pattern"), str) and found.get("type") == "string":
        return {"anyOf": [found, {"type": "string", "pattern": r"\{\{"}]}
    return found


def _schema_of(annotation: Any) -> Schema:
    return type_of(annotation).schema(lambda _: {})


def _or_empty(schema: Schema) -> Schema:
    """The schema of a value whose default is the empty text."""
    return {"anyOf": [schema, {"const": ""}]}


def _names(props: SpiceDBProps) -> Iterator[Value]:
    """The names of objects and images."""
    schema = _or_empty(_schema_of(ReleaseName))
    text = (
        "Name of the Deployment and the Service. The names of all other objects begin with it. Set a different name "
        f"for each release in a namespace, and never change it later. Defaults to {props.name}, or to the alias if "
        "another chart depends on this one under an alias."
    )
    yield Value("fullnameOverride", "", schema, text, nullable=True, renders=True)
    repository, tag, digest = image_parts(props.full_image)
    text = "Image of the servers and the migration, without the tag."
    yield Value("image.repository", repository, {**_TEXT, "minLength": 1}, text, renders=True)
    # An upgrade with --reuse-values keeps the defaults of the chart before, so these are in the templates.
    own = f" Defaults to {tag or 'none'}" + (f", with the digest {digest}." if digest else ".")
    text = (
        f"Image tag. The flags and the allowed revisions of the database in this chart are for {props.version}. For "
        f"another SpiceDB release, write the chart again.{own}"
    )
    yield Value("image.tag", "", _TEXT, text, nullable=True, renders=True)
    pattern = {**_TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"}
    text = "Image digest. Takes precedence over the tag."
    yield Value("image.digest", "", pattern, text, nullable=True, renders=True)
    policies = {"enum": ["", *get_args(PullPolicy)]}
    place = optional_field(tuple(Component), f"{_CONTAINER}.imagePullPolicy")
    text = "Image pull policy of all pods. Defaults to the default of Kubernetes."
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, text, (place,), prop="image_pull_policy")
    pull_secrets = [{"name": name} for name in props.image_pull_secrets]
    text = (
        "Secrets for all pods to pull images: [{name: …}], or their names. Those of global.imagePullSecrets are added."
    )
    yield Value("imagePullSecrets", pull_secrets, PULL_SECRETS, text, nullable=True, renders=True)
    text = "Lets OpenShift choose the users and groups of all pods, from the range of the namespace."
    yield Value("openshift", props.openshift, {"type": "boolean"}, text)


def _arguments(props: SpiceDBProps, component: Component) -> Iterator[Value]:
    """The arguments that a component gets in addition."""
    arguments = list(getattr(props, component.value).extra_args)
    whose = "servers" if component is _SERVER else component.value
    text = f"More arguments of the {whose}, for flags that the chart does not set."
    place = items(component, f"{_CONTAINER}.args", len(arguments))
    schema = {"type": "array", "items": _TEXT}
    prop = f"{component.value}.extra_args"
    yield Value(f"{PATHS[component.value]}extraArgs", arguments, schema, text, (place,), prop=prop)


def _objects(props: SpiceDBProps) -> Iterator[Value]:
    """Values of the objects around the pods."""
    if props.datastore.max_replicas != 1:
        text = "Creates a PodDisruptionBudget if there is more than one server."
        enabled = props.server.disruption_budget is not None
        yield Value("podDisruptionBudget.enabled", enabled, {"type": "boolean"}, text)
        text = (
            "How servers are spread over nodes, if there is more than one. An item without a labelSelector gets the "
            "servers' labelSelector and matchLabelKeys."
        )
        spread = [
            {"maxSkew": each.max_skew, "topologyKey": each.topology_key, "whenUnsatisfiable": each.when_unsatisfiable}
            for each in props.server.topology_spread
        ]
        yield Value("topologySpreadConstraints", spread, _LIST, text, nullable=True, renders=True)
    text = "Annotations of the ServiceAccounts of the servers and the migration, for workload identity."
    places = tuple(
        entries((component,), "metadata.annotations", (IDENTITY,), "ServiceAccount")
        for component in (_SERVER, _MIGRATION)
        if component is _SERVER or has_default_identity(props)
    )
    annotations, default = field_schema(SpiceDBProps, "annotations"), dict(props.service_account_annotations)
    prop = "service_account_annotations"
    yield Value("serviceAccount.annotations", default, annotations, text, places, prop=prop)
    text, boolean = "Creates Roles and RoleBindings. If false, somebody else must have created them.", _BOOLEAN
    yield Value("rbac.create", props.rbac_create, boolean, text)
    types, service = ["ClusterIP", "NodePort", "LoadBalancer"], field(_SERVER, "spec.type", "Service", FULLNAME)
    text = "Type of the Service for clients. NodePort and LoadBalancer also let in clients from outside the cluster."
    yield Value("service.type", "ClusterIP", {"enum": types}, text, (service,))
    if METRICS in open_ports(props):
        text = (
            "Opens the metrics port also if the type is NodePort or LoadBalancer. The port serves metrics and profiles "
            "of the SpiceDB process (pprof), without a key. A Service of the type ClusterIP always has it."
        )
        yield Value("service.exposeMetrics", False, boolean, text)
    text = (
        "Creates a second Service, with the suffix -headless, whose DNS name has the addresses of all servers, for "
        "gRPC clients that balance their requests themselves."
    )
    yield Value("service.headless", props.server.headless_service, boolean, text)
    default = dict(props.server.service_annotations)
    place = entries((_SERVER,), "metadata.annotations", default, "Service", FULLNAME)
    text, prop = "Annotations of the Service for clients.", "server.service_annotations"
    yield Value("service.annotations", default, annotations, text, (place,), prop=prop)
    text, labels = "Labels of every object except pods. For pods, use podLabels.", field_schema(SpiceDBProps, "labels")
    yield Value("commonLabels", dict(props.labels), labels, text, nullable=True, renders=True)
    text = "Annotations of every object except pods. For pods, use podAnnotations."
    place = entries(tuple(Component), "metadata.annotations", props.annotations)
    yield Value("commonAnnotations", dict(props.annotations), annotations, text, (place,), prop="annotations")
    if has_jobs(props):
        logs = _or_empty({"type": "boolean"})
        text = (
            "Lets Helm print the log of the migration, and the logs of other hooks if they fail. Defaults to true, or "
            "to false if Flux installs the chart, because Flux's helm-controller crashes on the annotation for it."
        )
        yield Value("hookLogs", "" if props.hook_logs is None else props.hook_logs, logs, text, nullable=True)
    text = "More objects for the release, or their text. They may contain templates."
    yield Value("extraObjects", [], {"type": "array", "items": {"type": ["object", "string"]}}, text, nullable=True)


def has_jobs(props: SpiceDBProps) -> bool:
    """Whether the chart has Jobs, whose logs Helm can print."""
    return props.datastore.migrates or props.schema is not None or props.test is not None


def has_default_identity(props: SpiceDBProps) -> bool:
    """Whether the ServiceAccount of the migration has the same annotations as the one of the servers."""
    return props.datastore.migrates and props.migration.service_account_annotations is None


def _servers(props: SpiceDBProps) -> Iterator[Value]:
    value, maximum = partial(_value, props), props.datastore.max_replicas
    if props.server.autoscaling:
        for name in ("min_replicas", "max_replicas"):
            place = field(_SERVER, f"spec.{camel(name)}", "HorizontalPodAutoscaler")
            yield value(f"server.autoscaling.{name}", place)
    else:
        schema = {**_COUNT, **({"maximum": maximum} if maximum else {})}
        yield value("server.replicas", None, schema, props.replicas)
    if maximum != 1:
        external = props.server.autoscaling is not None and props.server.autoscaling.external
        text = (
            "Leaves the number of servers to an autoscaler that is not part of this chart, such as KEDA's: the "
            "Deployment has no replicas, and there is no HorizontalPodAutoscaler."
        )
        yield Value("autoscaling.external", external, {"type": "boolean"}, text)
        share, update = field_schema(ServerProps, "max_unavailable"), "spec.strategy.rollingUpdate"
        surge, unavailable = (field(_SERVER, f"{update}.{name}") for name in ("maxSurge", "maxUnavailable"))
        yield value("server.max_surge", surge, share, props.max_surge, path="rollingUpdate.maxSurge")
        yield value("server.max_unavailable", unavailable, path="rollingUpdate.maxUnavailable")
        budget = field(_SERVER, "spec.maxUnavailable", "PodDisruptionBudget")
        yield value("server.disruption_budget", budget, _COUNT, 1, path="podDisruptionBudget.maxUnavailable")
    yield value("server.log_level", argument(_SERVER, LOG_LEVEL))
    if props.datastore.migrates:
        yield from _argument(props, "server.schema_mode")
        yield from _argument(props, "server.datastore_migration_phase")
        schema, own = {"type": "array", "items": _schema_of(Revision)}, list(props.allowed_migrations)
        known = " ".join(map(json.dumps, own))
        # Its default follows the release, so an upgrade with --reuse-values must not keep the one before.
        loop = f'range kindIs "string" VALUE | ternary (list {known}) VALUE'
        for found in _argument(props, "server.allowed_migrations", loop, schema=_or_empty(schema)):
            text = f"{found.text.partition(' Defaults')[0]} Defaults to {', '.join(own) or 'none'}."
            yield evolve(found, default="", text=text)
    grace = field(_SERVER, f"{_POD}.terminationGracePeriodSeconds")
    yield value("server.termination_grace_period_seconds", grace, _COUNT, props.server.termination_seconds)
    yield from _pods(props, "server")


def _migrations(props: SpiceDBProps) -> Iterator[Value]:
    value = partial(_value, props)
    yield value("migration.enabled")
    yield value("migration.hook")
    yield value("migration.log_level", argument(_MIGRATION, LOG_LEVEL, ".Values.logLevel"))
    known = props.releases.revisions(props.datastore.engine, props.version)
    choice = {"enum": ["", "head", *known]} if known and not props.migration.allow_unknown_target else None
    yield value("migration.target_migration", schema=choice)
    yield value("migration.target_phase")
    yield from _argument(props, "migration.migration_timeout")
    yield from _argument(props, "migration.backfill_batch_size", text="int64 .")
    yield value("migration.restart_policy", field(_MIGRATION, f"{_POD}.restartPolicy"))
    yield value("migration.backoff_limit")
    yield value("migration.active_deadline_seconds", field(_MIGRATION, "spec.activeDeadlineSeconds"))
    yield from _pods(props, "migration")
    yield from _arguments(props, _MIGRATION)
    yield value("cleanup.enabled", schema={"type": "boolean"}, empty=True)
    yield _image_of(props, "cleanup")
    yield value("cleanup.active_deadline_seconds", field(_CLEANUP, "spec.activeDeadlineSeconds"))
    yield from _pods(props, "cleanup")


def _image_of(props: SpiceDBProps, part: str) -> Value:
    """The image of a Job. Its default is in the templates, because an upgrade with --reuse-values keeps values."""
    image = _value(props, f"{part}.image")
    text = f"{image.text} Defaults to {image.default}."
    return evolve(image, default="", schema=_or_empty(image.schema), text=text, nullable=True, renders=True)


def _client(props: SpiceDBProps, part: str) -> Iterator[Value]:
    """The values of a Job that connects to the servers."""
    yield _image_of(props, part)
    yield _value(props, f"{part}.active_deadline_seconds", field(Component(part), "spec.activeDeadlineSeconds"))
    yield from _pods(props, part)


_WHERE = {
    "extra_volume_mounts": f"{_CONTAINER}.volumeMounts",
    "extra_volumes": f"{_POD}.volumes",
    "init_containers": f"{_POD}.initContainers",
    "extra_containers": f"{_POD}.containers",
}


def _pods(props: SpiceDBProps, part: str) -> Iterator[Value]:
    """The values of a component's pods, or of all pods: with ``part`` ``pods``."""
    own, metadata, shared = getattr(props, part), "spec.template.metadata", part == "pods"
    components = tuple(Component) if shared else (Component(part),)

    def value(name: str, *places: Place, schema: Schema | None = None, note: str = "") -> Value:
        return evolve(_value(props, f"{part}.{name}", None, schema, note=note), places=places, nullable=shared)

    if not shared:
        note = "To render no resources, set null. {} keeps the defaults, because Helm merges maps."
        place = optional_field(components, f"{_CONTAINER}.resources")
        yield value("resources", place, schema=_OBJECT, note=note)
    for kind in ("labels", "annotations"):
        yield value(f"pod_{kind}", entries(components, f"{metadata}.{kind}", getattr(own, f"pod_{kind}")))
    yield value("node_selector", entries(components, f"{_POD}.nodeSelector", own.node_selector))
    for name in ("tolerations", "affinity", "priority_class_name"):
        # The values of all pods are the default of those of one kind of pod.
        place = optional_field(components, f"{_POD}.{camel(name)}", f".Values.pods.{camel(name)}")
        yield value(name, *(() if shared else (place,)), schema=_LIST if name == "tolerations" else None)
    yield _account(props, part)
    text = (
        "More environment variables, as in a container's env. You cannot set those that the chart itself sets. They "
        "take precedence over those of pods."
    )
    place = named_items(components, f"{_CONTAINER}.env", "name")
    yield Value(f"{PATHS[part]}extraEnv", [], _LIST, text.partition(" They")[0] if shared else text, (place,))
    for name, where in _WHERE.items():
        key = KEYS[name]
        place = named_items(components, where, key, [item[key] for item in getattr(own, name)])
        yield value(name, place, schema=_LIST)


def _account(props: SpiceDBProps, part: str) -> Value:
    """The value with the name of a ServiceAccount that exists."""
    path, own = f"{PATHS[part]}serviceAccount.name", getattr(props, part).service_account
    whose = {"pods": "all pods", "server": "the servers, and for the migration if it has none of its own"}
    text = f"Existing ServiceAccount for {whose.get(part, f'the {part}')}."
    if part == "server":
        text += " Defaults to a new one with the name of the Deployment."
    schema, prop = _or_empty(_schema_of(ObjectName)), f"{part}.service_account"
    where, default = f"{_POD}.serviceAccountName", ".Values.pods.serviceAccount.name"
    # The templates of the others also decide whether the release has a ServiceAccount of their own.
    places = (optional_field((Component(part),), where, default),) if part in ("schema", "test") else ()
    return Value(path, str(own or ""), schema, text, places, nullable=True, renders=True, prop=prop)


def _argument(
    props: SpiceDBProps, prop: str, loop: str = "with VALUE", text: str = ".", **given: Any
) -> Iterator[Value]:
    """The value of a prop that sets an argument, if the release has its flag. See `optional_argument`."""
    part, name = prop.split(".")
    flag = flag_of(type(getattr(props, part)), name)
    if props.releases.takes(flag, props.version):
        yield _value(props, prop, optional_argument(prop, flag, loop, text), **given)


def _value(
    props: SpiceDBProps,
    prop: str,
    place: Place | None = None,
    schema: Schema | None = None,
    empty: Any = "",
    *,
    path: str | None = None,
    note: str = "",
) -> Value:
    """A value that stands for a prop, which gives its path, default, schema and documentation.

    ``schema`` and ``path`` are for a value that needs others. ``empty`` is the default if the prop is None. ``note`` is
    a sentence after the prop's documentation.
    """
    part, *names = prop.split(".")
    *parts, name = part, *names
    owner: Any = reduce(getattr, parts, props)
    kind, default = cast(Any, type(owner)), plain(getattr(owner, name))
    schema = schema or field_schema(kind, name)
    text, _, meaning = for_files(field_texts(kind).get(name, "")).partition(" Defaults")
    if {"type": "null"} in schema.get("anyOf", ()):
        # A chart's value is never null: to Helm, null removes the key.
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        default, schema = default or "", {"anyOf": [*options, {"const": ""}]}
    default = empty if default is None else default
    if default == "" and meaning:
        # An empty value means the default of the prop.
        text = f"{text} Defaults{meaning.partition('. ')[0].rstrip('.')}."
    path = path or PATHS[part] + ".".join(map(camel, names))
    return Value(path, default, schema, f"{text} {note}".rstrip(), (place,) if place else (), prop=prop)


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    found = [*_names(props), *_pods(props, "pods"), *_servers(props), *_arguments(props, _SERVER), *_objects(props)]
    found += _secrets(props)
    found += _migrations(props) if props.datastore.migrates else ()
    found += _schema(props, props.schema) if props.schema else ()
    found += _client(props, "test") if props.test else ()
    return [value.with_templates() for value in found]


def _schema(props: SpiceDBProps, schema: SchemaProps) -> Iterator[Value]:
    """Where the SpiceDB schema is, and the Job that writes it. A chart without its text needs a ConfigMap."""
    name = field_schema(SchemaProps, "config_map")["anyOf"][0]
    text = "Existing ConfigMap that holds the SpiceDB schema." + (
        " Defaults to the chart's own." if schema.text else ""
    )
    name = _or_empty(name) if schema.text else name
    yield Value("schema.configMap", schema.config_map or "", name, text, renders=True)
    text, key = "Key in that ConfigMap.", field_schema(SchemaProps, "config_map_key")
    yield Value("schema.configMapKey", schema.config_map_key, key, text, renders=True)
    yield from _client(props, "schema")


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def config_maps(props: SpiceDBProps) -> dict[ConfigMapKey, str]:
    """The name of the value for each key of a ConfigMap."""
    return {key: camel(name) for key, name in config_map_keys(props).items()}


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        name = str(key.name)
        yield Value(f"{path}.name", name, field_schema(SecretKey, "name"), "Name of the Secret.", renders=True)
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "Key in the Secret.", renders=True)
    for other, name in config_maps(props).items():
        path, schema = f"configMaps.{name}", field_schema(ConfigMapKey, "config_map")
        yield Value(f"{path}.name", other.config_map, schema, "Name of the ConfigMap.", renders=True)
        schema = field_schema(ConfigMapKey, "key")
        yield Value(f"{path}.key", other.key, schema, "Key in the ConfigMap.", renders=True)
