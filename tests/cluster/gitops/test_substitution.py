"""Flux' postBuild.substitute changes nothing in the manifests, with the real kustomize-controller."""

from __future__ import annotations

import json
from pathlib import Path

from cdk8s_spicedb import Dashboard, Monitoring
from tests.lab.cluster import Namespace
from tests.lab.props import ON_MARIADB, on_postgres

from .flux import flux
from .git import git_server
from .sources import Committed, say


def test_variables_of_flux_do_not_reach_the_manifests(namespace: Namespace, mariadb: None, tmp_path: Path) -> None:
    props = on_postgres(datastore=ON_MARIADB, monitoring=Monitoring(dashboard=Dashboard()), annotations={"by": "${BY}"})
    wrong = {"BY": "flux", "DATASTORE_PASSWORD": "wrong", "datasource": "wrong"}
    with flux(namespace, tmp_path / "flux") as started, git_server(tmp_path / "git") as server:
        committed = Committed(started, server.repository("authz"))
        say(committed.start(props, postBuild={"substitute": wrong}))
    (deployment,) = json.loads(namespace.kubectl("get", "deployments", "--output=json"))["items"]
    assert deployment["metadata"]["annotations"]["by"] == "flux", "what the user writes is substituted"
    assert namespace.versions(ready=True) == {props.version}
    (dashboard,) = [
        each
        for each in json.loads(namespace.kubectl("get", "configmaps", "--output=json"))["items"]
        if each["metadata"]["name"] == "spicedb-dashboard"
    ]
    assert '"uid": "$datasource"' in dashboard["data"]["spicedb.json"]
