"""Installs: what they create, when they refuse, and how they go on."""

from __future__ import annotations

from importlib import import_module

import attrs
import pytest

from cdk8s_spicedb import Delivery, Memory
from cdk8s_spicedb.live import (
    Activity,
    InstallPreflight,
    Progress,
    State,
    StoppedError,
    UpgradeOptions,
    install,
    upgrade,
)
from cdk8s_spicedb.live.upgrade.outcome import CheckFailedError
from tests.apiserver import NAMESPACE
from tests.live.installed import OLD, deploy, helm_revision, props, running_in, servers
from tests.live.upgrade.helmprogram import Helm

from .place import CHECKS, NAME, QUICK, Place, done, kept

NOTE = f"{NAME}-upgrade"


def test_an_install_creates_everything_and_waits_for_the_servers(place: Place) -> None:
    asked: list[InstallPreflight] = []
    done(place.install(options=CHECKS, confirm=kept(asked)))
    assert running_in(place.api).version == "v1.56.0"
    assert len(servers(place.api)) == 2
    (found,) = asked
    assert "Deployment spicedb" in found.creates
    assert (found.secrets, found.since) == ((NAME,), None)
    assert found.check is not None
    assert found.check.ok
    note = place.api.get("configmaps", NOTE)["data"]
    assert list(note) == ["install"]
    assert note["install"].startswith("SpiceDB v1.56.0, 2030-01-01 ")
    assert not place.api.of("leases")


def test_an_upgrade_follows_an_install(place: Place) -> None:
    done(place.install(place.props(version="v1.54.0")))
    place.begin()
    done(
        upgrade(place.process.cluster(NAMESPACE), place.props(), options=UpgradeOptions(observe_seconds=0, check=None))
    )
    assert running_in(place.api).version == "v1.56.0"


def test_the_memory_engine_needs_no_migration(place: Place) -> None:
    done(place.install(place.props(datastore=Memory()), CHECKS))
    assert not [each for each in place.api.of("jobs") if "migration" in each["metadata"]["name"]]


def test_no_changes_nothing(place: Place) -> None:
    before = place.left()
    assert place.install(confirm=lambda _: False).state is State.REFUSED
    assert place.left() == before


@pytest.mark.parametrize("ours", [True, False])
def test_what_exists_is_not_installed_again(place: Place, ours: bool) -> None:
    deployment = deploy(place.api, props(OLD), helm=place.delivery is Delivery.HELM)
    if not ours:
        deployment["metadata"]["labels"] = {}
    outcome = place.install()
    assert outcome.state is State.REFUSED
    assert "the Deployment spicedb exists already in the namespace authz" in outcome.reason
    words = "to change it, use `cdk8s-spicedb upgrade`" if ours else "it was not made by cdk8s-spicedb"
    assert words in outcome.reason
    assert running_in(place.api).version == OLD


def test_argocd_installs_by_a_commit(by_helm: Place) -> None:
    outcome = by_helm.install(by_helm.props(delivery=Delivery.ARGOCD, test=None))
    assert outcome.state is State.REFUSED
    assert "write its files with `cdk8s-spicedb synth`" in outcome.reason


def test_a_missing_secret_is_a_failure_with_the_command_to_create_it(place: Place) -> None:
    place.api.remove("secrets", NAME)
    outcome = place.install(options=CHECKS)
    assert isinstance(outcome.error, CheckFailedError)
    (failure,) = (each for each in outcome.error.report.findings if each.subject == "Secret spicedb")
    assert failure.fix == (
        "create it: kubectl create secret generic spicedb --namespace authz --from-literal=preshared-key=VALUE "
        "--from-literal=datastore-uri=VALUE"
    )
    assert not place.api.has("configmaps", NOTE)


def test_a_namespace_is_created_on_request(by_helm: Place) -> None:
    api = by_helm.api
    api.remove("namespaces")
    api.remove("secrets", NAME)
    refused = by_helm.install()
    assert refused.state is State.REFUSED
    assert "failure Namespace authz: does not exist" in refused.reason
    assert not api.of("namespaces")
    outcome = by_helm.install(options=attrs.evolve(CHECKS, create_namespace=True))
    assert api.has("namespaces", NAMESPACE)
    assert isinstance(outcome.error, CheckFailedError), "there is no Secret in it"


def test_a_failed_migration_says_why_what_is_left_and_how_to_go_on(place: Place) -> None:
    place.migration_fails = True
    outcome = place.install()
    assert outcome.state is State.STOPPED
    assert outcome.state.exit_code == 4
    assert isinstance(outcome.error, StoppedError)
    assert 'password authentication failed for user "spicedb"' in outcome.reason
    assert "Left in the namespace authz: " in outcome.reason
    assert "Job spicedb-migration" in outcome.reason
    assert "To remove what is left instead, run: cdk8s-spicedb uninstall spicedb --namespace authz" in outcome.reason
    place.migration_fails = False
    place.begin()
    asked: list[InstallPreflight] = []
    done(place.install(options=CHECKS, confirm=kept(asked)))
    assert asked[0].since == "2030-01-01T00:00:00Z"


def test_servers_that_do_not_become_ready_stop_the_install(by_helm: Place) -> None:
    by_helm.servers_fail = True
    outcome = by_helm.install()
    assert (outcome.state, "context deadline exceeded" in outcome.reason) == (State.STOPPED, True)
    by_helm.servers_fail = False
    by_helm.begin()
    done(by_helm.install(attrs.evolve(by_helm.props(), version="v1.54.0"), CHECKS))
    assert running_in(by_helm.api).version == "v1.54.0"


def test_an_unfinished_install_keeps_its_delivery(place: Place) -> None:
    place.migration_fails = True
    place.install()
    other = Delivery.KUBECTL if place.delivery is Delivery.HELM else Delivery.HELM
    place.begin()
    outcome = place.install(place.props(delivery=other, test=None))
    assert outcome.state is State.REFUSED
    assert f"an install of spicedb with delivery: {place.delivery.value} is not finished" in outcome.reason


def test_a_note_that_is_not_valid_is_named(place: Place) -> None:
    place.api.put("configmaps", {"metadata": {"name": NOTE}, "data": {"install.json": "{"}})
    outcome = place.install()
    assert (outcome.state, "install.json in the ConfigMap spicedb-upgrade is not valid" in outcome.reason) == (
        State.REFUSED,
        True,
    )


def test_a_helm_of_somebody_else_stops_an_install_before_it_begins(by_helm: Place) -> None:
    helm_revision(by_helm.api, 1, "pending-install", NAME)
    outcome = by_helm.install()
    assert outcome.state is State.REFUSED
    assert "another Helm works on the release spicedb" in outcome.reason
    assert not by_helm.api.has("configmaps", NOTE)


def test_a_failed_install_of_helm_alone_is_repaired(by_helm: Place) -> None:
    helm = Helm(by_helm.api)
    helm.install(NAME, [], "v1.54.0")
    helm.ends(NAME)
    done(by_helm.install(options=CHECKS))
    assert [each["metadata"]["labels"]["status"] for each in helm.revisions(NAME)] == ["failed", "deployed"]


def test_another_version_of_the_servers_is_an_error(by_helm: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as of a Helm release that has a value for the image."""

    def other(*_: object) -> None:
        deploy(by_helm.api, props(OLD))

    monkeypatch.setattr(import_module("cdk8s_spicedb.live.install.install"), "require_settled", other)
    outcome = by_helm.install()
    assert outcome.state is State.STOPPED
    assert "the servers run v1.52.0, but the file says v1.56.0" in outcome.reason


def test_progress_has_no_steps(place: Place) -> None:
    seen: list[Progress] = []
    done(install(place.process.cluster(NAMESPACE), place.props(), options=QUICK, report=seen.append))
    assert {(each.step, each.steps) for each in seen} == {(0, 0)}
    activities = list(dict.fromkeys(each.activity for each in seen))
    tests = [Activity.TEST] if place.delivery is Delivery.HELM else []
    assert activities == [Activity.APPLY, Activity.SETTLE, *tests, Activity.DONE]
