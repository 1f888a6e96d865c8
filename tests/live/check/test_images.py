"""Images: what the short-lived pods tell about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cdk8s_spicedb import BackupProps
from cdk8s_spicedb.live.check import images
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.images import all_images, image_findings
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer, Object, matches
from tests.live.installed import installable, props, waiting

MANIFESTS = release_manifests(props(image_pull_secrets=("pull",)))
SPICEDB, KUBECTL = all_images(MANIFESTS)


def answering(status: Callable[[str], Object]) -> ApiServer:
    """A cluster in which each new pod at once has the status of its image."""
    cluster = installable()

    def start(_: object, pod: Object) -> None:
        pod["status"] = status(pod["spec"]["containers"][0]["image"])

    cluster.on(matches("create", "pods"), start)
    return cluster


def created(cluster: ApiServer) -> list[Object]:
    return [request.body for request in cluster.asked("create", "pods")]


STARTED = {"containerStatuses": [{"name": "pull", "state": {"terminated": {"reason": "StartError"}}}]}


def found(cluster: ApiServer, *more: str) -> list[Finding]:
    return list(image_findings(cluster.cluster(), props(), MANIFESTS, more))


def test_images_that_can_be_pulled_are_listed_once_and_their_pods_deleted() -> None:
    cluster = answering(lambda _: STARTED)
    findings = found(cluster, SPICEDB, "other:v1")
    assert [finding.subject for finding in findings] == [f"Image {SPICEDB}", f"Image {KUBECTL}", "Image other:v1"]
    assert {finding.level for finding in findings} == {Level.OK}
    names = [pod["metadata"]["name"] for pod in created(cluster)]
    assert sorted(request.name for request in cluster.asked("delete", "pods")) == sorted(names)
    assert cluster.of("pods") == []


def test_images_of_backups_are_among_them() -> None:
    images = all_images(release_manifests(props(backup=BackupProps(schedule="@daily", image="zed:v1"))))
    assert {"zed:v1", "docker.io/library/busybox:1.37"} < {*images}


def test_pods_meet_the_restricted_standard_and_use_the_secrets_of_the_release() -> None:
    cluster = answering(lambda _: STARTED)
    found(cluster)
    for pod in created(cluster):
        spec: Any = pod["spec"]
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
        assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable"])
def test_an_image_that_cannot_be_pulled_says_why(reason: str) -> None:
    cluster = answering(lambda image: waiting(reason, "not found", name="pull") if image == SPICEDB else STARTED)
    first, second = found(cluster)
    assert (first.level, first.text) == (Level.FAILURE, f"cannot be pulled: {reason}: not found")
    assert second.level is Level.OK
    assert cluster.count("delete", "pods") == 2


def test_a_program_that_cannot_start_does_not_matter() -> None:
    assert {finding.level for finding in found(answering(lambda _: waiting("CreateContainerError", name="pull")))} == {
        Level.OK
    }


def test_after_a_while_it_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_SECONDS", -1.0)
    cluster = answering(lambda _: waiting("ContainerCreating", name="pull"))
    assert {finding.level for finding in found(cluster)} == {Level.WARNING}
    assert cluster.count("delete", "pods") == 2
    unscheduled = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}
    first, _ = found(answering(lambda _: unscheduled))
    assert first.text == "not tried: the pod cannot be scheduled: Insufficient cpu"


def test_a_cluster_that_refuses_the_pods() -> None:
    for finding in found(installable(("create", "pods"))):
        assert finding.level is Level.WARNING
        assert '"create", "delete"' in finding.fix
    refusing = installable()
    refusing.fail(matches("create", "pods"), (403, "exceeded quota"), times=None)
    assert "small pod" in found(refusing)[0].fix
