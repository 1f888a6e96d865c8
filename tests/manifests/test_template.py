"""What all pods have in common."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import SpiceDBProps
from tests.synth import Object, matrix, synth

MATRIX = matrix()
EXAMPLES = pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
NONROOT = 65532


def containers_of(template: Object) -> list[Object]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


@EXAMPLES
def test_every_pod_meets_the_restricted_standard(props: SpiceDBProps) -> None:
    found = synth(props).templates
    assert found
    for template in found:
        spec, containers = template["spec"], containers_of(template)
        assert not {"hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"} & set(spec)
        kinds = {"name", "projected", "configMap", "persistentVolumeClaim"}
        assert {key for volume in spec.get("volumes", []) for key in volume} <= kinds
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == NONROOT
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert containers
        for container in containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert not any("hostPort" in port for port in container.get("ports", []))


@EXAMPLES
def test_every_container_has_requests_and_limits(props: SpiceDBProps) -> None:
    for template in synth(props).templates:
        for container in containers_of(template):
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@EXAMPLES
def test_no_pod_has_variables_of_services(props: SpiceDBProps) -> None:
    assert {template["spec"]["enableServiceLinks"] for template in synth(props).templates} == {False}


@EXAMPLES
def test_only_pods_that_call_kubernetes_have_a_token(props: SpiceDBProps) -> None:
    found = synth(props)
    bound = {subject["name"] for binding in found.all("RoleBinding") for subject in binding["subjects"]}
    for template in found.templates:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is (spec.get("serviceAccountName") in bound)
    assert {account["automountServiceAccountToken"] for account in found.all("ServiceAccount")} == {False}
