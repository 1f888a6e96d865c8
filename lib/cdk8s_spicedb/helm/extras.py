"""The values of a chart that no prop has, or that stand for more than one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from ..files.schema import field_schema
from ..labels import Component
from ..props import SpiceDBProps
from ..props.image import image_parts
from ..props.kinds import Schema
from ..props.types import PullPolicy, ReleaseName
from .names import FULLNAME, IDENTITY
from .places import entries, field, items, optional_field
from .value import CONTAINER, LIST, MIGRATION, POD, SERVER, TEXT, Value, schema_of


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
