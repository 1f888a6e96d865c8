"""A cluster in which nothing runs yet, for tests of installs and uninstalls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from attrs import define, field

from cdk8s_spicedb import BackupProps, Delivery, PermissionTest, SpiceDBProps
from cdk8s_spicedb.live import (
    CheckOptions,
    InstallOptions,
    InstallPreflight,
    Outcome,
    Removal,
    State,
    install,
    uninstall,
)
from tests.apiserver import NAMESPACE, ApiServer, Object
from tests.controllers import run_controllers
from tests.live.installed import installable, props
from tests.live.kubectl import Kubectl
from tests.live.upgrade.faults import Cell, Faulty
from tests.live.upgrade.helmprogram import Helm
from tests.live.upgrade.scenarios import BlockedClock, Running

T = TypeVar("T")
NAME = "spicedb"
_MIGRATION = f"{NAME}-migration"
STAYS = ["PersistentVolumeClaim spicedb-backup"]
"""What an uninstall leaves."""
TEST = PermissionTest(resource="document", permission="read", subject="user")
QUICK = InstallOptions(check=None)
CHECKS = InstallOptions(check=CheckOptions(database=False, schema=False))


def yes(_: object) -> bool:
    """What ``confirm`` answers."""
    return True


@define
class Place:
    """A cluster, the process that works on it, and how the Jobs and the servers of the release end."""

    delivery: Delivery = Delivery.HELM
    api: ApiServer = field(factory=installable)
    migration_fails: bool = False
    servers_fail: bool = False
    process: Faulty = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.api.pages["*"] = ""
        # Another Helm works in the namespace, on another release.
        Helm(self.api).install("other", [], "v1")
        Helm(self.api).begins("other")
        run_controllers(self.api, fails=self._failure, log=self._log)
        self.begin()

    def _failure(self, job: Object) -> str:
        """Why a Job fails."""
        return "BackoffLimitExceeded" if self.migration_fails and job["metadata"]["name"].startswith(_MIGRATION) else ""

    def _log(self, job: Object) -> str:
        return 'password authentication failed for user "spicedb"' if self._failure(job) else ""

    def begin(self, cell: Cell | None = None) -> None:
        """A new process, with a fault."""
        program: Helm | Kubectl = Kubectl(self.api)
        if self.delivery is Delivery.HELM:
            program = Helm(self.api, lambda _: self.servers_fail, self._failure, self._log)
        clock = BlockedClock()
        Running.process = self.process = Faulty(self.api, program, clock, cell)
        clock.on_sleep = self.process.sleeps

    def props(self, **fields: Any) -> SpiceDBProps:
        """What is installed: with backups, and a permission test if there can be one."""
        test = TEST if self.delivery is Delivery.HELM else None
        return props(**{"delivery": self.delivery, "test": test, "backup": BackupProps(schedule="@daily"), **fields})

    def install(
        self,
        settings: SpiceDBProps | None = None,
        options: InstallOptions = QUICK,
        confirm: Callable[[InstallPreflight], bool] = yes,
    ) -> Outcome:
        """Installs it."""
        cluster = self.process.cluster(NAMESPACE)
        return install(cluster, settings or self.props(), options=options, confirm=confirm)

    def uninstall(self, confirm: Callable[[Removal], bool] = yes) -> Outcome:
        """Removes it."""
        return uninstall(self.process.cluster(NAMESPACE), NAME, confirm=confirm)

    def left(self) -> list[str]:
        """What is in the namespace, but nobody who uninstalls wants to lose."""
        kinds = [each.plural for each in self.api.resources if each.plural not in ("nodes", "namespaces", "events")]
        found = [each for kind in kinds for each in self.api.of(kind)]
        return sorted(f"{each['kind']} {each['metadata']['name']}" for each in found if not _is_foreign(each))


def _is_foreign(each: Object) -> bool:
    name = each["metadata"]["name"]
    return each["kind"] == "Secret" and (name == NAME or ".other." in name)


def kept(found: list[T]) -> Callable[[T], bool]:
    """A ``confirm`` that keeps what it gets, and says yes."""

    def confirm(asked: T) -> bool:
        found.append(asked)
        return True

    return confirm


def done(outcome: Outcome) -> None:
    """The outcome is a success."""
    assert (outcome.state, outcome.reason) == (State.DONE, "")


@pytest.fixture(params=[Delivery.HELM, Delivery.KUBECTL], ids=lambda each: each.value)
def place(request: pytest.FixtureRequest) -> Place:
    """A cluster for each program that installs."""
    return Place(request.param)
