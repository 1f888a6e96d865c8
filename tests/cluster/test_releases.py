"""What is known of releases against the programs themselves."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import known_releases

from .cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait
from .props import NEW, OLD


@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_heads_are_those_that_the_program_says(namespace: Namespace, version: str) -> None:
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
    wait("the programs' end", lambda: (namespace.get("pod", "heads") or {})["status"]["phase"] == "Succeeded")
    for engine, known in engines.items():
        # Its log, in JSON, comes through the same pipe, in no order.
        lines = namespace.kubectl("logs", "heads", f"--container={engine}").splitlines()
        assert [line for line in lines if not line.startswith("{")] == [known.heads[version]], engine
