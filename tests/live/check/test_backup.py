"""Whether an upgrade can make the backup that the props describe."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import UpgradeBackup
from cdk8s_spicedb.live.check.backup import backup_findings
from cdk8s_spicedb.live.check.check import check
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.plan import Planned
from cdk8s_spicedb.plans.planner import plan_upgrade
from tests.apikinds import BACKUP
from tests.apiserver import ApiServer
from tests.live.installed import deploy, installable, props

OBJECT = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": "before"}, "spec": {}}


def found(api: ApiServer, *, current: str = "v1.30.0", **settings: Any) -> list[Finding]:
    wanted = props("v1.37.1", upgrade_backup=UpgradeBackup(**settings) if settings else None)
    upgrade = Planned(findings=(), plan=plan_upgrade(wanted.datastore, current, wanted.version))
    return list(backup_findings(api.cluster(), wanted, upgrade))


def by_object(api: ApiServer) -> list[Finding]:
    return found(api, manifest=OBJECT, wait_for=".status.phase=completed")


def test_a_program_must_be_on_this_machine() -> None:
    (fine,), (missing,) = found(ApiServer(), command=["sh"]), found(ApiServer(), command=["no-such-program", "-x"])
    assert fine == Finding.ok("Backup", "this machine has the program sh")
    assert (missing.level, missing.text) == (
        Level.FAILURE,
        "this machine has no program no-such-program that you may run",
    )


def test_the_cluster_must_accept_the_object() -> None:
    api = ApiServer()
    (missing,) = by_object(api)
    assert missing.level is Level.FAILURE
    assert "the cluster has no Backup of postgresql.cnpg.io/v1" in missing.text
    api.resources.append(BACKUP)
    assert by_object(api) == [Finding.ok("Backup", "the cluster accepts the Backup of upgradeBackup")]
    assert not api.of("backups")


def test_an_upgrade_that_rolls_back_needs_none() -> None:
    assert found(ApiServer()) == []
    assert found(ApiServer(), current="v1.37.0", command=["no-such-program"]) == []


@pytest.mark.parametrize("verb", ["get", "create"])
def test_the_check_names_missing_rights(verb: str) -> None:
    api = installable((verb, "backups"))
    api.resources.append(BACKUP)
    deploy(api, props("v1.30.0"))
    backup = UpgradeBackup(manifest=OBJECT, wait_for=".status.phase=completed")
    settings = attrs.evolve(props("v1.37.1"), upgrade_backup=backup)
    findings = check(api.cluster(), settings, database=False, schema=False).findings
    (right,) = (each for each in findings if each.subject == "Rights" and each.level is Level.FAILURE)
    assert right.text == f"you have no right to {verb} backups.postgresql.cnpg.io"
    assert f'apiGroups: ["postgresql.cnpg.io"], resources: ["backups"], verbs: ["{verb}"]' in right.fix
