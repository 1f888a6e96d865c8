"""Pod templates. Every pod meets the ``restricted`` Pod Security Standard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..labels import NODE_LOST, VERSION
from ..props import PodProps, ServerProps, SpiceDBProps
from ..props.fields import manifest_of
from ..props.flags import TERMINATION_LOG, Setting, flag_of, flags_of
from ..props.pod import PodSettings, combined
from ..props.secrets import EnvVar, SecretFiles, container_env
from ..props.server import DISPATCH_PORT
from .objects import Manifest, Objects, omit_empty

_TELEMETRY, RELEASE_CHECK = (flag.name for flag in flags_of(ServerProps)["telemetry_enabled"])


def offline_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """Values, by flag, that keep the servers from calling services outside the cluster.

    Only for flags that the release has. Empty if telemetry is enabled.
    """
    settings: dict[str, Setting] = {} if props.server.telemetry_enabled else {_TELEMETRY: "", RELEASE_CHECK: True}
    return {flag: value for flag, value in settings.items() if props.releases.takes(flag, props.version)}


USER = 65532  # "nonroot" in SpiceDB's image; kubectl's image has no user of its own


def restricted_container() -> Manifest:
    """The security settings of every container."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}


def restricted_pod(props: SpiceDBProps) -> Manifest:
    """The security settings of every pod."""
    return {
        "runAsNonRoot": True,
        # OpenShift assigns users to each namespace, and rejects all others.
        **({} if props.openshift else {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod_template(
    objects: Objects,
    pod: PodProps,
    container: Manifest,
    *,
    files: Sequence[SecretFiles] = (),
    volumes: Sequence[Manifest] = (),
    annotations: Mapping[str, str] | None = None,
    token: bool = False,
    before: Sequence[Manifest] = (),
    after: Manifest | None = None,
    **fields: Any,
) -> Manifest:
    """The template of a component's pods.

    ``container`` holds the fields of the container that the settings of the pod are for, and ``fields`` are those of
    the pod's spec. ``token`` mounts the ServiceAccount's token, for pods that call the Kubernetes API. Containers
    ``before`` run one after the other before that container, and the one ``after`` when it has succeeded.
    """
    props, pod = objects.props, combined(objects.props.pods, pod)
    own_env = [EnvVar(name, value) for name, value in pod.env.items()]
    metadata = {
        "labels": {**objects.selector, VERSION: props.version, **pod.pod_labels},
        "annotations": {**pod.pod_annotations, **(annotations or {})},
    }
    program = {
        **container,
        "env": [*container.get("env", ()), *container_env(own_env)],
        "volumeMounts": [
            *container.get("volumeMounts", ()),
            *(folder.mount() for folder in files),
            *pod.extra_volume_mounts,
        ],
    }
    *first, last = (_container(props, pod, each) for each in (*before, program, *([after] if after else [])))
    spec = {
        **fields,
        "initContainers": [*pod.init_containers, *first],
        "containers": [last, *pod.extra_containers],
        "volumes": [*volumes, *(folder.volume() for folder in files), *pod.extra_volumes],
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(props.image_pull_secrets)],
        "nodeSelector": dict(pod.node_selector),
        "tolerations": _tolerations(pod),
        "affinity": dict(pod.affinity),
        "priorityClassName": pod.priority_class_name,
        "automountServiceAccountToken": token,
        # Otherwise Kubernetes adds SPICEDB_* variables to every pod if a Service is named spicedb.
        "enableServiceLinks": False,
        "securityContext": restricted_pod(props),
    }
    return {"metadata": omit_empty(metadata), "spec": omit_empty(spec)}


def _container(props: SpiceDBProps, pod: PodProps, own: Manifest) -> Manifest:
    """A container with what all containers have in addition to their own fields."""
    return omit_empty(
        {
            **own,
            "resources": {"requests": dict(pod.resources.requests), "limits": dict(pod.resources.limits)},
            "securityContext": restricted_container(),
            # If the program writes no message, the end of its log becomes the pod's status.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "imagePullPolicy": props.image_pull_policy,
        }
    )


NODE_LOST_SECONDS = 30
"""How long a pod stays on a node after Kubernetes taints the node as not ready or unreachable. Kubernetes defaults to
300 s. These pods have no data, so another node can take over soon."""


def _tolerations(pod: PodSettings) -> list[Manifest]:
    own = [manifest_of(toleration) for toleration in pod.tolerations]
    lost = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NODE_LOST_SECONDS}
    return [*own, *({"key": key, **lost} for key in NODE_LOST if not any(_tolerates(each, key) for each in own))]


def _tolerates(toleration: Manifest, key: str) -> bool:
    """Whether a toleration is also about a taint that has an effect on pods that run."""
    return toleration.get("key") in (None, key) and toleration.get("effect") in (None, "NoExecute")


def termination_log(props: SpiceDBProps) -> str | None:
    """The file to which SpiceDB writes why it stopped, for the pod's status. None if the release cannot."""
    return "/dev/termination-log" if props.releases.takes(TERMINATION_LOG, props.version) else None


GRPC, HTTP, METRICS, DISPATCH, DISPATCH_TLS = "grpc", "http", "metrics", "dispatch", "dispatch-tls"


def numbers(props: SpiceDBProps) -> dict[str, int]:
    """The number of each port of the pods."""
    server = props.server
    own = {GRPC: server.grpc_port, HTTP: server.http_port, METRICS: server.metrics_port}
    return {**own, DISPATCH: DISPATCH_PORT, DISPATCH_TLS: DISPATCH_PORT}


def service_port(props: SpiceDBProps, name: str) -> int:
    """The number of a port of the Services for clients."""
    number: int = props.server.service_ports.get(name, numbers(props)[name])
    return number


def address_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """The addresses on which the servers listen, by flag, if they are not SpiceDB's own."""
    server, default = props.server, ServerProps()
    hosts = {"metrics_port": {None: "", "::1": "[::1]"}.get(server.metrics_address, server.metrics_address)}
    found: dict[str, Setting] = {}
    for name in ("grpc_port", "http_port", "metrics_port"):
        host, port = hosts.get(name, ""), getattr(server, name)
        if host or port != getattr(default, name):
            found[flag_of(ServerProps, name)] = f"{host}:{port}"
    return found


def dispatch_port(props: SpiceDBProps) -> str:
    """The name of the port on which servers connect to each other."""
    return DISPATCH_TLS if props.server.dispatch_tls else DISPATCH


def dispatch_service(props: SpiceDBProps, port: str) -> str:
    """The name of the Service by which servers with this dispatch port find each other."""
    return f"{props.name}-{port}"


def open_ports(props: SpiceDBProps) -> dict[str, int]:
    """The ports on which others can reach the servers."""
    is_open = {
        GRPC: True,
        HTTP: props.server.http_enabled,
        METRICS: props.server.metrics_enabled and props.server.metrics_address is None,
        dispatch_port(props): props.dispatches,
    }
    return {name: number for name, number in numbers(props).items() if is_open.get(name)}
