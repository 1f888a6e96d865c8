"""Flux's real helm-controller installs charts from a registry, under load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import ServerProps
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import PASSWORD, POSTGRES, postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

from .flux import HELM_RELEASE, flux
from .processes import require_programs
from .registry import registry
from .sources import NAME, Released, say
from .state import BROKEN, NEVER, PHASES, broken_secret, only_migrations_are_left, step


@pytest.fixture
def released(namespace: Namespace, postgres: None, tmp_path: Path) -> Iterator[Released]:
    require_programs("registry")
    with flux(namespace, tmp_path / "flux") as started, registry(tmp_path / "registry") as charts:
        yield Released(started, charts, tmp_path / "charts")


def test_failures_of_a_helm_release(released: Released, namespace: Namespace) -> None:
    """Migrations and servers that fail, and what mends them."""
    broken_secret(namespace)
    say(released.start(on_postgres(OLD), "1.0.0", timeout="90s"))
    assert namespace.versions(ready=True) == {OLD}
    with relay(namespace) as address:
        Client(address, KEY).write()
        _fail_and_mend_release(released, namespace, address)
        _retry_release(released, namespace, address)
        _roll_back_servers(released, namespace, address)
    released.delete()
    only_migrations_are_left(namespace)


def test_changes_of_a_helm_release(released: Released, namespace: Namespace) -> None:
    """Two phases, a revert, and the deletion."""
    released.push(on_postgres(OLD, migration=NEVER), "1.0.0")
    released.start(on_postgres(migration=NEVER), "2.0.0")
    with relay(namespace) as address:
        Client(address, KEY).write()
        for number, planned in enumerate(PHASES, 3):
            with step(f"chart: to {planned.schema_mode}", address):
                say(released.deliver(on_postgres().at(planned), f"{number}.0.0"))
            namespace.wait_for_terminating_servers()
            Client(address, KEY).write_schema()
        released.use("2.0.0")
        namespace.wait_for_terminating_servers()
        _go_back_with_release(released, namespace, address)
    released.delete()
    only_migrations_are_left(namespace)


def _fail_and_mend_release(released: Released, namespace: Namespace, address: str) -> None:
    with step("chart: a migration that fails", address):
        say(released.deliver(on_postgres(migration=BROKEN), "2.0.0", ready="False"))
        failed = released.failed()
    print(failed)
    assert "spicedb-migration" in failed
    assert namespace.versions(ready=True) == {OLD}
    assert postgres_revision(namespace) == OLD_HEAD
    with step("chart: an upgrade that mends it", address):
        say(released.deliver(on_postgres(migration=NEVER), "3.0.0"))
    assert namespace.versions(ready=True) == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()


def _retry_release(released: Released, namespace: Namespace, address: str) -> None:
    """The same chart is not tried again, until somebody asks for it."""
    released.deliver(on_postgres(migration=attrs.evolve(BROKEN, log_level="debug")), "4.0.0", ready="False")
    released.failed()
    broken_secret(namespace, POSTGRES.env["POSTGRES_USER"], PASSWORD)
    revisions = released.flux.history(NAME)[0]["version"]
    released.flux.request(HELM_RELEASE, NAME)
    assert released.flux.history(NAME)[0]["version"] == revisions, "no retry"
    with step("chart: a retry", address):
        released.flux.request(HELM_RELEASE, NAME, "resetAt")
        say(released.wait("4.0.0"))
    namespace.wait_for_terminating_servers()


def _roll_back_servers(released: Released, namespace: Namespace, address: str) -> None:
    """Servers that do not start are rolled back, without a migration."""
    wrong = ServerProps(extra_args=["--dispatch-max-depth=x"])
    with step("chart: servers that do not start", address):
        released.deliver(on_postgres(server=wrong), "5.0.0", ready="False")
        print(released.failed())
    say(released.flux.status(HELM_RELEASE, NAME))
    assert released.flux.history(NAME)[0]["chartVersion"].startswith("4.0.0+")
    (job,) = namespace.list("jobs", component="migration")
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--log-level=debug" not in arguments, "the rollback did not run the migration of its chart"
    assert namespace.versions(ready=True) == {NEW}


def _go_back_with_release(released: Released, namespace: Namespace, address: str) -> None:
    """The older chart's migration fails. With a value that turns it off, the older servers start."""
    with step("chart: a revert", address):
        released.use("1.0.0", ready="False")
        print(released.failed())
        assert namespace.versions(ready=True) == {NEW}
        say(released.use("1.0.0", values={"migrations": {"enabled": False}}))
    assert namespace.versions(ready=True) == {OLD}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()
