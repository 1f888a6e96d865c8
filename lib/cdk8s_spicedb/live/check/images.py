"""Whether the cluster can pull the images: a short-lived pod for each one, which starts no program."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

from ...labels import OWN
from ...manifests.objects import Manifest
from ...manifests.pods import restricted_container, restricted_pod
from ...props import SpiceDBProps
from ..apierror import ClusterError
from ..cluster import Cluster
from ..pods import status_of, unscheduled, waiting
from ..runs import owned, run_pods
from .admission import PodTemplate, has_account, no_right, pod_templates
from .finding import Finding

_SECONDS = 60.0
_CONTAINER = "pull"
_KEPT = ("imagePullSecrets", "nodeSelector", "tolerations", "affinity")
"""What decides on which node a pod runs, and with which Secrets the node pulls."""


def all_images(manifests: Sequence[Manifest], more: Iterable[str] = ()) -> list[str]:
    """Every image of a release once, then those of ``more``."""
    own = (container["image"] for template in pod_templates(manifests) for container in template.containers)
    return list(dict.fromkeys([*own, *more]))


def image_findings(
    cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest], more: Iterable[str] = ()
) -> Iterator[Finding]:
    """One finding for each image. Creates pods, and deletes them."""
    images, templates = all_images(manifests, more), list(pod_templates(manifests))
    prefix = f"{props.name[:40]}-pull-{uuid.uuid4().hex[:8]}"
    pods = [_pod(cluster, props, image, templates, f"{prefix}-{number}") for number, image in enumerate(images)]
    with run_pods(cluster, owned(cluster, props.name, pods), done=_is_tried, seconds=_SECONDS) as seen:
        found = [_finding(image, pod) for image, pod in zip(images, seen, strict=True)]
    yield from found


def _is_tried(pod: Manifest) -> bool:
    """Whether the node has pulled the image, or failed to. The container waits for other reasons afterwards."""
    status = status_of(pod, _CONTAINER)
    waits = waiting(status)
    return bool(status.get("state")) and not (waits and waits.starts)


def _finding(image: str, pod: Manifest | ClusterError | None) -> Finding:
    subject = f"Image {image}"
    if isinstance(pod, ClusterError):
        rule = 'add to your Role: {apiGroups: [""], resources: ["pods"], verbs: ["create", "delete"]}'
        fix = rule if no_right(pod) else "allow small pods in the namespace, or check without --pull-images"
        return Finding.warning(subject, f"not tried: the cluster refuses the pod that pulls it: {pod}", fix)
    waits = waiting(status_of(pod or {}, _CONTAINER))
    if waits and waits.not_pulled:
        fix = (
            "check the name and the tag; check that the nodes reach the registry, and that imagePullSecrets in the "
            "file names a Secret with access to it"
        )
        return Finding.failure(subject, f"cannot be pulled: {waits}", fix)
    if pod and _is_tried(pod):
        return Finding.ok(subject, "can be pulled")
    place = unscheduled(pod or {})
    if place is not None:
        fix = "make room on a node, or change server.nodeSelector or server.tolerations in the file"
        return Finding.warning(subject, f"not tried: the pod cannot be scheduled: {place.message}", fix)
    fix = "the registry is slow or the image large: pull it to the nodes first, or check again"
    return Finding.warning(subject, f"was not pulled within {_SECONDS:.0f} s", fix)


def _pod(cluster: Cluster, props: SpiceDBProps, image: str, templates: Sequence[PodTemplate], name: str) -> Manifest:
    """A pod that pulls an image as the release does: on the same nodes, with the same Secrets."""
    # Images of other steps of an upgrade are those of servers.
    of_image = (each for each in templates for container in each.containers if container["image"] == image)
    template = next(of_image, templates[0])
    kept = {field: template.spec[field] for field in _KEPT if field in template.spec}
    account = template.spec.get("serviceAccountName")
    if account and has_account(cluster, account):
        kept["serviceAccountName"] = account
    small = {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
    container = {
        "name": _CONTAINER,
        "image": image,
        "command": ["/there-is-no-such-program"],
        "securityContext": restricted_container(),
        "resources": {"requests": small, "limits": small},
        **({"imagePullPolicy": props.image_pull_policy} if props.image_pull_policy else {}),
    }
    spec = {
        **kept,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": 2 * int(_SECONDS),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": restricted_pod(props),
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": OWN}, "spec": spec}
