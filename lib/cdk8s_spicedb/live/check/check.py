"""Checks whether a release can be installed or upgraded, before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from attrs import frozen

from ...labels import POD_SECURITY
from ...manifests import release_manifests
from ...manifests.objects import Manifest
from ...plans.plan import UpgradePlan
from ...props import SpiceDBProps
from ..apierror import Forbidden, OddAnswer, reads
from ..cluster import NAMESPACE, Cluster
from ..instance import Observed
from ..observe import observe
from ..poll import parallel
from .access import claim_findings, needs, right_findings, secret_findings
from .admission import object_findings, pod_findings
from .advisories import advisory_findings
from .backup import backup_findings
from .database import check_database
from .finding import Finding, Level
from .images import image_findings
from .nodes import node_findings
from .plan import Planned, planned, running_servers, server_findings, step_images, time_findings
from .quota import quota_findings
from .schema import schema_findings


@reads("the namespace")
def namespace_finding(cluster: Cluster) -> Finding:
    """Whether the namespace exists. Also true if you have no right to read it."""
    subject = f"Namespace {cluster.namespace}"
    try:
        namespace = cluster.get(NAMESPACE, cluster.namespace)
    except Forbidden:
        return Finding.ok(subject, "not checked: you have no permission to get namespaces, and do not need it")
    if namespace is None:
        fix = f"create it with `kubectl create namespace {cluster.namespace}`, or set --namespace or --context"
        return Finding.failure(subject, "does not exist", fix)
    if "deletionTimestamp" in namespace["metadata"]:
        return Finding.failure(subject, "is being deleted", "wait until it is gone, then create it again")
    level = namespace["metadata"].get("labels", {}).get(POD_SECURITY)
    return Finding.ok(subject, f"exists, and enforces the Pod Security Standard {level}" if level else "exists")


_Group = Callable[[], Iterable[Finding]]


@frozen(kw_only=True)
class CheckReport:
    """What a check found."""

    findings: Sequence[Finding]
    """The findings, grouped by subject."""
    plan: UpgradePlan | None
    """The steps from the release that runs to the one of the props. None if nothing runs, or if there is no plan."""

    @property
    def ok(self) -> bool:
        """Whether there is no failure. There may be warnings."""
        return not self.count(Level.FAILURE)

    def count(self, level: Level) -> int:
        """The number of findings of a level."""
        return sum(finding.level is level for finding in self.findings)


@frozen(kw_only=True)
class CheckOptions:
    """What is checked. The parameters of `check` have the same names."""

    database: bool = True
    """Whether to ask the database, with a pod that runs for a moment."""
    database_image: str | None = None
    """Image of that pod. Defaults to the official image of the engine."""
    pull_images: bool = False
    """Whether to pull each image, with pods that run for a moment."""
    schema: bool = True
    """Whether each new release tries the SpiceDB schema, with pods that run for a moment."""


def check(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    database: bool = True,
    database_image: str | None = None,
    pull_images: bool = False,
    schema: bool = True,
) -> CheckReport:
    """Checks a release: its nodes, Secrets, rights, objects, pods, quotas, images, SpiceDB schema, database, and the
    plan of its upgrade.

    Nothing changes in the cluster: the check asks, makes dry runs, and starts short-lived pods to ask the database, to
    try the SpiceDB schema with new releases and, with ``pull_images``, to pull the images of the release and of the
    steps of the plan. Raises `ClusterError` if the
    cluster cannot be reached.
    """
    options = CheckOptions(database=database, database_image=database_image, pull_images=pull_images, schema=schema)
    namespace = namespace_finding(cluster)
    if namespace.level is Level.FAILURE:
        return CheckReport(findings=(namespace,), plan=None)
    seen: Observed | None = None
    try:
        seen = observe(cluster, props.name, helm=True)
        upgrade = planned(cluster, props, seen.running)
    except Forbidden as error:
        upgrade = Planned(findings=(_forbidden("Plan", error),), known=False)
    return check_planned(cluster, props, options, seen, upgrade, namespace)


def check_planned(
    cluster: Cluster,
    props: SpiceDBProps,
    options: CheckOptions,
    seen: Observed | None,
    upgrade: Planned,
    namespace: Finding | None = None,
) -> CheckReport:
    """What `check` returns, for what was observed and planned already."""
    manifests, count = release_manifests(props), running_servers(seen)
    template = seen.running.template if seen and seen.running else None
    # By the subject of what is not allowed to be asked.
    groups: dict[str, _Group] = {
        "Servers": lambda: server_findings(cluster, props, seen, goes_on=upgrade.goes_on),
        "Nodes": lambda: node_findings(cluster, props, seen.servers if seen else ()),
        "Known faults": lambda: advisory_findings(cluster, props),
        "Secrets": lambda: secret_findings(cluster, props, manifests),
        "Claims": lambda: claim_findings(cluster, props),
        "Rights": lambda: right_findings(cluster, needs(props, manifests, rewrites_schema=upgrade.rewrites_schema)),
        "Objects": lambda: object_findings(cluster, props.delivery, manifests, installs=upgrade.installs),
        "Pods": lambda: pod_findings(cluster, manifests),
        "Backup": lambda: backup_findings(cluster, props, upgrade),
    }
    if upgrade.known:
        groups["ResourceQuotas"] = lambda: quota_findings(cluster, props, manifests, template, count)
    # Their pods count in quotas, so they start after these are read.
    pods: dict[str, _Group] = {
        "Images": lambda: _images(cluster, props, manifests, upgrade, pull=options.pull_images),
        "SpiceDB schema": lambda: _schema(cluster, props, upgrade, options),
        "Database": lambda: _database(cluster, props, upgrade, count, options),
    }
    servers, *rest = [*_side_by_side(groups), *_side_by_side(pods)]
    findings = [namespace or namespace_finding(cluster), *servers, *upgrade.findings, *chain(*rest)]
    return CheckReport(findings=tuple(findings), plan=upgrade.plan)


def _side_by_side(groups: Mapping[str, _Group]) -> list[list[Finding]]:
    """The findings of each group, in the order of the groups, up to a request that is not allowed."""

    def guarded(subject: str, group: _Group) -> Iterator[Finding]:
        try:
            yield from reads(subject)(lambda: [*group()])()
        except Forbidden as error:
            yield _forbidden(subject, error)
        except OddAnswer as error:
            yield Finding.warning(subject, f"not checked: {error}", "see what is in the cluster with kubectl")

    return parallel(lambda group: list(guarded(*group)), groups.items())


def _forbidden(subject: str, error: Forbidden) -> Finding:
    return Finding.warning(subject, f"not checked in full: {error}", "ask for the permission that the message names")


def _images(
    cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest], upgrade: Planned, *, pull: bool
) -> Iterator[Finding]:
    of_steps, problems = step_images(props, upgrade)
    yield from problems
    if pull:
        yield from image_findings(cluster, props, manifests, of_steps)
    else:
        yield Finding.ok("Images", "not pulled; use --pull-images to try")


def _schema(cluster: Cluster, props: SpiceDBProps, upgrade: Planned, options: CheckOptions) -> Iterator[Finding]:
    if options.schema:
        yield from schema_findings(cluster, props, upgrade)


def _database(
    cluster: Cluster, props: SpiceDBProps, upgrade: Planned, servers: int, options: CheckOptions
) -> Iterator[Finding]:
    if options.database and props.datastore.migrates:
        image, steps = options.database_image, upgrade.steps
        yield from check_database(cluster, props, running_servers=servers, steps=steps, image=image).findings
    else:
        yield Finding.ok("Database", "not asked")
        yield from time_findings(upgrade)
