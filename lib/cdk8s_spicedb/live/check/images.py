"""Whether the cluster can pull the images: a short-lived pod for each one, which starts no program."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...labels import OWN
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..cluster import (
    POD,
    Cluster,
    ClusterError,
    Forbidden,
    Unreachable,
    items_of,
)
from ..poll import parallel
from .admission import PodTemplate, has_account, pod_templates, restricted_container
from .finding import Finding

_KEPT = ("imagePullSecrets", "nodeSelector", "tolerations", "affinity")
_SECONDS, _POLL_SECONDS = 60.0, 0.3
_LABEL = "cdk8s-spicedb/check"
_NO_PROGRAM = "/there-is-no-such-program"
_BEFORE_PULL = ("", "ContainerCreating", "PodInitializing")
_NOT_PULLED = ("Image", "Registry", "Signature")
"""Parts of the reasons for which a container waits, if its image cannot be pulled."""


def all_images(manifests: Sequence[Manifest], more: Iterable[str] = ()) -> list[str]:
    """Every image of a release once, then those of ``more``."""
    own = [image for template in pod_templates(manifests) for image in template.images]
    return list(dict.fromkeys([*own, *more]))


def image_findings(
    cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest], more: Iterable[str] = ()
) -> Iterator[Finding]:
    """One finding for each image. Creates pods, and deletes them."""
    run = uuid.uuid4().hex[:8]
    templates = list(pod_templates(manifests))
    pods = {
        f"{props.name[:40]}-pull-{run}-{number}": _pod(cluster, props, image, templates)
        for number, image in enumerate(all_images(manifests, more))
    }
    images = {name: pod["spec"]["containers"][0]["image"] for name, pod in pods.items()}
    found: dict[str, Finding] = {}
    try:
        for name, refused in zip(pods, parallel(lambda n: _create(cluster, run, n, pods[n]), pods), strict=True):
            if refused:
                found[name] = _not_tried(images[name], refused)
        _wait(cluster, run, images, found)
    finally:
        parallel(lambda name: cluster.delete(POD, name), pods)
    yield from (found[name] for name in pods)


def _wait(cluster: Cluster, run: str, images: Mapping[str, str], found: dict[str, Finding]) -> None:
    end = time.monotonic() + _SECONDS
    while len(found) < len(images):
        pods = {pod["metadata"]["name"]: pod for pod in cluster.find(POD, labels=f"{_LABEL}={run}")}
        late = time.monotonic() > end
        for name in images.keys() - found.keys():
            finding = _finding(images[name], pods.get(name, {}), late=late)
            if finding:
                found[name] = finding
        if len(found) < len(images):
            time.sleep(_POLL_SECONDS)


def _finding(image: str, pod: Manifest, *, late: bool) -> Finding | None:
    """What a pod tells about its image. None: nothing yet."""
    subject = f"Image {image}"
    for status in items_of(pod, "status", "containerStatuses"):
        waiting = status.get("state", {}).get("waiting")
        reason = waiting.get("reason", "") if waiting else "started"
        if waiting and any(part in reason for part in _NOT_PULLED):
            text = f"cannot be pulled: {reason}: {waiting.get('message', '')}".rstrip(": ")
            return Finding.failure(subject, text, _FIX)
        if reason not in _BEFORE_PULL:
            return Finding.ok(subject, "can be pulled")
    if not late:
        return None
    unscheduled = [
        condition.get("message", "")
        for condition in items_of(pod, "status", "conditions")
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    if unscheduled:
        fix = "make room on a node, or change server.nodeSelector or server.tolerations in the file"
        return Finding.warning(subject, f"not tried: the pod cannot be scheduled: {unscheduled[0]}", fix)
    fix = "the registry is slow or the image large: pull it to the nodes first, or check again"
    return Finding.warning(subject, f"was not pulled within {_SECONDS:.0f} s", fix)


_FIX = (
    "check the name and the tag; check that the nodes reach the registry, and that imagePullSecrets in the file names "
    "a Secret with access to it"
)


def _create(cluster: Cluster, run: str, name: str, pod: Manifest) -> ClusterError | None:
    metadata = {"name": name, "labels": {_LABEL: run, **OWN}}
    try:
        cluster.create({**pod, "metadata": metadata})
    except Unreachable:
        raise
    except ClusterError as error:
        return error
    return None


def _not_tried(image: str, error: ClusterError) -> Finding:
    fix = "allow small pods in the namespace, or check without --pull-images"
    if isinstance(error, Forbidden) and "cannot create resource" in str(error):
        fix = 'add to your Role: {apiGroups: [""], resources: ["pods"], verbs: ["create", "delete"]}'
    return Finding.warning(f"Image {image}", f"not tried: the cluster refuses the pod that pulls it: {error}", fix)


def _pod(cluster: Cluster, props: SpiceDBProps, image: str, templates: Sequence[PodTemplate]) -> Manifest:
    """A pod that pulls an image as the release does: on the same nodes, with the same Secrets."""
    # Images of other steps of an upgrade are those of servers.
    template = next((each for each in templates if image in each.images), templates[0])
    spec = template.spec
    kept: dict[str, Any] = {
        name: spec[name] for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity") if name in spec
    }
    account = spec.get("serviceAccountName")
    if account and has_account(cluster, account):
        kept["serviceAccountName"] = account
    small = {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
    container = {
        "name": "pull",
        "image": image,
        "command": [_NO_PROGRAM],
        "securityContext": restricted_container(props),
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
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}
