"""A whole rehearsal, in memory: what it does, and what it leaves when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest

from cdk8s_spicedb import Delivery, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live.cluster import NAMESPACE as NAMESPACES
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.data.server import Server
from cdk8s_spicedb.live.rehearsal import Rehearsal, RehearsalOptions, rehearse
from cdk8s_spicedb.live.rehearsal import clients as clients_module
from cdk8s_spicedb.live.upgrade import kubectl
from tests.apiserver import NAMESPACE, Object, matches
from tests.controllers import run_controllers
from tests.live.check.test_probe import Program
from tests.live.clock import FakeClock
from tests.live.data.conftest import SCHEMA, connect
from tests.live.installed import props
from tests.live.kubectl import Kubectl
from tests.spicedbserver import KEY, SpiceDBServer

OLD, NEW = "v1.54.0", "v1.56.0"
SANDBOX = "sandbox"
TEXTS = [f"document:d{number}#reader@user:u{number % 4}" for number in range(10)]


class World(Program):
    """A cluster with a release, and room for its rehearsal. Both SpiceDBs are in memory."""

    def __init__(self, live: SpiceDBServer, rehearsed: SpiceDBServer, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(running=OLD)
        self.live, self.rehearsed, self.key = live, rehearsed, KEY
        self.api.pages["*"] = ""
        self.api.put("namespaces", {"metadata": {"name": SANDBOX}})
        run_controllers(self.api)
        self.api.on(matches("patch", "pods"), lambda _, pod: self.started(pod))
        monkeypatch.setattr(kubectl, "run", Kubectl(self.api).run)
        monkeypatch.setattr(clients_module, "reaching", self.reaching)
        # The function has the name of its module.
        module = import_module("cdk8s_spicedb.live.rehearsal.rehearse")
        monkeypatch.setattr(module, "reaching", self.reaching)

    @contextmanager
    def reaching(self, cluster: Cluster, _: str) -> Iterator[Server]:
        yield connect(self.live if cluster.namespace == NAMESPACE else self.rehearsed, self.key)

    def run(self, pod: Object) -> None:
        if pod["metadata"]["name"].startswith("spicedb-apart"):
            self.started(pod)
        else:
            super().run(pod)

    def started(self, pod: Any) -> None:
        if pod:
            pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    def in_the_step(self, act: Callable[[], object]) -> None:
        """Does something while a step begins."""
        self.api.on(matches("create", "leases"), lambda *_: act())

    def rehearse(self, settings: SpiceDBProps | None = None, **options: Any) -> Rehearsal:
        self.rehearsed.clear()
        chosen = RehearsalOptions(observe_seconds=0, database_image="postgres:15", **options)
        return rehearse(
            self.api.cluster(clock=FakeClock()), settings or props(NEW, delivery=Delivery.KUBECTL), options=chosen
        )

    def reasons(self) -> Sequence[str]:
        """Why a rehearsal fails, or which problems it finds."""
        try:
            return self.rehearse(into=SANDBOX).problems
        except SpiceDBError as error:
            return [str(error)]

    def left(self, namespace: str = SANDBOX) -> set[str]:
        """The objects of a namespace, without what controllers made."""
        kinds = ("jobs", "services", "configmaps", "leases", "secrets", "deployments", "serviceaccounts")
        return {f"{kind}/{each['metadata']['name']}" for kind in kinds for each in self.api.of(kind, namespace)}

    def namespaces(self) -> set[str]:
        return {each["metadata"]["name"] for each in self.api.cluster().find(NAMESPACES)}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with SpiceDBServer(SCHEMA) as live, SpiceDBServer() as rehearsed:
        live.put(*TEXTS)
        yield World(live, rehearsed, monkeypatch)


def test_a_rehearsal_without_a_problem(world: World) -> None:
    before = world.left(NAMESPACE)
    found = world.rehearse(into=SANDBOX)
    assert (found.ok, found.problems) == (True, [])
    assert world.left() == set()
    assert world.left(NAMESPACE) - before == {"configmaps/spicedb-rehearsal"}


def test_a_namespace_of_its_own_is_deleted(world: World) -> None:
    before = world.namespaces()
    assert world.rehearse().ok
    assert world.namespaces() == before


# ---------------------------------------------------------------- problems


def test_an_argument_that_the_program_does_not_take(world: World) -> None:
    world.unknown = ("--log-level",)
    found = world.rehearse(into=SANDBOX)
    problem = "the step fails: v1.56.0 does not take its arguments: unknown flag: --log-level"
    assert found.problems == [f"step 1, v1.56.0: {problem}"]
    assert world.left() == set()


def test_a_program_with_another_head(world: World) -> None:
    world.head = "of-somebody"
    assert world.rehearse(into=SANDBOX).problems == [
        "step 1, v1.56.0: the head of the program is of-somebody, but populate-schema-tables was planned"
    ]


def test_lookups_that_differ_are_a_problem(world: World) -> None:
    found = {("user:u1", "document#reader"): ["d1", "d5"]}
    world.rehearsed.looked_up = dict(found)
    world.in_the_step(world.rehearsed.looked_up.clear)
    problems = world.rehearse(into=SANDBOX).problems
    assert any("LookupResources document#reader for user:u1: 2 of 2 results missing" in each for each in problems)


# ---------------------------------------------------------------- faults

CODE = grpc.StatusCode


def test_a_wrong_key(world: World) -> None:
    world.key = "wrong"
    with pytest.raises(SpiceDBError, match="PERMISSION_DENIED: invalid preshared key"):
        world.rehearse(into=SANDBOX)
    assert world.left() == set()
    assert not world.api.asked("patch", "deployments"), "it does not begin"


def test_a_quota_that_is_used_up(world: World) -> None:
    quota = (403, 'pods "rehearsal-database" is forbidden: exceeded quota: small, requested: pods=1, limited: pods=3')
    world.api.fail(matches("patch", "pods"), quota)
    error = "cannot rehearse in the namespace sandbox: .*exceeded quota: small.*; allow it there, or name another"
    with pytest.raises(SpiceDBError, match=error):
        world.rehearse(into=SANDBOX)
    assert world.left() == set()


@pytest.mark.parametrize("code", [CODE.INTERNAL, CODE.UNKNOWN])
def test_the_database_restarts_while_the_servers_are_asked(world: World, code: grpc.StatusCode) -> None:
    world.in_the_step(lambda: world.rehearsed.fail("WriteSchema", code))
    found = world.rehearse(into=SANDBOX)
    (problem,) = found.problems
    assert problem.startswith("step 1, v1.56.0: the step fails: the servers do not answer as before: ")
    assert code.name in problem
    assert world.left() == set()


def test_the_database_restarts_after_the_rollback(world: World) -> None:
    def undone(*_: object) -> None:
        world.rehearsed.fail("CheckBulkPermissions", CODE.INTERNAL, times=99)

    world.api.on(
        matches("create", "pods"), lambda _, pod: undone() if pod and "apart" in str(pod["metadata"]) else None
    )
    (problem,) = world.rehearse(into=SANDBOX).problems
    assert "the rollback fails: the servers do not answer as before: " in problem


def test_the_database_is_away_while_it_is_filled(world: World) -> None:
    world.rehearsed.fail("ImportBulkRelationships", CODE.INTERNAL)
    with pytest.raises(SpiceDBError, match="INTERNAL"):
        world.rehearse(into=SANDBOX)
    assert world.left() == set()


@pytest.mark.parametrize("call", [("patch", "pods"), ("patch", "deployments"), ("create", "leases")])
def test_ctrl_c_leaves_nothing(world: World, call: tuple[str, str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    world.api.on(matches(*call), interrupt, before=True)
    with pytest.raises(KeyboardInterrupt):
        world.rehearse(into=SANDBOX)
    assert world.left() == set()


def test_missing_rights_leave_nothing(world: World) -> None:
    """For each right that a rehearsal uses: it ends with a reason, or it works without the right."""
    world.rehearse(into=SANDBOX)
    used = sorted({(verb, resource) for verb, resource, _ in world.api.used})
    begun = world.left(NAMESPACE)
    for verb, resource in used:
        world.api.deny(resource, verb)
        reasons = world.reasons()
        world.api.allow(resource)
        assert all("forbidden" in each for each in reasons), (verb, resource, reasons)
        # Without the right to find or to delete something, it stays until the Job is deleted.
        assert world.left() == set() or verb in ("delete", "list"), (verb, resource)
        for kind in ("jobs", "services", "configmaps", "leases", "secrets", "deployments", "serviceaccounts", "pods"):
            for each in world.api.of(kind, SANDBOX):
                world.api.remove(kind, each["metadata"]["name"], SANDBOX)
        assert world.left(NAMESPACE) == begun, (verb, resource)
