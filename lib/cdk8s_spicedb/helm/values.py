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
from ..props import SpiceDBProps, secret_keys
from ..props.fields import camel, type_of
from ..props.fieldtypes import Schema
from ..props.flags import flag_of
from ..props.jobs import SchemaProps
from ..props.secrets import SecretKey
from ..props.server import LOG_LEVEL, ServerProps
from ..props.spicedb import image_parts
from ..props.types import ObjectName, PullPolicy, ReleaseName, Revision
from .places import Place, argument, entries, field, items, optional_argument, optional_field

FULLNAME = "cdk8s-spicedb-fullname"
"""The name of the SpiceDB, which the value ``fullnameOverride`` can change."""
ACCOUNT = "cdk8s-spicedb-account"
"""The ServiceAccount of the servers, which the value ``serviceAccount.name`` can change."""
IDENTITY = "cdk8s-spicedb-identity"
"""An annotation of the ServiceAccounts, which the value ``serviceAccount.annotations`` replaces."""

_TEXT: Schema = {"type": "string"}
# From 1,000,000, Helm writes numbers as 1e+06.
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 100_000}
_OBJECT: Schema = {"type": "object"}
_LIST: Schema = {"type": "array", "items": _OBJECT}
PULL_SECRETS: Schema = {"type": "array", "items": {"type": ["object", "string"], "required": ["name"]}}
"""Names of Secrets, alone or as in a pod."""
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers.0"
_SERVER, _MIGRATION, _CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP
_PATHS = {_SERVER: "", _MIGRATION: "migrations.", _CLEANUP: "migrations.cleanup."}
"""With what the paths of a component's values begin."""


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
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, text, (place,))
    pull_secrets = [{"name": name} for name in props.image_pull_secrets]
    text = (
        "Secrets for all pods to pull images: [{name: …}], or their names. Those of global.imagePullSecrets are added."
    )
    yield Value("imagePullSecrets", pull_secrets, PULL_SECRETS, text, nullable=True, renders=True)
    text = "Lets OpenShift choose the users and groups of all pods, from the range of the namespace."
    yield Value("openshift", props.openshift, {"type": "boolean"}, text)


def _lists(props: SpiceDBProps, component: Component) -> Iterator[Value]:
    """What a component's pods get in addition."""
    path, whose = _PATHS[component], "servers" if component is _SERVER else component.value
    arguments = list(getattr(props, component.value).extra_args)
    text = f"More arguments of the {whose}, after the chart's own, so that they take precedence."
    place = items(component, f"{_CONTAINER}.args", len(arguments))
    yield Value(f"{path}extraArgs", arguments, {"type": "array", "items": _TEXT}, text, (place,))
    mounts = "More volume mounts of the {}, as in a container's volumeMounts."
    more = {
        "extraEnv": (f"{_CONTAINER}.env", "More environment variables of the {}, as in a container's env."),
        "extraVolumeMounts": (f"{_CONTAINER}.volumeMounts", mounts),
        "extraVolumes": (f"{_POD}.volumes", "More volumes of the {}, as in a pod's volumes."),
    }
    if component is _SERVER:
        text = "Containers that run before the servers start, as in a pod's initContainers."
        more |= {
            "extraContainers": (f"{_POD}.containers", "More containers of the {}' pods, as in a pod's containers."),
            "initContainers": (f"{_POD}.initContainers", text),
        }
    for name, (where, text) in more.items():
        yield Value(f"{path}{name}", [], _LIST, text.format(whose), (items(component, where),))


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
    account = _or_empty(_schema_of(ObjectName))
    text = "Existing ServiceAccount for the servers. Defaults to a new one with the name of the Deployment."
    name = str(props.server.service_account or "")
    yield Value("serviceAccount.name", name, account, text, nullable=True, renders=True)
    text = "Annotations of the ServiceAccounts of the servers and the migration, for workload identity."
    places = tuple(
        entries((component,), "metadata.annotations", (IDENTITY,), "ServiceAccount")
        for component in (_SERVER, _MIGRATION)
        if component is _SERVER or has_default_identity(props)
    )
    annotations = field_schema(SpiceDBProps, "annotations")
    yield Value("serviceAccount.annotations", dict(props.service_account_annotations), annotations, text, places)
    types, service = ["ClusterIP", "NodePort", "LoadBalancer"], field(_SERVER, "spec.type", "Service", FULLNAME)
    yield Value("service.type", "ClusterIP", {"enum": types}, "Type of the Service for clients.", (service,))
    default = dict(props.server.service_annotations)
    place = entries((_SERVER,), "metadata.annotations", default, "Service", FULLNAME)
    yield Value("service.annotations", default, annotations, "Annotations of the Service for clients.", (place,))
    text, labels = "Labels of every object except pods. For pods, use podLabels.", field_schema(SpiceDBProps, "labels")
    yield Value("commonLabels", dict(props.labels), labels, text, nullable=True, renders=True)
    text = "Annotations of every object except pods. For pods, use podAnnotations."
    place = entries(tuple(Component), "metadata.annotations", props.annotations)
    yield Value("commonAnnotations", dict(props.annotations), annotations, text, (place,))
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
    migration = props.migration
    shared = migration.service_account is None and migration.service_account_annotations is None
    return shared and props.datastore.migrates


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
    yield from _pods(props, _SERVER)


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
    yield from _pods(props, _MIGRATION)
    yield from _lists(props, _MIGRATION)
    yield value("cleanup.enabled", schema={"type": "boolean"}, empty=True)
    image = value("cleanup.image")
    text = f"{image.text} Defaults to {image.default}."
    yield evolve(image, default="", schema=_or_empty(image.schema), text=text, nullable=True, renders=True)
    yield value("cleanup.active_deadline_seconds", field(_CLEANUP, "spec.activeDeadlineSeconds"))
    yield from _pods(props, _CLEANUP)


def _pods(props: SpiceDBProps, component: Component) -> Iterator[Value]:
    """The values of a component's pods."""
    value, part, metadata = partial(_value, props), component.value, "spec.template.metadata"
    resources = optional_field((component,), f"{_CONTAINER}.resources")
    note = "To render no resources, set null. {} keeps the defaults, because Helm merges maps."
    yield value(f"{part}.resources", resources, _OBJECT, note=note)
    for kind in ("labels", "annotations"):
        place = entries((component,), f"{metadata}.{kind}", getattr(getattr(props, part), f"pod_{kind}"))
        yield value(f"{part}.pod_{kind}", place)
    for name in ("node_selector", "tolerations", "affinity", "priority_class_name"):
        place = optional_field((component,), f"{_POD}.{camel(name)}")
        yield value(f"{part}.{name}", place, _LIST if name == "tolerations" else None)


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
    path = path or _PATHS[Component(part)] + ".".join(map(camel, names))
    return Value(path, default, schema, f"{text} {note}".rstrip(), (place,) if place else ())


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    found = [*_names(props), *_servers(props), *_lists(props, _SERVER), *_objects(props), *_secrets(props)]
    found += _schema(props.schema) if props.schema else ()
    found += _migrations(props) if props.datastore.migrates else ()
    return [value.with_templates() for value in found]


def _schema(schema: SchemaProps) -> Iterator[Value]:
    """Where the SpiceDB schema is. A chart without its text needs a ConfigMap."""
    name = field_schema(SchemaProps, "config_map")["anyOf"][0]
    text = "Existing ConfigMap that holds the SpiceDB schema." + (
        " Defaults to the chart's own." if schema.text else ""
    )
    name = _or_empty(name) if schema.text else name
    yield Value("schema.configMap", schema.config_map or "", name, text, renders=True)
    text, key = "Key in that ConfigMap.", field_schema(SchemaProps, "config_map_key")
    yield Value("schema.configMapKey", schema.config_map_key, key, text, renders=True)


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        name = str(key.name)
        yield Value(f"{path}.name", name, field_schema(SecretKey, "name"), "Name of the Secret.", renders=True)
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "Key in the Secret.", renders=True)
