"""Upgrades that are interrupted where it hurts, while clients check permissions."""

from __future__ import annotations

from typing import Any

import pytest

from .client import CONNECTIONS, Client, Load, relay
from .cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, wait
from .conftest import KEY
from .databases import postgres_revision
from .helm import Helm
from .props import NEW, NEW_HEAD, OLD, on_postgres

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
"""A hook after the migration that waits until it is told to go on: the time between migration and roll-out."""


def _paused(namespace: Namespace) -> str:
    """The pause's pod, when Helm is there."""

    def running() -> str | None:
        pods = namespace.kubectl("get", "pods", "--selector=job-name=pause", "--output=name", check=False).split()
        phase = namespace.kubectl("get", *pods[:1], "--output=jsonpath={.status.phase}", check=False) if pods else ""
        return pods[0] if phase == "Running" else None

    return wait("the time between migration and roll-out", running)


def _images(namespace: Namespace) -> set[str]:
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in namespace.servers()}


def _delete_a_server(namespace: Namespace, *how: str) -> None:
    """Deletes a server and waits until another of the same release is ready in its place."""
    before = {pod["metadata"]["name"] for pod in namespace.servers()}
    namespace.kubectl("delete", "pod", sorted(before)[0], "--wait=false", *how)
    wait("a new server", lambda: {pod["metadata"]["name"] for pod in namespace.servers()} - before)
    namespace.ready("app.kubernetes.io/component=server")
    assert _images(namespace) == {OLD}


def test_a_server_that_goes_between_migration_and_roll_out_is_replaced(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with helm.upgrading(on_postgres(NEW), extra=[PAUSE]) as upgrade:
            pause = _paused(namespace)
            assert postgres_revision(namespace) == NEW_HEAD
            with Load("a server deleted after the migration", address, KEY) as load:
                _delete_a_server(namespace)
            assert load.unharmed()
            with Load("a server killed after the migration", address, KEY) as killed:
                _delete_a_server(namespace, "--grace-period=0", "--force")
            # Nobody can answer what a killed server was asked; what is asked next is answered.
            assert len(killed.failures) <= CONNECTIONS
            assert killed.checks > 50
            with Load("the roll-out after it", address, KEY) as load:
                namespace.kubectl("exec", pause, "--", "touch", "/tmp/go")
                assert upgrade.wait(timeout=90) == 0, upgrade.communicate()[0]
            assert load.unharmed()
    assert _images(namespace) == {NEW}


def _release_is(status: str, helm: Helm) -> bool:
    return bool(helm.history()[-1]["status"] == status)


@pytest.mark.parametrize("when", ["between migration and roll-out", "in the middle of the roll-out"])
def test_helm_is_killed_and_run_again(any_helm: Helm, namespace: Namespace, postgres: None, when: str) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    pause = [PAUSE] if when == "between migration and roll-out" else []
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load(f"Helm killed {when}", address, KEY) as load:
            with any_helm.upgrading(on_postgres(NEW), extra=pause) as upgrade:
                if pause:
                    _paused(namespace)
                else:
                    wait("the first new server", lambda: NEW in _images(namespace))
                upgrade.kill()
            assert _release_is("pending-upgrade", any_helm)
            again = any_helm.upgrade(on_postgres(NEW))
            # Helm cannot know that the other one is dead; a rollback says so, and migrates nothing.
            assert not again.ok
            assert "another operation" in again.output
            back = any_helm.rollback(1)
            assert back.ok, back.output
            again = any_helm.upgrade(on_postgres(NEW))
            assert again.ok, again.output
        assert load.unharmed()
    assert _images(namespace) == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD


def test_two_upgrades_at_once(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("two upgrades at once", address, KEY) as load:
            with any_helm.upgrading(on_postgres(NEW)) as one, any_helm.upgrading(on_postgres(NEW)) as other:
                outcomes = [_outcome(one), _outcome(other)]
            print(outcomes)
            assert any(code == 0 for code, _ in outcomes), outcomes
            wait("servers of the new release alone", lambda: _images(namespace) == {NEW})
        assert load.unharmed()
    assert postgres_revision(namespace) == NEW_HEAD
    assert _release_is("deployed", any_helm)


def _outcome(process: Any) -> tuple[int, str]:
    output = process.communicate(timeout=120)[0]
    return process.returncode, output[-300:]
