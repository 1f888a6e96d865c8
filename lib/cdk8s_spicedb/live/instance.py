"""An instance: what its Deployment says, and the picture of everything that runs of it at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property

from attrs import define, field, frozen

from ..delivery import Applier as Applier
from ..delivery import applied_by
from ..errors import SpiceDBError
from ..labels import (
    COMPONENT,
    INSTANCE,
    JOB_NAME,
    RECOMMENDED,
    REVISION,
    VERSION,
    Component,
    selector_labels,
    selector_text,
)
from ..manifests.objects import Manifest
from ..props.flags import ENGINE, variable_name
from ..props.server import MIGRATION_PHASE, SCHEMA_MODE
from ..text import some_of
from ..versions import ALLOWED_MIGRATIONS, is_version
from .apierror import SHAPE, ClusterError
from .cluster import DEPLOYMENT, Cluster, items_of


@frozen(kw_only=True)
class Running:
    """The servers of one SpiceDB, as their Deployment describes them."""

    name: str
    """Name of the Deployment."""
    namespace: str
    """Namespace of the Deployment."""
    ours: bool
    """Whether this package made the release. Of other releases, only part is known."""
    applier: Applier
    """Program that applied the release."""
    applied_as: str | None
    """Name of the Helm release, Argo CD Application or Flux object. None with kubectl."""
    version: str | None
    """SpiceDB version of the servers that are wanted. None if neither label nor image tag names one."""
    engine: str | None
    """Engine of the datastore. None if it is not in the Deployment, such as in a Secret."""
    replicas: int
    """Number of servers that are wanted."""
    arguments: Mapping[str, str]
    """Arguments of the servers by flag, without dashes. Several values of a flag are joined with commas."""
    template: Manifest
    """Pod template of the Deployment."""
    revision: str
    """Revision of the Deployment (``deployment.kubernetes.io/revision``)."""

    @property
    def made_as(self) -> str | None:
        """The name with which this package made the servers, if something has changed it since, such as kustomize."""
        labels = self.template["metadata"].get("labels", {})
        name = str(labels.get(INSTANCE, ""))
        ours = selector_labels(name, Component.SERVER).items() <= labels.items()
        return name if ours and name != self.name else None

    @property
    def made_for(self) -> str | None:
        """The release for which this package made the servers, if the tag of their image names another one."""
        label = self.template["metadata"].get("labels", {}).get(VERSION)
        # A tag may have a suffix, such as v1.56.0-amd64.
        other = self.version is not None and not f"{self.version}-".startswith(f"{label}-")
        return label if self.ours and is_version(str(label)) and other else None

    @property
    def schema_mode(self) -> str | None:
        """Schema mode of the servers. None: SpiceDB's default."""
        return self.arguments.get(SCHEMA_MODE)

    @property
    def migration_phase(self) -> str | None:
        """Datastore migration phase of the servers. None: no phase."""
        return self.arguments.get(MIGRATION_PHASE)

    @property
    def allowed_migrations(self) -> Sequence[str]:
        """Revisions on which the servers start, in addition to their own head."""
        value = self.arguments.get(ALLOWED_MIGRATIONS, "")
        return tuple(part for part in value.split(",") if part)


@frozen(kw_only=True)
class HelmRelease:
    """A revision of a Helm release."""

    release: str
    """Name of the release."""
    revision: int
    """Number of the revision."""
    status: str
    """Helm's word for its state, such as ``deployed``, ``failed`` or ``pending-upgrade``."""
    created: str
    """Time at which Helm began it (ISO 8601)."""
    secret: str
    """Name of the Secret in which Helm keeps it."""


@define(slots=False, frozen=True, kw_only=True)
class Observed:
    """What the cluster says about one instance, at one moment. `workload` has all judgements about it."""

    name: str
    """Name of the instance."""
    namespace: str
    """Its namespace."""
    at: datetime
    """When this was read: by the API server's clock if a pod is terminating, otherwise by this machine's clock."""
    second: float
    """The moment, in seconds of a clock that never goes backwards."""
    deployment: Manifest | None = None
    """Its Deployment. None if no server was installed."""
    pods: tuple[Manifest, ...] = ()
    """Its pods: those of the servers and, if this package made the release, all others with its labels."""
    jobs: tuple[Manifest, ...] = ()
    """Its migration Jobs, oldest first."""
    log: tuple[str, ...] = ()
    """The last lines of the log of the newest migration, if it has not succeeded."""
    replica_sets: tuple[Manifest, ...] = ()
    """The ReplicaSets of its servers. Only read to watch a roll-out."""
    endpoints: tuple[Manifest, ...] = ()
    """The EndpointSlices of its Service. Only read to watch a roll-out, while no migration runs."""
    helm: tuple[HelmRelease, ...] = ()
    """The revisions of its Helm release, oldest first. Only read on request."""
    unknown: Mapping[str, ClusterError] = field(factory=dict)
    """What could not be read, such as for lack of a right, and why, by the name of the field above."""

    @cached_property
    def running(self) -> Running | None:
        """What the Deployment says. None if no server was installed."""
        return describe(self.deployment) if self.deployment else None

    @property
    def servers(self) -> list[Manifest]:
        """The pods of the servers, among them those that terminate."""
        if self.running and not self.running.ours:
            return list(self.pods)
        return [each for each in self.pods if _component(each) == Component.SERVER.value]

    @property
    def migration_pods(self) -> list[Manifest]:
        """The pods of the migration."""
        return [each for each in self.job_pods if _component(each) == Component.MIGRATION.value]

    @property
    def job_pods(self) -> list[Manifest]:
        """The pods of all Jobs that belong to a roll-out: the migration, the clean-up, the schema and the test."""
        # The pod that asks the database has the labels of the migration's, for network policies, but no Job.
        found = [each for each in self.pods if JOB_NAME in (each["metadata"].get("labels") or {})]
        return [each for each in found if _component(each) != Component.BACKUP.value]

    def need(self, *names: str) -> None:
        """Raises the `ClusterError` of the first of these fields that could not be read."""
        for name in names:
            if name in self.unknown:
                raise self.unknown[name]


class MissingError(SpiceDBError):
    """No SpiceDB in the namespace has this name."""

    def __init__(self, name: str, namespace: str, others: Sequence[str] = (), fix: str = "") -> None:
        has = f", which has {some_of(sorted(others), _SHOWN)}" if others else ""
        super().__init__(
            f"there is no Deployment {name} in the namespace {namespace}{has}; check the name, --namespace and "
            f"--context{fix or _INSTALL}"
        )

    @classmethod
    def among(cls, cluster: Cluster, name: str, fix: str = "") -> MissingError:
        """The error with the names of the SpiceDBs that are there: a Helm release can have a longer name than its
        chart."""
        others: list[str] = []
        with suppress(ClusterError):  # They only help.
            others = [str(each["metadata"]["name"]) for each in find_all(cluster)]
        return cls(name, cluster.namespace, others, fix)


_INSTALL = ", or install this SpiceDB first, with `cdk8s-spicedb install`"
_SHOWN = 5
"""How many names an error shows."""


def find_running(cluster: Cluster, name: str) -> Running | None:
    """The SpiceDB with this name in the namespace. None if there is none."""
    deployment = cluster.get(DEPLOYMENT, name)
    return describe(deployment) if deployment else None


def require_running(cluster: Cluster, name: str) -> Running:
    """What `find_running` returns. Raises `MissingError` if there is none."""
    found = find_running(cluster, name)
    if found is None:
        raise MissingError.among(cluster, name)
    return found


def find_all(cluster: Cluster, *, everywhere: bool = False) -> list[Manifest]:
    """The Deployments of all SpiceDBs in the namespace, or in all namespaces."""
    return [each for each in cluster.find(DEPLOYMENT, everywhere=everywhere) if _serves(each)]


def _serves(deployment: Manifest) -> bool:
    try:
        return _container(deployment) is not None
    except SHAPE:  # It may be of any program.
        return False


def selector_of(running: Running) -> str:
    """The label selector of the servers."""
    if running.ours:
        return selector_text(running.name, Component.SERVER)
    labels = running.template["metadata"].get("labels", {})
    own = {key: value for key, value in labels.items() if key.startswith(RECOMMENDED)}
    return ",".join(f"{key}={value}" for key, value in (own or labels).items())


def _container(deployment: Manifest) -> Manifest | None:
    """The container that serves SpiceDB."""
    for container in items_of(deployment, "spec", "template", "spec", "containers"):
        words = [*container.get("command", ()), *container.get("args", ())]
        image = container.get("image", "").partition("@")[0].rpartition("/")[2].partition(":")[0]
        if image == "spicedb" and "operator" not in deployment["metadata"]["name"]:
            return dict(container)
        if any(word.rpartition("/")[2] == "spicedb" for word in words[:2]) and "serve" in words[:3]:
            return dict(container)
    return None


def describe(deployment: Manifest) -> Running:
    """What a Deployment says about its SpiceDB."""
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    container = _container(deployment) or template["spec"]["containers"][0]
    own = selector_labels(metadata["name"], Component.SERVER)
    applier, applied_as = applied_by(metadata)
    arguments = _arguments(container)
    env = {item["name"]: item.get("value") for item in container.get("env", ())}
    return Running(
        name=metadata["name"],
        namespace=metadata["namespace"],
        ours=own.items() <= metadata.get("labels", {}).items(),
        applier=applier,
        applied_as=applied_as,
        version=version_of(template, container["image"]),
        engine=arguments.get(ENGINE) or env.get(variable_name(ENGINE)),
        replicas=deployment["spec"].get("replicas", 1),
        arguments=arguments,
        template=template,
        revision=revision_of(deployment),
    )


def revision_of(manifest: Manifest) -> str:
    """The revision of a Deployment or a ReplicaSet. Empty before Kubernetes has numbered it."""
    return str(manifest["metadata"].get("annotations", {}).get(REVISION, ""))


def version_of(template: Manifest, image: str) -> str | None:
    """The SpiceDB version of a pod or a pod template: the tag of its image, or else its label."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    label = template["metadata"].get("labels", {}).get(VERSION, "")
    for found in (tag, f"v{tag}", label, f"v{label}"):
        if is_version(found):
            return found
    return None


def _arguments(container: Manifest) -> dict[str, str]:
    """The arguments of the form ``--flag=value``."""
    found: dict[str, list[str]] = {}
    for word in (*container.get("command", ()), *container.get("args", ())):
        if word.startswith("--"):
            flag, _, value = word[2:].partition("=")
            found.setdefault(flag, []).append(value)
    return {flag: ",".join(values) for flag, values in found.items()}


def _component(pod: Manifest) -> str | None:
    component: str | None = (pod["metadata"].get("labels") or {}).get(COMPONENT)
    return component
