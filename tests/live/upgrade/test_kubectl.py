"""Releases that kubectl applies."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import BackupProps, Delivery, SchemaProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live.upgrade import kubectl
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.prepare import deliverer_of
from tests.apiserver import ApiServer, matches
from tests.controllers import run_controllers
from tests.live.installed import (
    NEW,
    OLD,
    deploy,
    props,
    running_in,
    seen_in,
)
from tests.live.kubectl import Kubectl


@pytest.fixture
def kubectl_program(monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    api = ApiServer()
    deploy(api, props(OLD), helm=False)
    program = Kubectl(api)
    monkeypatch.setattr(kubectl, "run", program.run)
    return program


def by_kubectl(version: str = NEW, **fields: Any) -> SpiceDBProps:
    return attrs.evolve(props(version), delivery=Delivery.KUBECTL, **fields)


def test_kubectl_applies_the_migration_first(kubectl_program: Kubectl) -> None:
    api, commands = kubectl_program.api, kubectl_program.commands
    run_controllers(api)
    applies = deliverer_of(api.cluster(), seen_in(api))
    applies.recover()
    assert not applies.is_applied("label")
    applies.apply(by_kubectl(schema=SchemaProps(text="definition user {}")), "label", 1)
    assert [command[1] for command in commands] == ["apply", "apply"]
    assert "--server-side" in commands[0]
    first, later = (
        min(number for number, each in enumerate(api.requests) if matches("patch", resource)(each))
        for resource in ("jobs", "deployments")
    )
    assert first < later
    assert running_in(api).version == NEW
    assert applies.revision() == "2"
    applies.roll_back("1")
    assert running_in(api).version == OLD
    with pytest.raises(StepError, match="kubectl rollout: error: unable to find specified revision 7 in history"):
        applies.roll_back("7")
    with pytest.raises(SpiceDBError, match="only Helm"):
        applies.test()
    assert applies.roll_back_command("1").startswith("kubectl rollout undo deployment/spicedb --to-revision=1")


def test_kubectl_does_not_wait_for_the_volume_of_backups(kubectl_program: Kubectl) -> None:
    """A backup that runs may have it, on another node."""
    api = kubectl_program.api
    run_controllers(api, fails=lambda job: "BackoffLimitExceeded" if "volume" in job["metadata"]["name"] else "")
    deliverer_of(api.cluster(), seen_in(api)).apply(by_kubectl(backup=BackupProps(schedule="@daily")), "label", 1)
    assert running_in(api).version == NEW


def test_failed_migration_of_kubectl_stops(kubectl_program: Kubectl) -> None:
    api = kubectl_program.api
    run_controllers(api, fails=lambda _: "BackoffLimitExceeded", log=lambda _: "it cannot connect")
    with pytest.raises(StepError, match=r"the Job spicedb-migration-\w+ failed") as error:
        deliverer_of(api.cluster(), seen_in(api)).apply(by_kubectl(), "label", 1)
    assert "it cannot connect" in error.value.details
    assert not api.count("patch", "deployments"), "the servers are not touched"


def test_failed_job_runs_again(kubectl_program: Kubectl) -> None:
    """A Job does not run again by itself."""
    api, ends = kubectl_program.api, iter(["BackoffLimitExceeded", "", ""])
    run_controllers(api, fails=lambda _: next(ends))
    applies = deliverer_of(api.cluster(), seen_in(api))
    with pytest.raises(StepError, match="failed"):
        applies.apply(by_kubectl(), "label", 1)
    applies.apply(by_kubectl(), "label", 1)
    assert running_in(api).version == NEW
