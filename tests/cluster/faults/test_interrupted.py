"""Interrupted upgrades while clients check permissions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, wait
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, on_postgres

_HOOK = {"helm.sh/hook": "pre-upgrade", "helm.sh/hook-weight": "1", "helm.sh/hook-delete-policy": "hook-succeeded"}
PAUSE: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "pause", "annotations": _HOOK},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
                "containers": [
                    {
                        "name": "pause",
                        "image": "docker.io/library/busybox:1.37",
                        "command": ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.2; done"],
                        "securityContext": RESTRICTED_CONTAINER,
                    }
                ],
            }
        },
    },
}
"""A hook that pauses the upgrade between the migration and the roll-out, until the file /tmp/go exists."""


def _wait_for_pause(namespace: Namespace) -> str:
    """Waits until the upgrade is paused, and returns the pod of the pause."""

    def running_pod() -> str | None:
        pods = namespace.kubectl("get", "pods", "--selector=job-name=pause", "--output=name", check=False).split()
        phase = namespace.kubectl("get", *pods[:1], "--output=jsonpath={.status.phase}", check=False) if pods else ""
        return pods[0] if phase == "Running" else None

    return wait("the pause between migration and roll-out", running_pod)


def _delete_a_server(namespace: Namespace, *options: str) -> None:
    """Deletes a server, and waits until its replacement of the same release is ready."""
    before = {pod["metadata"]["name"] for pod in namespace.servers()}
    namespace.kubectl("delete", "pod", sorted(before)[0], "--wait=false", *options)
    wait("a new server", lambda: {pod["metadata"]["name"] for pod in namespace.servers()} - before)
    namespace.wait_until_ready("app.kubernetes.io/component=server")
    assert namespace.versions() == {OLD}


def test_server_deleted_between_migration_and_roll_out_is_replaced(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with helm.upgrading(on_postgres(NEW), extra=[PAUSE]) as upgrade:
            pause = _wait_for_pause(namespace)
            assert postgres_revision(namespace) == NEW_HEAD
            with Load("a server deleted after the migration", address, KEY) as load:
                _delete_a_server(namespace)
            assert load.succeeded()
            with Load("a server killed after the migration", address, KEY) as killed:
                _delete_a_server(namespace, "--grace-period=0", "--force")
            # A killed server's requests fail, and so do new ones until the nodes know that it is gone.
            assert all("UNAVAILABLE" in failure for failure in killed.failures), killed.failures
            assert killed.longest_gap < 20
            assert killed.checks > 50
            with Load("the roll-out after deleted servers", address, KEY) as load:
                namespace.kubectl("exec", pause, "--", "touch", "/tmp/go")
                assert upgrade.wait(timeout=90) == 0, upgrade.communicate()[0]
            assert load.succeeded()
    assert namespace.versions() == {NEW}


def _has_status(status: str, helm: Helm) -> bool:
    return bool(helm.history()[-1]["status"] == status)


@pytest.mark.parametrize("when", ["between migration and roll-out", "in the middle of the roll-out"])
def test_upgrade_succeeds_after_helm_was_killed(
    any_helm: Helm, namespace: Namespace, postgres: None, when: str
) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    pause = [PAUSE] if when == "between migration and roll-out" else []
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load(f"Helm killed {when}", address, KEY) as load:
            with any_helm.upgrading(on_postgres(NEW), extra=pause) as upgrade:
                if pause:
                    _wait_for_pause(namespace)
                else:
                    wait("the first new server", lambda: NEW in namespace.versions())
                upgrade.kill()
            assert _has_status("pending-upgrade", any_helm)
            again = any_helm.upgrade(on_postgres(NEW))
            # Helm considers the killed upgrade still pending. A rollback, which does not migrate, resolves that.
            assert not again.ok
            assert "another operation" in again.output
            back = any_helm.rollback(1)
            assert back.ok, back.output
            again = any_helm.upgrade(on_postgres(NEW))
            assert again.ok, again.output
        assert load.succeeded()
    assert namespace.versions() == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD


def test_concurrent_upgrades_fail_no_requests(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("concurrent upgrades", address, KEY) as load:
            with any_helm.upgrading(on_postgres(NEW)) as one, any_helm.upgrading(on_postgres(NEW)) as other:
                outcomes = [_outcome(one), _outcome(other)]
            print(outcomes)
            assert any(code == 0 for code, _ in outcomes), outcomes
            wait("all servers to run the new release", lambda: namespace.versions() == {NEW})
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD
    assert _has_status("deployed", any_helm)


def _outcome(process: Any) -> tuple[int, str]:
    output = process.communicate(timeout=120)[0]
    return process.returncode, output[-300:]
