"""The values of a chart: one table, from which values.yaml, its schema, the templates and the README come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, get_args

from attrs import evolve

from ..errors import InvalidProps, Problem
from ..files.schema import field_schema
from ..labels import OF_HELM, Component
from ..manifests.pods import METRICS, open_ports
from ..props import SpiceDBProps
from ..props.fields import camel
from ..props.fieldtypes import show
from ..props.flags import flag_of
from ..props.jobs import SchemaProps
from ..props.secrets import ConfigMapKey, SecretKey
from ..props.server import LOG_LEVEL, ServerProps
from ..props.spicedb import image_parts
from ..props.types import PullPolicy, ReleaseName, Revision
from .accounts import IDENTITY
from .places import argument, entries, field, items, optional_argument, optional_field
from .pods import backup_values, client_values, job_image, pod_values
from .value import (
    BESIDE_ZED,
    BOOLEAN,
    CONTAINER,
    COUNT,
    FULLNAME,
    LIST,
    PATHS,
    POD,
    PULL_SECRETS,
    TEXT,
    Value,
    config_maps,
    or_empty,
    schema_of,
    secrets,
    value_of,
)

_SERVER, _MIGRATION, _CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP


def _names(props: SpiceDBProps) -> Iterator[Value]:
    """The names of objects and images."""
    schema = or_empty(schema_of(ReleaseName))
    text = (
        "Name of the Deployment and the Service. The names of all other objects begin with it. Set a different name "
        f"for each release in a namespace, and never change it later. Defaults to {props.name}, or to the alias if "
        "another chart depends on this one under an alias."
    )
    yield Value("fullnameOverride", "", schema, text, nullable=True, renders=True)
    repository, tag, digest = image_parts(props.full_image)
    text = "Image of the servers and the migration, without the tag."
    yield Value("image.repository", repository, {**TEXT, "minLength": 1}, text, renders=True)
    # An upgrade with --reuse-values keeps the defaults of the chart before, so these are in the templates.
    own = f" Defaults to {tag or 'none'}" + (f", with the digest {digest}." if digest else ".")
    text = (
        f"Image tag. The flags and the allowed revisions of the database in this chart are for {props.version}. For "
        f"another SpiceDB release, write the chart again.{own}"
    )
    yield Value("image.tag", "", TEXT, text, nullable=True, renders=True)
    pattern = {**TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"}
    text = "Image digest. Takes precedence over the tag."
    yield Value("image.digest", "", pattern, text, nullable=True, renders=True)
    policies = {"enum": ["", *get_args(PullPolicy)]}
    places = (
        optional_field(tuple(Component), f"{CONTAINER}.imagePullPolicy"),
        *(optional_field((Component.BACKUP,), f"{container}.imagePullPolicy") for container in BESIDE_ZED),
    )
    text = "Image pull policy of all pods. Defaults to the default of Kubernetes."
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, text, places, prop="image_pull_policy")
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
    place = items(component, f"{CONTAINER}.args", len(arguments))
    schema = {"type": "array", "items": {**TEXT, "pattern": "^--"}}
    prop = f"{component.value}.extra_args"
    yield Value(f"{PATHS[component.value]}extraArgs", arguments, schema, text, (place,), prop=prop)


def _require_free_labels(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` if a label is one that every object of a chart has."""
    taken = [key for key in OF_HELM if key in props.labels]
    allowed = "labels that no chart sets on its objects"
    if taken:
        raise InvalidProps(
            type(props).__name__,
            [Problem(f"labels[{key}]", show(props.labels[key]), allowed, "remove it") for key in taken],
        )


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
        yield Value("topologySpreadConstraints", spread, LIST, text, nullable=True, renders=True)
    text = "Annotations of the ServiceAccounts of the servers and the migration, for workload identity."
    places = tuple(
        entries((component,), "metadata.annotations", (IDENTITY,), "ServiceAccount")
        for component in (_SERVER, _MIGRATION)
        if component is _SERVER or has_default_identity(props)
    )
    annotations, default = field_schema(SpiceDBProps, "annotations"), dict(props.service_account_annotations)
    prop = "service_account_annotations"
    yield Value("serviceAccount.annotations", default, annotations, text, places, prop=prop)
    text, boolean = "Creates Roles and RoleBindings. If false, somebody else must have created them.", BOOLEAN
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
    labels = {**labels, "allOf": [{"propertyNames": {"not": {"enum": list(OF_HELM)}}}]}
    yield Value("commonLabels", dict(props.labels), labels, text, nullable=True, renders=True)
    text = "Annotations of every object except pods. For pods, use podAnnotations."
    place = entries(tuple(Component), "metadata.annotations", props.annotations)
    yield Value("commonAnnotations", dict(props.annotations), annotations, text, (place,), prop="annotations")
    if has_jobs(props):
        logs = or_empty({"type": "boolean"})
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
    value, maximum = partial(value_of, props), props.datastore.max_replicas
    if props.server.autoscaling:
        for name in ("min_replicas", "max_replicas"):
            place = field(_SERVER, f"spec.{camel(name)}", "HorizontalPodAutoscaler")
            yield value(f"server.autoscaling.{name}", place)
    else:
        schema = {**COUNT, **({"maximum": maximum} if maximum else {})}
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
        yield value("server.disruption_budget", budget, COUNT, 1, path="podDisruptionBudget.maxUnavailable")
    yield value("server.log_level", argument(_SERVER, LOG_LEVEL))
    if props.datastore.migrates:
        yield from _argument(props, "server.schema_mode")
        yield from _argument(props, "server.datastore_migration_phase")
        schema, own = {"type": "array", "items": schema_of(Revision)}, list(props.allowed_migrations)
        known = " ".join(map(json.dumps, own))
        # Its default follows the release, so an upgrade with --reuse-values must not keep the one before.
        loop = f'range kindIs "string" VALUE | ternary (list {known}) VALUE'
        for found in _argument(props, "server.allowed_migrations", loop, schema=or_empty(schema)):
            text = f"{found.text.partition(' Defaults')[0]} Defaults to {', '.join(own) or 'none'}."
            yield evolve(found, default="", text=text)
    grace = field(_SERVER, f"{POD}.terminationGracePeriodSeconds")
    yield value("server.termination_grace_period_seconds", grace, COUNT, props.server.termination_seconds)
    yield from pod_values(props, "server")


def _migrations(props: SpiceDBProps) -> Iterator[Value]:
    value = partial(value_of, props)
    yield value("migration.enabled")
    yield value("migration.hook")
    yield value("migration.log_level", argument(_MIGRATION, LOG_LEVEL, ".Values.logLevel"))
    known = props.releases.revisions(props.datastore.engine, props.version)
    choice = {"enum": ["", "head", *known]} if known and not props.migration.allow_unknown_target else None
    yield value("migration.target_migration", schema=choice)
    yield value("migration.target_phase")
    yield from _argument(props, "migration.migration_timeout")
    yield from _argument(props, "migration.backfill_batch_size", text="int64 .")
    yield value("migration.restart_policy", field(_MIGRATION, f"{POD}.restartPolicy"))
    yield value("migration.backoff_limit")
    yield value("migration.active_deadline_seconds", field(_MIGRATION, "spec.activeDeadlineSeconds"))
    yield from pod_values(props, "migration")
    yield from _arguments(props, _MIGRATION)
    yield value("cleanup.enabled", schema={"type": "boolean"}, empty=True)
    yield job_image(props, "cleanup")
    yield value("cleanup.active_deadline_seconds", field(_CLEANUP, "spec.activeDeadlineSeconds"))
    yield from pod_values(props, "cleanup")


def _argument(
    props: SpiceDBProps, prop: str, loop: str = "with VALUE", text: str = ".", **given: Any
) -> Iterator[Value]:
    """The value of a prop that sets an argument, if the release has its flag. See `optional_argument`."""
    part, name = prop.split(".")
    flag = flag_of(type(getattr(props, part)), name)
    if props.releases.takes(flag, props.version):
        yield value_of(props, prop, optional_argument(prop, flag, loop, text), **given)


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    _require_free_labels(props)
    found = [
        *_names(props),
        *pod_values(props, "pods"),
        *_servers(props),
        *_arguments(props, _SERVER),
        *_objects(props),
    ]
    found += _secrets(props)
    found += _migrations(props) if props.datastore.migrates else ()
    found += _schema(props, props.schema) if props.schema else ()
    found += client_values(props, "test") if props.test else ()
    found += backup_values(props, props.backup) if props.backup else ()
    return [value.with_templates() for value in found]


def _schema(props: SpiceDBProps, schema: SchemaProps) -> Iterator[Value]:
    """Where the SpiceDB schema is, and the Job that writes it. A chart without its text needs a ConfigMap."""
    name = field_schema(SchemaProps, "config_map")["anyOf"][0]
    text = "Existing ConfigMap that holds the SpiceDB schema." + (
        " Defaults to the chart's own." if schema.text else ""
    )
    name = or_empty(name) if schema.text else name
    yield Value("schema.configMap", schema.config_map or "", name, text, renders=True)
    text, key = "Key in that ConfigMap.", field_schema(SchemaProps, "config_map_key")
    yield Value("schema.configMapKey", schema.config_map_key, key, text, renders=True)
    yield from client_values(props, "schema")


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
