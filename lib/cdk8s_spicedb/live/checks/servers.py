"""The servers that run: whether the last change of the release is done, and which program made it."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ...delivery import Delivery
from ...labels import Component, selector_text
from ...manifests.manifest import Manifest
from ...props import SpiceDBProps
from ..cluster import DEPLOYMENT, JOB, Cluster, items_of
from ..finding import Finding, Level
from ..release.released import foreign_objects
from ..release.running import Applier, Running, describe, is_terminating, server_pods
from ..release.storage import helm_releases

_APPLIERS = {
    Delivery.HELM: (Applier.HELM, Applier.FLUX),
    Delivery.ARGOCD: (Applier.ARGOCD,),
    Delivery.KUBECTL: (Applier.KUBECTL, Applier.FLUX),
}
_DELIVERIES = {Applier.HELM: "helm", Applier.ARGOCD: "argocd", Applier.KUBECTL: "kubectl"}
_NAMES = {
    Applier.HELM: "Helm",
    Applier.ARGOCD: "Argo CD",
    Applier.FLUX: "Flux",
    Applier.KUBECTL: "kubectl, or a program that leaves no trace,",
    Applier.OPERATOR: "the SpiceDB operator",
}


@frozen(kw_only=True)
class Servers:
    """The servers that run."""

    deployment: Manifest
    """The Deployment."""
    running: Running
    """What it says."""
    count: int
    """Number of servers, without those that terminate."""


def find_servers(cluster: Cluster, name: str) -> Servers | None:
    """The servers of the release. None if nothing runs."""
    deployment = cluster.get(DEPLOYMENT, name)
    if deployment is None:
        return None
    running = describe(deployment)
    count = sum(not is_terminating(pod) for pod in server_pods(cluster, running))
    return Servers(deployment=deployment, running=running, count=count)


def server_findings(
    cluster: Cluster, props: SpiceDBProps, servers: Servers | None, *, resumes: bool = False
) -> Iterator[Finding]:
    """Findings about the servers, the program that applied them, and what is still under way.

    If an interrupted upgrade ``resumes``, what it has left under way is no failure: it goes on from there.
    """
    if servers is not None:
        yield from _applier(props, servers.running)
        yield from _others(cluster, servers.running)
    under_way = [
        *([_roll_out(servers)] if servers is not None else ()),
        *_migration(cluster, props),
        *_helm_release(cluster, props, servers),
    ]
    for finding in under_way:
        if resumes and finding.level is Level.FAILURE:
            yield Finding.warning(finding.subject, finding.text, "go on with `cdk8s-spicedb upgrade`")
        else:
            yield finding


def _roll_out(servers: Servers) -> Finding:
    deployment, subject = servers.deployment, f"Deployment {servers.running.name}"
    spec, status = deployment["spec"], deployment.get("status", {})
    look = f"see `kubectl rollout status deployment/{servers.running.name} --namespace {servers.running.namespace}`"
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if spec.get("paused"):
        return Finding.failure(
            subject, "is paused", look.replace("see", "run").replace("rollout status", "rollout resume")
        )
    conditions = {each["type"]: each for each in items_of(deployment, "status", "conditions")}
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        text = f"its last roll-out failed: {conditions['Progressing'].get('message', '')}".rstrip(": ")
        return Finding.failure(subject, text, f"roll back first, or repair it; {look}")
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    if not seen or updated < wanted or status.get("replicas", 0) > updated:
        text = f"a roll-out is under way: {updated} of {wanted} servers are updated"
        return Finding.failure(subject, text, f"wait until it is done; {look}")
    available = status.get("availableReplicas", 0)
    if available < wanted:
        text = f"{available} of {wanted} servers are ready"
        fix = f"find out why with `kubectl describe pods --namespace {servers.running.namespace}`"
        return Finding.warning(subject, text, f"{fix}; an upgrade does not repair a server by itself")
    version = servers.running.version or "an unknown release"
    return Finding.ok(subject, f"{wanted} of {wanted} servers are ready, and run {version}")


def _others(cluster: Cluster, running: Running) -> Iterator[Finding]:
    others = foreign_objects(cluster, running)
    if others:
        text = f"it also has {', '.join(others)}, which an upgrade with this file alone would delete"
        fix = "upgrade it with the chart or app that has all its objects"
        yield Finding.failure(f"Helm release {running.applied_as}", text, fix)


def _applier(props: SpiceDBProps, running: Running) -> Iterator[Finding]:
    """Whether the program that applied the release is the one of the file."""
    subject, applier = "Delivery", running.applier
    name = f"{_NAMES[applier]} applied the release"
    if applier is Applier.OPERATOR or not running.ours:
        fix = "either set another name in the file and move your clients to it, or delete the other release first"
        yield Finding.failure(subject, f"{name}, and the release was not made by cdk8s-spicedb", fix)
    elif applier in _APPLIERS[props.delivery]:
        yield Finding.ok(subject, f"{name}, as the file says")
    elif applier is Applier.KUBECTL and props.delivery is Delivery.ARGOCD:
        fix = "go on if Argo CD tracks objects by label; otherwise set delivery: kubectl in the file"
        yield Finding.warning(subject, f"{name}, and the file says argocd", fix)
    else:
        wanted = _DELIVERIES.get(applier, "helm or kubectl")
        fix = f"set delivery: {wanted} in the file"
        yield Finding.failure(subject, f"{name}, and the file says {props.delivery.value}", fix)


def _migration(cluster: Cluster, props: SpiceDBProps) -> Iterator[Finding]:
    """Whether a migration runs, or has failed."""
    if not props.migrates:
        return
    place = f"--namespace {cluster.namespace}"
    for job in cluster.find(JOB, labels=selector_text(props.name, Component.MIGRATION)):
        name = job["metadata"]["name"]
        failed = [each for each in items_of(job, "status", "conditions") if each["type"] == "Failed"]
        if any(each["status"] == "True" for each in failed):
            text = f"the last migration failed: {failed[0].get('message', '')}".rstrip(": ")
            fix = f"read its log with `kubectl logs job/{name} {place}`"
            if props.delivery is Delivery.KUBECTL:
                fix += f", then delete it so that it can run again: `kubectl delete job {name} {place}`"
            yield Finding.warning(f"Job {name}", text, fix)
        elif job.get("status", {}).get("active"):
            fix = f"wait until it is done; see `kubectl logs job/{name} {place}`"
            yield Finding.failure(f"Job {name}", "a migration runs", fix)


def _helm_release(cluster: Cluster, props: SpiceDBProps, servers: Servers | None) -> Iterator[Finding]:
    """Whether Helm could change its release. Helm keeps the status of each revision in a label."""
    if props.delivery is not Delivery.HELM or (servers and servers.running.applier is not Applier.HELM):
        return
    name = (servers.running.applied_as if servers else None) or props.name
    revisions = helm_releases(cluster, name)
    if not revisions:
        return
    number, status = revisions[-1].revision, revisions[-1].status
    subject, place = f"Helm release {name}", f"--namespace {cluster.namespace}"
    good = [each.revision for each in revisions if each.status in ("deployed", "superseded")]
    back = f"`helm rollback {name} {good[-1]} {place}`" if good else f"`helm uninstall {name} {place}`"
    if status.startswith("pending") or status == "uninstalling":
        text = f"revision {number} is {status}: Helm is still working on it, or was interrupted"
        yield Finding.failure(subject, text, f"wait for Helm; if no Helm runs, use {back}")
    elif status == "failed":
        fix = f"find out why it failed: `helm status {name} {place}`. If its servers are bad, use {back}"
        yield Finding.warning(subject, f"revision {number} failed", fix)
    else:
        yield Finding.ok(subject, f"revision {number} is {status}")
