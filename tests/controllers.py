"""What controllers do in a cluster, at once: for the fake API server.

`roll_out` and `finish_job` do it for one object. `run_controllers` does it for each one that changes.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

from .apiserver import NAMESPACE, ApiServer, Object, Request, matches

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


def run_controllers(
    api: ApiServer,
    *,
    fails: Callable[[Object], str] = lambda _: "",
    log: Callable[[Object], str] = lambda _: "",
) -> None:
    """From now on, Deployments roll out and Jobs end as soon as they change.

    ``fails`` gets a Job and says for which reason it fails; empty if it succeeds. ``log`` is the log of its pod.
    """

    def deployment_changed(request: Request, found: Any) -> None:
        if found and request.verb != "delete":
            roll_out(api, found["metadata"]["name"], found["metadata"]["namespace"])

    def job_changed(request: Request, found: Any) -> None:
        if found and request.verb != "delete" and not found.get("status", {}).get("conditions"):
            finish_job(api, found, failed=fails(found), log=log(found))

    api.on(matches("change", "deployments"), deployment_changed)
    api.on(matches("change", "jobs"), job_changed)


def roll_out(api: ApiServer, name: str, namespace: str = NAMESPACE) -> None:
    """Lets a Deployment roll out: its newest ReplicaSet has all pods, which are ready and have their endpoints."""
    deployment = api.get("deployments", name, namespace)
    if deployment["spec"].get("paused") and "status" in deployment:
        deployment["status"]["observedGeneration"] = deployment["metadata"]["generation"]
        return
    count, template = deployment["spec"].get("replicas", 1), deployment["spec"]["template"]
    replica_set = _replica_set(api, deployment, template)
    revision = replica_set["metadata"]["annotations"][_REVISION]
    deployment["metadata"].setdefault("annotations", {})[_REVISION] = revision
    labels = template["metadata"]["labels"]
    for pod in api.of("pods", namespace):
        if _owned(pod, *_replica_sets(api, deployment)) and not _owned(pod, replica_set):
            api.remove("pods", pod["metadata"]["name"], namespace)
    own = [pod for pod in api.of("pods", namespace) if _owned(pod, replica_set)]
    for pod in own[count:]:
        api.remove("pods", pod["metadata"]["name"], namespace)
    for number in range(len(own), count):
        _add_server(api, replica_set, number)
    numbers = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        **(numbers if count else {}),
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }
    update_endpoints(api, labels, namespace)


def update_endpoints(api: ApiServer, labels: Object, namespace: str = NAMESPACE) -> None:
    """Gives each Service that selects pods with these labels the addresses of those that are ready."""
    for service in api.of("services", namespace):
        selector = service["spec"].get("selector") or {}
        if not selector or not selector.items() <= labels.items():
            continue
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
            }
            for pod in api.of("pods", namespace)
            if selector.items() <= pod["metadata"].get("labels", {}).items() and pod.get("status", {}).get("podIP")
        ]
        name = service["metadata"]["name"]
        metadata: Object = {"name": f"{name}-{_letters(name, 5)}", "labels": {"kubernetes.io/service-name": name}}
        metadata["ownerReferences"] = [_owner(service)]
        api.put(
            "endpointslices",
            {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": []},
            namespace,
        )


def finish_job(api: ApiServer, job: Object, *, failed: str = "", log: str = "") -> Object:
    """Ends a Job, and returns its pod. ``failed`` is the reason, such as ``BackoffLimitExceeded``."""
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    time = job["metadata"]["creationTimestamp"]
    kinds = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": time, **({"reason": failed} if failed else {})}
        for kind in kinds
    ]
    job["status"] = {
        "startTime": time,
        "conditions": conditions,
        **({"failed": 1} if failed else {"succeeded": 1, "completionTime": time}),
    }
    template = copy.deepcopy(job["spec"]["template"])
    uid = job["metadata"]["uid"]
    labels = {
        **template.get("metadata", {}).get("labels", {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    code = 1 if failed else 0
    ended = {"terminated": {"exitCode": code, "reason": "Error" if failed else "Completed"}}
    pod = api.put(
        "pods",
        {
            "metadata": {"name": f"{name}-{_letters(uid, 5)}", "labels": labels, "ownerReferences": [_owner(job)]},
            "spec": template.get("spec", {}),
            "status": {
                "phase": "Failed" if failed else "Succeeded",
                "containerStatuses": [
                    {"name": each["name"], "restartCount": 0, "ready": False, "state": ended}
                    for each in template.get("spec", {}).get("containers", ())
                ],
            },
        },
        namespace,
    )
    api.logs[pod["metadata"]["name"]] = log
    return pod


def _replica_sets(api: ApiServer, deployment: Object) -> list[Object]:
    return [each for each in api.of("replicasets", deployment["metadata"]["namespace"]) if _owned(each, deployment)]


def _replica_set(api: ApiServer, deployment: Object, template: Object) -> Object:
    """The ReplicaSet of a template, with the newest revision."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    mark = _letters(json.dumps(template, sort_keys=True), 10)
    known = _replica_sets(api, deployment)
    revisions = [int(each["metadata"]["annotations"][_REVISION]) for each in known]
    own = next((each for each in known if each["metadata"]["labels"][_HASH] == mark), None)
    newest = max(revisions, default=0)
    if own is None or int(own["metadata"]["annotations"][_REVISION]) < newest:
        newest += 1
    labels = {**template["metadata"]["labels"], _HASH: mark}
    annotations = {**deployment["metadata"].get("annotations", {}), _REVISION: str(newest)}
    for each in known:
        each["spec"]["replicas"] = 0
    return api.put(
        "replicasets",
        {
            "metadata": {
                "name": f"{name}-{mark}",
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [_owner(deployment)],
            },
            "spec": {
                "replicas": deployment["spec"].get("replicas", 1),
                "selector": {"matchLabels": labels},
                "template": {**copy.deepcopy(template), "metadata": {**template["metadata"], "labels": labels}},
            },
        },
        namespace,
    )


def _add_server(api: ApiServer, replica_set: Object, number: int) -> None:
    template = replica_set["spec"]["template"]
    name, namespace = replica_set["metadata"]["name"], replica_set["metadata"]["namespace"]
    used = {pod.get("status", {}).get("podIP") for pod in api.of("pods")}
    address = next(each for each in (f"10.0.{n // 250}.{n % 250 + 1}" for n in range(9999)) if each not in used)
    statuses = [
        {"name": each["name"], "ready": True, "restartCount": 0, "state": {"running": {}}}
        for each in template["spec"]["containers"]
    ]
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]
    api.put(
        "pods",
        {
            "metadata": {
                **copy.deepcopy(template["metadata"]),
                "name": f"{name}-{_letters(f'{name} {number}', 5)}",
                "ownerReferences": [_owner(replica_set)],
            },
            "spec": {**copy.deepcopy(template["spec"]), "nodeName": f"node-{number % 2 + 1}"},
            "status": {"phase": "Running", "podIP": address, "conditions": ready, "containerStatuses": statuses},
        },
        namespace,
    )


def _owner(owner: Object) -> Object:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


def _owned(each: Object, *owners: Object) -> bool:
    uids = {owner["metadata"]["uid"] for owner in owners}
    return any(owner["uid"] in uids for owner in each["metadata"].get("ownerReferences", ()))


def _letters(seed: str, count: int) -> str:
    """Letters as in generated names: the same ones for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])
