"""Uninstalls: what they delete, what they leave, and when they refuse."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import Delivery, Memory
from cdk8s_spicedb.live import BusyError, Removal, State, StoppedError, uninstall
from cdk8s_spicedb.live.upgrade.lease import held
from tests.apiserver import NAMESPACE, matches
from tests.live.installed import deploy, props
from tests.live.upgrade.faults import Call, Cell
from tests.live.upgrade.helmprogram import Helm

from .place import NAME, STAYS, Place, done, kept

REQUESTS = 'grpc_server_handled_total{{grpc_service="authzed.api.v1.PermissionsService",grpc_code="OK"}} {}\n'


def installed(place: Place, *, memory: bool = False) -> None:
    done(place.install(place.props(datastore=Memory()) if memory else None))
    place.begin()


def test_everything_is_deleted_but_data_and_secrets(place: Place) -> None:
    installed(place)
    place.api.put("configmaps", _own("spicedb-rehearsal"))
    asked: list[Removal] = []
    done(place.uninstall(kept(asked)))
    assert place.left() == STAYS
    (removal,) = asked
    by_helm = place.delivery is Delivery.HELM
    assert (removal.applier.value, removal.applied_as) == (("helm", NAME) if by_helm else ("kubectl", None))
    assert removal.version == "v1.56.0"
    assert ("Helm release spicedb" in removal.deletes) is by_helm
    assert {"Deployment spicedb", "ConfigMap spicedb-upgrade", "ConfigMap spicedb-rehearsal"} <= {*removal.deletes}
    assert removal.stays == (
        "the database (postgres) with all relationships and the SpiceDB schema",
        "Secrets that the servers read: spicedb",
        "backups: PersistentVolumeClaim spicedb-backup",
        "the namespace authz, and all other objects in it",
    )
    assert removal.cautions == ()
    again = place.uninstall()
    assert again.state is State.REFUSED
    assert "there is no SpiceDB spicedb in the namespace authz" in again.reason


def _own(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "cdk8s-spicedb"}}}


def test_a_config_map_of_somebody_else_stays(place: Place) -> None:
    installed(place)
    place.api.put("configmaps", {"metadata": {"name": "spicedb-rehearsal"}})
    done(place.uninstall())
    assert place.left() == ["ConfigMap spicedb-rehearsal", *STAYS]


def test_no_deletes_nothing(place: Place) -> None:
    installed(place)
    before = place.left()
    assert place.uninstall(lambda _: False).state is State.REFUSED
    assert place.left() == before


def test_what_is_in_memory_is_lost(place: Place) -> None:
    installed(place, memory=True)
    asked: list[Removal] = []
    done(place.uninstall(kept(asked)))
    assert "All relationships are lost: the servers keep them only in memory." in asked[0].cautions
    assert not [each for each in asked[0].stays if "database" in each]


def test_clients_that_still_send_requests_are_a_caution(place: Place) -> None:
    installed(place)
    pages = iter(range(0, 1000, 5))
    place.api.pages["*"] = lambda _: REQUESTS.format(next(pages))
    asked: list[Removal] = []
    place.uninstall(kept(asked))
    assert asked[0].cautions == ("Clients still use it: 20 requests within 3 s.",)


def test_an_install_that_failed_is_removed(place: Place) -> None:
    place.migration_fails = True
    assert place.install().state is State.STOPPED
    place.begin()
    asked: list[Removal] = []
    done(place.uninstall(kept(asked)))
    assert asked[0].version is None
    assert asked[0].stays[1] == "all Secrets that you have made"
    assert place.left() == []


def test_an_install_whose_helm_was_killed_is_removed(by_helm: Place) -> None:
    by_helm.begin(Cell(Call("program", "helm upgrade", 0), "killed at once"))
    assert by_helm.install().state is State.STOPPED
    assert [each["metadata"]["labels"]["status"] for each in Helm(by_helm.api).revisions(NAME)] == ["pending-install"]
    by_helm.begin()
    done(by_helm.uninstall())
    assert by_helm.left() == []


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "authz:apps/Deployment:x/y"}},
            "Argo CD authz applies this release, and would create it again; delete the Application authz",
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "authz"}},
            "delete the HelmRelease or Kustomization authz, or remove its files from the repository",
        ),
        ({"labels": {"authzed.com/cluster": "authz"}}, "was not made by cdk8s-spicedb"),
    ],
)
def test_what_other_programs_applied_stays(by_helm: Place, mark: dict[str, dict[str, str]], words: str) -> None:
    deployment = deploy(by_helm.api, props(), helm=False)
    for part, values in mark.items():
        deployment["metadata"].setdefault(part, {}).update(values)
    outcome = by_helm.uninstall()
    assert outcome.state is State.REFUSED
    assert words in outcome.reason
    assert by_helm.api.has("deployments", NAME)


def test_a_helm_release_with_other_objects_stays(by_helm: Place) -> None:
    installed(by_helm)
    secrets = Helm(by_helm.api).revisions(NAME)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}}
    by_helm.api.remove("secrets", secrets[0]["metadata"]["name"])
    Helm(by_helm.api).install(NAME, [other], "v1")
    outcome = by_helm.uninstall()
    assert outcome.state is State.REFUSED
    assert "the Helm release spicedb also has ConfigMap app" in outcome.reason


def test_helms_release_that_cannot_be_read_stays(by_helm: Place) -> None:
    installed(by_helm)
    for each in Helm(by_helm.api).revisions(NAME):
        each["data"] = {"release": "odd"}
    outcome = by_helm.uninstall()
    assert outcome.state is State.REFUSED
    assert "cannot tell what else Helm would delete: cannot read the manifests" in outcome.reason


def test_missing_rights_are_named_before_anything_is_deleted(place: Place) -> None:
    installed(place)
    before = place.left()
    place.api.deny("services", "delete")
    outcome = place.uninstall()
    assert outcome.state is State.REFUSED
    services = "Service spicedb, Service spicedb-dispatch, Service spicedb-dispatch-tls"
    assert outcome.reason == f"you have no right to delete {services}; nothing was deleted"
    assert place.left() == before


def test_what_may_not_be_looked_for_is_a_caution(place: Place) -> None:
    installed(place)
    place.api.deny("ingresses", "list")
    asked: list[Removal] = []
    done(place.uninstall(kept(asked)))
    assert asked[0].cautions[0].startswith("Could not be listed, so they may stay: Ingress: ingresses.networking")


def test_an_upgrade_that_is_under_way_stops_an_uninstall(place: Place) -> None:
    installed(place)
    clock = place.process.clock
    with held(place.api.cluster(clock=clock), NAME):
        lease = place.api.of("leases")[0]

        def renew(seconds: float) -> None:
            lease["spec"]["renewTime"] = str(seconds)

        clock.on_sleep = renew
        outcome = place.uninstall()
    assert outcome.state is State.REFUSED
    assert isinstance(outcome.error, BusyError)


def test_what_does_not_go_away_is_named(place: Place) -> None:
    installed(place)
    place.api.get("services", NAME)["metadata"]["finalizers"] = ["example.com/wait"]
    outcome = place.uninstall()
    assert outcome.state is State.STOPPED
    assert isinstance(outcome.error, StoppedError)
    assert "the uninstall failed: it is not gone after 210 s: Service spicedb" in outcome.reason
    place.api.get("services", NAME)["metadata"]["finalizers"] = []
    place.begin()
    done(place.uninstall())


def test_a_refused_delete_is_an_error_with_the_way_on(place: Place) -> None:
    installed(place)
    place.api.fail(matches("delete", "configmaps"), 403)
    outcome = uninstall(place.api.cluster(NAMESPACE, clock=place.process.clock), NAME)
    assert outcome.state is State.STOPPED
    assert "run the same command again: it deletes the rest" in outcome.reason
