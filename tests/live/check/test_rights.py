"""Rights: those that are needed, and the rule for one that is missing."""

from __future__ import annotations

import yaml

from cdk8s_spicedb import Delivery
from cdk8s_spicedb.live.check.access import needs, right_findings
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.cluster import JOB, SECRET
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer
from tests.live.installed import installable, props

MANIFESTS = release_manifests(props())


def found(cluster: ApiServer) -> list[Finding]:
    return list(right_findings(cluster.cluster(), Delivery.HELM, MANIFESTS))


def test_all_rights_are_one_line() -> None:
    (finding,) = found(installable())
    assert finding.level is Level.OK


def test_a_missing_right_comes_with_its_rule() -> None:
    first, second = found(installable(("create", "deployments"), ("patch", "deployments"), ("get", "pods/log")))
    assert first.level is second.level is Level.FAILURE
    assert first.text == "you have no right to create, patch deployments.apps"
    rule = yaml.safe_load(first.fix.partition(": ")[2])
    assert rule == {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "patch"]}
    assert yaml.safe_load(second.fix.partition(": ")[2])["resources"] == ["pods/log"]


def test_without_metrics_an_upgrade_still_works() -> None:
    ok, warning = found(installable(("get", "pods/proxy")))
    assert (ok.level, warning.level) == (Level.OK, Level.WARNING)


def test_each_delivery_needs_its_own_rights() -> None:
    by_delivery = {delivery: {need.kind: need.verbs for need in needs(delivery, MANIFESTS)} for delivery in Delivery}
    assert "create" in by_delivery[Delivery.HELM][SECRET]
    assert SECRET not in by_delivery[Delivery.KUBECTL]
    assert "watch" not in by_delivery[Delivery.KUBECTL][JOB]
    assert by_delivery[Delivery.ARGOCD][JOB] == ("get", "list")
