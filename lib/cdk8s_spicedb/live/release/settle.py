"""Waits until a roll-out is done: what a runbook makes a person wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ...manifests.manifest import Manifest
from ..cluster import DEPLOYMENT, ENDPOINT_SLICE, Cluster, items_of
from ..logs import first_error
from .running import Running, is_ready, is_terminating, server_pods

_POLL_SECONDS = 0.5
_BROKEN_SECONDS = 15
"""How long a pod may wait for its image or its Secret before that counts as broken: both can come late."""
_BROKEN = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
_ENDS = 3


def settled(cluster: Cluster, running: Running) -> str | None:
    """Why the roll-out of a release is not done. None: it is done.

    It is done when all wanted servers are ready on the newest pod template, no older server drains, and the Service's
    EndpointSlices have exactly these servers.
    """
    deployment = cluster.get(DEPLOYMENT, running.name)
    if deployment is None:
        return f"there is no Deployment {running.name}"
    waits = _rolls_out(deployment)
    if waits:
        return waits
    pods = server_pods(cluster, running)
    draining = [pod["metadata"]["name"] for pod in pods if is_terminating(pod)]
    if draining:
        return f"{len(draining)} older server{'s' if len(draining) > 1 else ''} draining"
    return _endpoints(cluster, running.name, {pod["status"].get("podIP") for pod in pods if is_ready(pod)})


def _rolls_out(deployment: Manifest) -> str | None:
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "Kubernetes has not seen the change yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated or available < wanted:
        ready = min(updated, available)
        return f"{ready} of {wanted} new servers ready"
    return None


def _endpoints(cluster: Cluster, service: str, ready: set[str]) -> str | None:
    """Why the endpoints of a Service are not the ready servers."""
    found = set()
    for endpoints in cluster.find(ENDPOINT_SLICE, labels=f"kubernetes.io/service-name={service}"):
        for endpoint in items_of(endpoints, "endpoints"):
            if endpoint.get("conditions", {}).get("ready"):
                found.update(endpoint["addresses"])
    return None if found == ready else f"the Service {service} has {len(found)} of {len(ready)} servers"


def drain_seconds(running: Running) -> int:
    """How long a server may drain after the roll-out, with a margin."""
    return int(running.template["spec"].get("terminationGracePeriodSeconds", 30)) + 60


def wait_until_settled(
    cluster: Cluster, running: Running, seconds: float, notify: Callable[[str], None] = lambda _: None
) -> str | None:
    """Waits until a roll-out is done. Returns why it is not done after ``seconds``, or None when it is."""
    return wait_until_none(lambda: (settled(cluster, running), False), seconds, notify)


def wait_until_none(
    question: Callable[[], tuple[str | None, bool]], seconds: float, notify: Callable[[str], None]
) -> str | None:
    """Asks until there is no reason left to wait. Returns the reason that is left after ``seconds``.

    The question returns a reason (None: there is none), and whether waiting does not help. ``notify`` gets each new
    reason.
    """
    end, last = time.monotonic() + seconds, None
    while True:
        reason, is_final = question()
        if reason is None or is_final or time.monotonic() > end:
            return reason
        if reason != last:
            notify(reason)
            last = reason
        time.sleep(_POLL_SECONDS)


class Broken:
    """Notices pods that can never run, long before Kubernetes or Helm give up."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def reason(self, pods: list[Manifest]) -> str | None:
        """Why a pod is broken. None: no pod is, or not for long enough."""
        now, reasons = time.monotonic(), dict(_waiting(pods))
        self._since = {pod: self._since.get(pod, now) for pod in reasons}
        for pod, (reason, waits) in reasons.items():
            if not waits or now - self._since[pod] > _BROKEN_SECONDS:
                return f"pod {pod}: {reason}"
        return None


def _waiting(pods: list[Manifest]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """The pods that wait for something, why, and whether it may still come."""
    for pod in pods:
        for status in items_of(pod, "status", "containerStatuses"):
            waiting = status.get("state", {}).get("waiting", {})
            reason = waiting.get("reason", "")
            if is_terminating(pod):
                continue
            if reason in _BROKEN:
                yield pod["metadata"]["name"], (f"{reason}: {waiting.get('message', '')}".strip(": "), True)
            elif reason == "CrashLoopBackOff" and (ends := status.get("restartCount", 0) + 1) >= _ENDS:
                last = status.get("lastState", {}).get("terminated", {})
                said = first_error(last.get("message") or "") or f"exit code {last.get('exitCode')}"
                yield pod["metadata"]["name"], (f"it stopped {ends} times: {said}", False)
