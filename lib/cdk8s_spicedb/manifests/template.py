"""What the pods of servers, migration and clean-up have in common: they pass Pod Security's ``restricted``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..labels import VERSION, Component, selector_labels
from ..props import PodProps, SpiceDBProps
from ..props.secrets import SecretFiles

_USER = 65532  # "nonroot" in SpiceDB's image; kubectl's has no user of its own
Manifest = dict[str, Any]


def container(name: str, image: str, pod: PodProps, *, files: Sequence[SecretFiles] = (), **fields: Any) -> Manifest:
    """A container; ``fields`` are in Kubernetes' own names."""
    return {
        "name": name,
        "image": image,
        **fields,
        **omit_empty({"volumeMounts": [each.mount() for each in files]}),
        "resources": {"requests": dict(pod.resources.requests), "limits": dict(pod.resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # The end of the log becomes the pod's status when the program itself leaves no message.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def pod_template(
    props: SpiceDBProps,
    component: Component,
    pod: PodProps,
    containers: Sequence[Manifest],
    *,
    files: Sequence[SecretFiles] = (),
    annotations: Mapping[str, str] | None = None,
    token: bool = False,
    **fields: Any,
) -> Manifest:
    """A pod's ``template``; ``token`` says whether it talks to the Kubernetes API."""
    metadata = {
        "labels": {**selector_labels(props.name, component), VERSION: props.version, **pod.pod_labels},
        "annotations": {**pod.pod_annotations, **(annotations or {})},
    }
    spec = {
        **fields,
        "containers": list(containers),
        "volumes": [each.volume() for each in files],
        "imagePullSecrets": [{"name": name} for name in props.image_pull_secrets],
        "nodeSelector": dict(pod.node_selector),
        "tolerations": [toleration.manifest() for toleration in pod.tolerations],
        "affinity": dict(pod.affinity),
        "priorityClassName": pod.priority_class_name,
    }
    if props.image_pull_policy:
        for each in containers:
            each["imagePullPolicy"] = props.image_pull_policy
    return {
        "metadata": omit_empty(metadata),
        "spec": {
            **omit_empty(spec),
            "automountServiceAccountToken": token,
            # A Service called spicedb would otherwise put SPICEDB_* variables of its own into every pod.
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                # OpenShift gives each namespace users of its own, and refuses any other.
                **({} if props.openshift else {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}),
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        },
    }


def termination_log(props: SpiceDBProps) -> str | None:
    """Where SpiceDB leaves the reason of its end for the pod's status, if the release can."""
    return "/dev/termination-log" if props.releases.takes("termination-log-path", props.version) else None


def omit_empty(fields: Manifest) -> Manifest:
    """The fields that are set: not None, and not an empty list or object."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}
