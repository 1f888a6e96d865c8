"""One release through every way of delivery: each keeps the rule that new servers wait and old ones serve."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import CleanupProps, MigrationProps, SecretKey

from .client import Client, Load, relay
from .cluster import Namespace, Object, moment
from .conftest import KEY
from .databases import POSTGRES, postgres_revision
from .deliver import ArgoCDDeliverer, Deliverer, HelmDeliverer, KubectlDeliverer
from .props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

KEPT = CleanupProps(enabled=False)
"""So that the finished migration can be looked at."""
NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
BROKEN: MigrationProps = attrs.evolve(NEVER, datastore_uri=SecretKey("broken", "uri"))
"""A migration that the database refuses, beside servers that it does not."""


@pytest.fixture(params=["helm", "helm3", "kubectl", "argocd"])
def way(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Deliverer:
    if request.param == "kubectl":
        return KubectlDeliverer(namespace, tmp_path)
    if request.param == "argocd":
        return ArgoCDDeliverer(namespace, tmp_path)
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return HelmDeliverer(namespace, tmp_path, request.param)


def names(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["name"] for pod in namespace.servers()}


def images(namespace: Namespace) -> set[str]:
    """The releases of the servers that are ready."""
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in namespace.servers() if is_ready(pod)}


def is_ready(pod: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def test_every_way_of_delivery_keeps_the_rule(way: Deliverer, namespace: Namespace, postgres: None) -> None:
    namespace.secret("broken", {"uri": f"postgresql://nobody:wrong@{POSTGRES.name}:5432/spicedb?sslmode=disable"})
    installed = way.deliver(on_postgres(OLD, migration=NEVER, cleanup=KEPT))
    assert installed.ok, installed.output
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()
        before = names(namespace)

        with Load("a migration that fails", address, KEY) as load:
            failed = way.deliver(on_postgres(NEW, migration=BROKEN, cleanup=KEPT))
        assert not failed.ok
        assert "password authentication failed" in failed.output, "it says why"
        assert load.unharmed()
        assert postgres_revision(namespace) == OLD_HEAD
        assert images(namespace) == {OLD}, "new servers do not serve before the migration is done"
        assert before <= names(namespace), "the servers before it go on serving"

        with Load("an upgrade", address, KEY) as load:
            upgraded = way.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEPT))
        assert upgraded.ok, upgraded.output
        assert load.unharmed()
        assert postgres_revision(namespace) == NEW_HEAD
        assert images(namespace) == {NEW}
        assert not before & names(namespace)
        if way.delivery.has_hooks:
            assert all(migrated_at(namespace) <= moment(made) for made in creations(namespace))

        namespace.settled()
        serving = names(namespace)
        with Load("the same state again", address, KEY) as load:
            again = way.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEPT))
        assert again.ok, again.output
        assert load.unharmed()
        assert names(namespace) == serving, "nothing has changed, so nothing restarts"

        with Load("back, without migrating", address, KEY) as load:
            back = way.deliver(on_postgres(OLD, migration=MigrationProps(enabled=False)))
        assert back.ok, back.output
        assert load.unharmed()
        assert images(namespace) == {OLD}


def migrated_at(namespace: Namespace) -> datetime:
    (job,) = namespace.list("jobs", component="migration")
    return moment(job["status"]["completionTime"])


def creations(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["creationTimestamp"] for pod in namespace.servers()]


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
