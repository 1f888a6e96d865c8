"""The release table compared with the SpiceDB programs."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import known_releases
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait
from tests.lab.props import NEW, OLD


@pytest.mark.parametrize("version", [OLD, NEW])
def test_known_heads_match_the_program(namespace: Namespace, version: str) -> None:
    engines = known_releases().engines
    containers = [
        {
            "name": engine,
            "image": f"ghcr.io/authzed/spicedb:{version}",
            "command": ["spicedb", "datastore", "head", "--datastore-engine", engine, "--skip-release-check"],
            "securityContext": RESTRICTED_CONTAINER,
        }
        for engine in engines
    ]
    spec = {
        "restartPolicy": "Never",
        "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
        "containers": containers,
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "heads"}, "spec": spec})
    wait("the programs to finish", lambda: (namespace.get("pod", "heads") or {})["status"]["phase"] == "Succeeded")
    for engine, known in engines.items():
        # The output also contains JSON log lines, in any order.
        lines = namespace.kubectl("logs", "heads", f"--container={engine}").splitlines()
        assert [line for line in lines if not line.startswith("{")] == [known.heads[version]], engine
