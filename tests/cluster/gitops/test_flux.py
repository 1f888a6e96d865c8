"""Flux applies the same manifests and the same chart again and again, and nothing changes."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path

import yaml

from cdk8s_spicedb import ServerProps
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.props import KEY, on_postgres, small
from tests.programs import ROOT

from .flux import HELM_RELEASE, KUSTOMIZATION, flux
from .git import git_server
from .processes import require_programs
from .registry import registry
from .sources import NAME, Committed, Released
from .state import jobs, names, step, uid_of

OTHER = "other"
"""The SpiceDB of the chart."""
SECONDS = 60 * float(os.environ.get("DRIFT_MINUTES", "10"))


def test_page_has_the_objects_of_the_example() -> None:
    page = (ROOT / "docs" / "install" / "flux.md").read_text()
    blocks = re.findall(r"^```yaml\n(apiVersion.*?)^```", page, re.MULTILINE | re.DOTALL)
    written = [manifest for block in blocks for manifest in yaml.safe_load_all(block)]
    objects = [
        manifest
        for file in ("manifests.yaml", "chart.yaml")
        for manifest in yaml.safe_load_all((ROOT / "examples" / "flux" / file).read_text())
    ]
    objects[1]["spec"]["path"] = "./manifests"
    assert written == objects


def test_nothing_changes_without_a_change(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    """Flux applies the same manifests and the same chart again and again, for ten minutes by default."""
    require_programs("registry")
    one = small(ServerProps(replicas=1))
    with (
        flux(namespace, tmp_path / "flux") as started,
        git_server(tmp_path / "git") as server,
        registry(tmp_path / "registry") as charts,
    ):
        committed = Committed(started, server.repository("authz"))
        committed.start(on_postgres(server=one))
        released = Released(started, charts, tmp_path / "charts", OTHER)
        released.start(on_postgres(server=one, name=OTHER), "1.0.0")
        wait("the hooks to be gone", lambda: _only_servers(namespace, OTHER), 120)
        before, log = _state(namespace), tmp_path / "flux" / "kustomize-controller.log"
        with relay(namespace) as address:
            Client(address, KEY).write()
            with step("no change", address, pause=1):
                _watch(namespace, SECONDS)
        assert _state(namespace) == before
        count = log.read_text().count("Reconciliation finished")
        print(f"{count} reconciliations of the Kustomization")
        assert count > SECONDS / 60
        assert "configured" not in started.events(NAME)
        assert len(started.history(OTHER)) == 1, "no other Helm revision"
        assert started.conditions(HELM_RELEASE, OTHER)["Drifted"]["status"] == "False"
        _undo_drift(committed, namespace)
        released.delete()


def _undo_drift(committed: Committed, namespace: Namespace) -> None:
    """Both controllers undo a change by hand. A deleted Job runs again, and has nothing to do."""
    for name in (NAME, OTHER):
        namespace.kubectl("scale", f"deployment/{name}", "--replicas=2")
    for name in (NAME, OTHER):
        wait(f"the replicas of {name}", partial(_has_one_replica, namespace, name), 120)
    (job,), serving = jobs(namespace), names(namespace, component="server")
    uid = uid_of(namespace, job)
    namespace.kubectl("delete", "job", job)
    committed.flux.request(KUSTOMIZATION, NAME)
    committed.wait(committed.repository.revision())
    assert uid_of(namespace, job) not in ("", uid)
    assert names(namespace, component="server") <= serving


def _only_servers(namespace: Namespace, name: str) -> bool:
    """Whether neither Jobs nor their pods exist."""
    servers = namespace.list("pods", instance=name, component="server")
    return len(namespace.list("pods,jobs", instance=name)) == len(servers)


def _has_one_replica(namespace: Namespace, name: str) -> bool:
    return namespace.kubectl("get", "deployment", name, "--output=jsonpath={.spec.replicas}") == "1"


def _watch(namespace: Namespace, seconds: float) -> None:
    """Waits, and fails as soon as a migration runs or a server restarts."""
    before, end = _pods(namespace), time.monotonic() + seconds
    while time.monotonic() < end:
        assert _pods(namespace) == before
        time.sleep(5)


def _pods(namespace: Namespace) -> dict[str, int]:
    """The pods of all SpiceDBs, and how often their containers restarted."""
    pods = namespace.list("pods", name="spicedb")
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}


def _state(namespace: Namespace) -> dict[str, tuple[str, int]]:
    """The objects of all SpiceDBs, with the number of changes to their specs."""
    kinds = "jobs,deployments,replicasets,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
    found = namespace.list(kinds, name="spicedb")
    return {
        f"{each['kind']}/{each['metadata']['name']}": (each["metadata"]["uid"], each["metadata"].get("generation", 0))
        for each in found
    }
