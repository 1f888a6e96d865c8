"""One server apart from the others: no Service and no Deployment selects it, so no client reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import evolve

from ..errors import SpiceDBError
from ..labels import Component
from ..manifests import release_manifests
from ..manifests.network import network_policy
from ..manifests.objects import Manifest, Objects
from ..manifests.trial import lone_pod
from ..props import SpiceDBProps
from ..props.pod import combined
from .apierror import ClusterError
from .cluster import DEPLOYMENT, Cluster, Kind
from .pods import Broken, is_ready
from .runs import deleted_at_the_end, owned, run_pods

READY_SECONDS = 60
"""How long a server may need until it is ready, with the time for its image."""


class NotReadyError(SpiceDBError):
    """A server apart from the others did not become ready."""


@contextmanager
def server_apart(
    cluster: Cluster, props: SpiceDBProps, *, seconds: int, own: Callable[[Manifest], Manifest] | None = None
) -> Iterator[Manifest]:
    """Starts one server of these props, waits until it is ready, and deletes it when the context ends.

    It does not dispatch, so it computes each answer itself. It stops after ``seconds``, even if this process is killed.
    ``own`` gives the pod its owner, and defaults to the Deployment. Yields the pod. Raises `NotReadyError` with the
    reason if it does not become ready.
    """
    broken, clock, pod = Broken(), cluster.clock, pod_apart(props, seconds)
    pods = [own(pod)] if own else owned(cluster, props.name, [pod])

    def is_done(pod: Manifest) -> bool:
        return is_ready(pod) or broken.reason([pod], clock.monotonic()) is not None

    with (
        reaching_the_database(cluster, props),
        run_pods(cluster, pods, done=is_done, seconds=READY_SECONDS) as (seen,),
    ):
        if isinstance(seen, ClusterError):
            raise NotReadyError(str(seen))
        if seen is None or not is_ready(seen):
            why = broken.reason([seen], clock.monotonic()) if seen else "somebody deleted its pod"
            raise NotReadyError(why or f"a server of {props.version} was not ready within {READY_SECONDS} s")
        yield seen


@contextmanager
def reaching_the_database(cluster: Cluster, props: SpiceDBProps) -> Iterator[None]:
    """Lets pods with the labels of the migration reach the database, also after Helm has deleted the NetworkPolicy of
    the migration."""
    policies = network_policy(Objects(props, Component.MIGRATION))
    for policy in policies:
        policy["metadata"]["name"] += "-apart"
    with deleted_at_the_end(cluster, policies):
        for policy in policies:
            cluster.apply(policy)
        yield


def pod_apart(props: SpiceDBProps, seconds: int) -> Manifest:
    """The pod of such a server. It has the labels of the migration, so that network policies let it reach the
    database."""
    alone = evolve(props, server=evolve(props.server, dispatch_enabled=False, dispatch_tls=None))
    (deployment,) = (each for each in release_manifests(alone) if Kind.of(each) == DEPLOYMENT)
    pod = lone_pod(deployment["spec"]["template"], f"{props.name}-apart", seconds)
    spec = pod["spec"]
    # It must find a node, even if the servers keep apart from each other.
    spec.pop("topologySpreadConstraints", None)
    spec["affinity"] = {key: value for key, value in spec.get("affinity", {}).items() if key == "nodeAffinity"}
    for container in spec["containers"]:
        container.pop("lifecycle", None)  # It takes longer than this pod has to stop.
    own = combined(props.pods, props.migration).pod_labels
    metadata = {**pod["metadata"], "labels": {**Objects(props, Component.MIGRATION).selector, **own}}
    return {**pod, "metadata": metadata}
