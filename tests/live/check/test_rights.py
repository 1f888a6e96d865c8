"""Rights: those that are needed, and the rule for one that is missing."""

from __future__ import annotations

import attrs
import pytest
import yaml

from cdk8s_spicedb import Delivery, NetworkPolicies
from cdk8s_spicedb.live.check.access import Need, needs, right_findings, secret_findings
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.cluster import CONFIG_MAP, JOB, LEASE, SECRET, Kind
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer, Object
from tests.live.installed import installable, props
from tests.pages import blocks
from tests.programs import ROOT


def wanted(delivery: Delivery = Delivery.HELM, **options: bool) -> list[Need]:
    settings = attrs.evolve(props(network_policies=NetworkPolicies()), delivery=delivery)
    return needs(settings, release_manifests(settings), **options)


def found(cluster: ApiServer) -> list[Finding]:
    return list(right_findings(cluster.cluster(), wanted()))


def rules(finding: Finding) -> list[Object]:
    return list(yaml.safe_load(f"[{finding.fix.partition(': ')[2]}]"))


def test_all_rights_are_one_line() -> None:
    (finding,) = found(installable())
    assert finding.level is Level.OK


def test_a_missing_right_comes_with_its_rule() -> None:
    first, second = found(installable(("create", "deployments"), ("patch", "deployments"), ("get", "pods/log")))
    assert first.level is second.level is Level.FAILURE
    assert first.text == "you have no right to create, patch deployments.apps"
    assert rules(first) == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["spicedb"], "verbs": ["patch"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]},
    ]
    assert rules(second) == [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]


def test_rights_to_named_objects_are_enough() -> None:
    api = installable()
    api.grant()
    given = [rule for finding in found(api) for rule in rules(finding)]
    api.grant(*given)
    assert [finding.level for finding in found(api)] == [Level.OK]
    for rule in given:
        for name in rule.get("resourceNames", ()):
            others = {**rule, "resourceNames": [each for each in rule["resourceNames"] if each != name] or ["other"]}
            api.grant(*(others if each is rule else each for each in given))
            (finding,) = found(api)
            assert rules(finding)[0]["resourceNames"] == rule["resourceNames"]


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.KUBECTL])
def test_the_role_of_the_documentation_is_enough(delivery: Delivery) -> None:
    (text,) = (text for text in blocks("yaml", ROOT / "docs" / "why" / "security.md") if "upgrades" in text)
    settings = props(delivery=delivery)
    api = installable()
    api.grant(*yaml.safe_load(text)["rules"])
    needed = needs(settings, release_manifests(settings), rewrites_schema=True)
    assert [finding.level for finding in right_findings(api.cluster(), needed)] == [Level.OK]


def test_only_what_rules_can_name_is_named() -> None:
    for need in wanted():
        named = not {"list", "watch", "create"} & {*need.verbs} and need.kind.kind not in ("Job", "Secret", "Pod")
        assert bool(need.names) is named, need


def test_a_missing_right_to_a_secret_comes_with_its_rule() -> None:
    api = installable(("get", "secrets"))
    (finding,) = secret_findings(api.cluster(), props(), [])
    assert rules(finding) == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["spicedb"], "verbs": ["get"]}
    ]


def test_without_metrics_an_upgrade_still_works() -> None:
    ok, warning = found(installable(("get", "pods/proxy")))
    assert (ok.level, warning.level) == (Level.OK, Level.WARNING)


def verbs(needed: list[Need], kind: Kind) -> set[str]:
    return {verb for need in needed if (need.kind, need.subresource) == (kind, "") for verb in need.verbs}


def test_each_delivery_needs_its_own_rights() -> None:
    helm, kubectl, argocd = (wanted(each) for each in (Delivery.HELM, Delivery.KUBECTL, Delivery.ARGOCD))
    assert "create" in verbs(helm, SECRET)
    assert not verbs(kubectl, SECRET)
    assert "watch" not in verbs(kubectl, JOB)
    assert verbs(argocd, JOB) == {"list"}
    for each in (helm, kubectl, argocd):
        assert verbs(each, LEASE) == {"get", "create", "update", "delete"}
        assert verbs(each, CONFIG_MAP) == {"get", "create", "update"}


def test_the_schema_is_written_with_objects_of_its_own() -> None:
    usual, more = wanted(Delivery.ARGOCD), wanted(Delivery.ARGOCD, rewrites_schema=True)
    assert verbs(more, JOB) == {"get", "list", "create", "patch", "delete"}
    policies = Kind("networking.k8s.io/v1", "NetworkPolicy")
    assert [(need.verbs, need.names) for need in more if need.kind in (CONFIG_MAP, policies) and need not in usual] == [
        (("patch", "delete"), ("spicedb-schema-again",)),
        (("create",), ()),
        (("patch",), ("spicedb-schema",)),
    ]
