"""One release through every way of delivery: each keeps the rule that new servers wait and old ones serve."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import CleanupProps, MigrationProps, PostgreSQL

from .client import Client, Load, relay
from .cluster import Namespace, Object, moment
from .conftest import KEY
from .databases import postgres_revision
from .deliver import ArgoCDDeliverer, Deliverer, HelmDeliverer, KubectlDeliverer
from .props import NEW, NEW_HEAD, OLD, OLD_HEAD, ON_POSTGRES, on_postgres

KEPT = CleanupProps(enabled=False)
"""So that the finished migration can be looked at."""
NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
BROKEN: PostgreSQL = attrs.evolve(ON_POSTGRES, user="nobody")


@pytest.fixture(params=["helm", "helm3", "kubectl", "argocd"])
def way(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Deliverer:
    if request.param == "kubectl":
        return KubectlDeliverer(namespace, tmp_path)
    if request.param == "argocd":
        return ArgoCDDeliverer(namespace, tmp_path)
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return HelmDeliverer(namespace, tmp_path, request.param)


def ready_since(pod: Object) -> str:
    stamps = [each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    return str(stamps[0])


def names(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["name"] for pod in namespace.servers()}


def finished_at(namespace: Namespace) -> str:
    """When the last migration was done."""
    jobs = namespace.list("jobs", component="migration")
    return max(str(job["status"]["completionTime"]) for job in jobs)


def test_every_way_of_delivery_keeps_the_rule(way: Deliverer, namespace: Namespace, postgres: None) -> None:
    installed = way.deliver(on_postgres(OLD, migration=NEVER, cleanup=KEPT))
    assert installed.ok, installed.output
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()

        before = names(namespace)
        with Load("an upgrade", address, KEY) as load:
            upgraded = way.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEPT))
        assert upgraded.ok, upgraded.output
        assert load.unharmed()
        assert postgres_revision(namespace) == NEW_HEAD
        new = [pod for pod in namespace.servers() if pod["metadata"]["name"] not in before]
        assert len(new) == 2
        assert all(moment(finished_at(namespace)) <= moment(ready_since(pod)) for pod in new)

        namespace.settled()
        serving = names(namespace)
        with Load("the same state again", address, KEY) as load:
            again = way.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEPT))
        assert again.ok, again.output
        assert load.unharmed()
        assert names(namespace) == serving, "nothing has changed, so nothing restarts"

        with Load("a failure on purpose", address, KEY) as load:
            failed = way.deliver(on_postgres(NEW, datastore=BROKEN, migration=NEVER, cleanup=KEPT))
        assert not failed.ok
        assert "password authentication failed" in failed.output, "it says why"
        assert load.unharmed()
        assert serving <= names(namespace), "the servers before it go on serving"

        with Load("and mended", address, KEY) as load:
            mended = way.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEPT))
        assert mended.ok, mended.output
        assert load.unharmed()

        with Load("back, without migrating", address, KEY) as load:
            back = way.deliver(on_postgres(OLD, migration=MigrationProps(enabled=False)))
        assert back.ok, back.output
        assert load.unharmed()
        assert {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in namespace.servers()} == {OLD}


def test_argo_cd_does_not_sync_an_older_state_that_migrates(
    namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    argocd = ArgoCDDeliverer(namespace, tmp_path)
    assert argocd.deliver(on_postgres(NEW)).ok
    assert namespace.list("jobs", component="migration") == [], "the clean-up has removed it"
    assert namespace.list("jobs", component="cleanup") == []
    serving = names(namespace)
    failed = argocd.deliver(on_postgres(OLD, migration=NEVER))
    assert not failed.ok
    assert names(namespace) == serving, "they serve on, at the newer version"


def test_plain_apply_goes_back_while_the_older_migration_is_there(
    namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    kubectl = KubectlDeliverer(namespace, tmp_path)
    for version in (OLD, NEW, OLD):
        delivered = kubectl.deliver(on_postgres(version))
        assert delivered.ok, delivered.output
    assert postgres_revision(namespace) == NEW_HEAD
    assert len(namespace.list("jobs", component="migration")) == 2, "each is named by what it runs"


@pytest.mark.parametrize("kind", [KubectlDeliverer, ArgoCDDeliverer])
def test_the_migration_has_its_identity_in_time(
    kind: type[Deliverer], namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    delivered = kind(namespace, tmp_path).deliver(on_postgres(service_account_annotations={"example.com/role": "one"}))
    assert delivered.ok, delivered.output
