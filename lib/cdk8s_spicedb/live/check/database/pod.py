"""Runs a database client in a pod that lives for some seconds, and reads what it prints."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files

from attrs import frozen

from ....labels import Component
from ....manifests.objects import Manifest, Objects
from ....manifests.pods import pod_template
from ....props import SpiceDBProps
from ....props.secrets import EnvVar, container_env
from ...cluster import EVENT, POD, Cluster, ClusterError, items_of
from ..finding import Finding
from .findings import DATABASE

CONTAINER = "check"
POLL_SECONDS = 0.3
LONGEST_SECONDS = 60
"""Time for the whole pod. Most of it is for the node to pull the image."""
_HOPELESS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
_LETTERS = string.ascii_lowercase + string.digits


@frozen
class Client:
    """A database client: its image, and what it runs."""

    image: str
    script: str
    """File of ``scripts/`` that connects, by the variables that the migration has."""
    sql: str
    """What it asks the database."""


class PodError(Exception):
    """The pod of the check did not run. ``finding`` says why: a failure if the migration's pod would not run either."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.text)


def script(name: str) -> str:
    """The text of a file in ``scripts/``."""
    return files(__package__).joinpath("scripts").joinpath(name).read_text("utf-8")


def run(cluster: Cluster, props: SpiceDBProps, client: Client) -> str:
    """Runs a client with the Secrets and files of the migration, and returns its log. Deletes the pod in every case.

    Raises `PodError` if the pod does not run.
    """
    pod = manifest(props, client)
    name = pod["metadata"]["name"]
    try:
        try:
            cluster.create(pod)
        except ClusterError as error:
            fix = f"allow your user to create pods and to read their logs in the namespace {cluster.namespace}"
            text = f"not checked: Kubernetes refused to start a pod: {error}"
            raise PodError(Finding.warning(DATABASE, text, fix)) from None
        _wait(cluster, name)
        return _log(cluster, name)
    finally:
        with suppress(ClusterError):
            cluster.delete(POD, name)


def manifest(props: SpiceDBProps, client: Client) -> Manifest:
    """The pod. It has the labels of the migration, so that network policies treat it in the same way."""
    objects, migration = Objects(props, Component.MIGRATION), props.migration
    env = [
        *props.datastore.env(uri=migration.datastore_uri, migrate=True),
        *(EnvVar(name, value) for name, value in migration.env.items()),
        EnvVar("CHECK_SQL", _literal(client.sql)),
    ]
    container = {
        "name": CONTAINER,
        "image": client.image,
        "command": ["sh", "-c", _literal(script("common.sh") + script(client.script))],
        "env": container_env(env),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    template = pod_template(
        objects,
        migration,
        container,
        files=props.datastore.files(),
        volumes=[{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        restartPolicy="Never",
        activeDeadlineSeconds=LONGEST_SECONDS,
        terminationGracePeriodSeconds=1,
    )
    name = f"{props.name}-check-{''.join(secrets.choice(_LETTERS) for _ in range(5))}"
    return {**template, "apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}}


def _literal(text: str) -> str:
    """A text in which Kubernetes expands nothing."""
    return text.replace("$$", "$$$$").replace("$(", "$$(")


def _wait(cluster: Cluster, name: str) -> None:
    """Waits until the container has ended."""
    end = time.monotonic() + LONGEST_SECONDS
    while True:
        pod = cluster.get(POD, name)
        if pod is None:
            text = f"not checked: somebody deleted the pod {name} of the check"
            raise PodError(Finding.warning(DATABASE, text, "check the database again"))
        for status in items_of(pod, "status", "containerStatuses"):
            if status["name"] != CONTAINER:
                continue
            if "terminated" in status["state"]:
                return
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") in _HOPELESS:
                raise PodError(_why(waiting, pod))
        if time.monotonic() > end or pod["status"].get("phase") == "Failed":
            reasons = [*_conditions(pod), *_events(cluster, name)]
            text = (
                f"the pod of the check did not finish within {LONGEST_SECONDS} s: {'; '.join(reasons) or 'no reason'}"
            )
            fix = "make sure that the namespace can run one more pod like the migration's"
            raise PodError(Finding.failure(DATABASE, text, fix))
        time.sleep(POLL_SECONDS)


def _log(cluster: Cluster, name: str) -> str:
    """The log of a container that has ended. The node may write its last lines a moment later."""
    for _ in range(3):
        log = cluster.log(name, CONTAINER)
        if '"fact":"done"' in log:
            return log
        time.sleep(POLL_SECONDS)
    return log


def _why(waiting: Manifest, pod: Manifest) -> Finding:
    if waiting["reason"] == "CreateContainerConfigError":
        text = f"the pod of the check does not start: {waiting.get('message', '')}"
        fix = "create the Secret and the key that it names; the migration needs them too"
        return Finding.failure(DATABASE, text, fix)
    image = pod["spec"]["containers"][0]["image"]
    text = f"not checked: the pod of the check cannot pull {image}: {waiting['reason']}"
    return Finding.warning(DATABASE, text, "choose an image of the database's client that your nodes can pull")


def _conditions(pod: Manifest) -> Iterator[str]:
    for condition in items_of(pod, "status", "conditions"):
        if condition["status"] == "False" and condition["type"] == "PodScheduled":
            yield condition.get("message", condition.get("reason", ""))


def _events(cluster: Cluster, name: str) -> Iterator[str]:
    with suppress(ClusterError):
        for event in cluster.find(EVENT, fields=f"involvedObject.name={name},type=Warning")[-1:]:
            yield event.get("message", "")
