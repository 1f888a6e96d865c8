"""The fake API server: the rules of Kubernetes that tests rely on, from its documentation."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import httpx2
import pytest

from .apierrors import refusal
from .apikinds import GRPC_ROUTE
from .apiserver import ApiServer, Object, matches
from .controllers import finish_job, run_controllers
from .selectors import matches_fields, matches_labels

APPLY = "application/apply-patch+yaml"
CONFIG_MAPS = "/api/v1/namespaces/authz/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/authz/deployments"
SERVICES = "/api/v1/namespaces/authz/services"


@pytest.fixture
def api() -> ApiServer:
    return ApiServer(now=lambda: datetime(2030, 1, 1, tzinfo=timezone.utc))


def ask(api: ApiServer, method: str, path: str, body: Any = None, type_: str = "", **params: str) -> httpx2.Response:
    headers = {"Content-Type": type_} if type_ else {}
    with api.client() as client:
        return client.request(method, path, params=params, json=body, headers=headers)


def applied(api: ApiServer, path: str, content: Object, manager: str = "a", **params: str) -> httpx2.Response:
    """An answer to server-side apply."""
    where = f"{path}/{content['metadata']['name']}"
    return ask(api, "PATCH", where, content, APPLY, fieldManager=manager, **params)


def config_map(name: str = "c", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(**spec: Any) -> Object:
    """A Deployment with a pod of these settings."""
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}], **spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def pod_spec(response: httpx2.Response) -> Object:
    assert response.is_success, response.text
    spec: Object = response.json()["spec"]["template"]["spec"]
    return spec


def message(response: httpx2.Response) -> str:
    text: str = response.json()["message"]
    return text


# ---------------------------------------------------------------- objects


def test_discovery_lists_kinds_with_their_names(api: ApiServer) -> None:
    found = ask(api, "GET", "/apis/networking.k8s.io/v1").json()["resources"]
    assert [(each["kind"], each["name"]) for each in found if "/" not in each["name"]] == [
        ("Ingress", "ingresses"),
        ("NetworkPolicy", "networkpolicies"),
    ]
    names = {each["name"]: each["namespaced"] for each in ask(api, "GET", "/api/v1").json()["resources"]}
    assert names["pods/log"]
    assert not names["namespaces"]
    assert ask(api, "GET", "/apis/gateway.networking.k8s.io/v1").status_code == 404
    api.resources.append(GRPC_ROUTE)
    assert ask(api, "GET", "/apis/gateway.networking.k8s.io/v1").is_success


def test_created_object_gets_what_a_server_sets(api: ApiServer) -> None:
    made = ask(api, "POST", DEPLOYMENTS, {**deployment(), "status": {"replicas": 7}})
    assert made.status_code == 201
    metadata = made.json()["metadata"]
    assert (metadata["generation"], metadata["creationTimestamp"]) == (1, "2030-01-01T00:00:00Z")
    assert metadata["uid"]
    assert made.json()["status"] == {}, "the status is a subresource"
    again = ask(api, "POST", DEPLOYMENTS, deployment())
    assert (again.status_code, message(again)) == (409, 'deployments.apps "d" already exists')
    assert again.json()["reason"] == "AlreadyExists"
    generated = {**config_map(), "metadata": {"generateName": "c-"}}
    assert ask(api, "POST", CONFIG_MAPS, generated).json()["metadata"]["name"].startswith("c-")


def test_wrong_paths_and_bodies_are_refused(api: ApiServer) -> None:
    assert message(ask(api, "GET", f"{DEPLOYMENTS}/x")) == 'deployments.apps "x" not found'
    assert message(ask(api, "GET", f"{CONFIG_MAPS}/x")) == 'configmaps "x" not found'
    assert ask(api, "GET", "/apis/apps/v1/namespaces/authz/deploymentes").status_code == 404
    assert ask(api, "POST", DEPLOYMENTS, config_map()).status_code == 400
    assert (
        message(ask(api, "POST", "/api/v1/namespaces/none/configmaps", config_map())) == 'namespaces "none" not found'
    )
    assert ask(api, "PUT", f"{CONFIG_MAPS}/other", config_map()).status_code == 400


def test_generation_counts_changes_of_the_spec_and_version_all_changes(api: ApiServer) -> None:
    first = applied(api, DEPLOYMENTS, deployment()).json()["metadata"]
    same = applied(api, DEPLOYMENTS, deployment()).json()["metadata"]
    assert same["resourceVersion"] == first["resourceVersion"]
    labelled = deployment()
    labelled["metadata"]["labels"] = {"a": "b"}
    second = applied(api, DEPLOYMENTS, labelled).json()["metadata"]
    assert second["generation"] == 1
    assert second["resourceVersion"] != first["resourceVersion"]
    third = applied(api, DEPLOYMENTS, deployment(nodeName="n")).json()["metadata"]
    assert third["generation"] == 2
    assert "labels" not in third or third["labels"] == {}
    ask(api, "PATCH", f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}}, "application/merge-patch+json")
    assert api.get("deployments", "d")["metadata"]["generation"] == 2
    assert api.get("deployments", "d")["status"] == {"replicas": 1}


def test_replace_needs_the_version_that_was_read(api: ApiServer) -> None:
    read = ask(api, "POST", CONFIG_MAPS, config_map(a="1")).json()
    assert ask(api, "PUT", f"{CONFIG_MAPS}/c", {**read, "data": {"a": "2"}}).is_success
    late = ask(api, "PUT", f"{CONFIG_MAPS}/c", {**read, "data": {"a": "3"}})
    assert late.status_code == 409
    assert message(late) == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    assert api.get("configmaps", "c")["data"] == {"a": "2"}
    assert ask(api, "PUT", f"{CONFIG_MAPS}/c", config_map(a="4")).is_success, "without a version it is unconditional"
    assert ask(api, "PUT", f"{CONFIG_MAPS}/x", config_map("x")).status_code == 404
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/authz/leases"
    ask(api, "POST", leases, lease)
    unconditional = ask(api, "PUT", f"{leases}/l", lease)
    assert (unconditional.status_code, "must be specified for an update" in message(unconditional)) == (422, True)


def test_dry_run_stores_nothing(api: ApiServer) -> None:
    made = ask(api, "POST", CONFIG_MAPS, config_map(a="1"), dryRun="All")
    assert made.json()["data"] == {"a": "1"}
    assert not api.has("configmaps", "c")
    api.put("configmaps", config_map(a="1"))
    changed = applied(api, CONFIG_MAPS, config_map(b="2"), dryRun="All", force="true")
    assert changed.json()["data"] == {"a": "1", "b": "2"}
    assert ask(api, "DELETE", f"{CONFIG_MAPS}/c", dryRun="All").is_success
    assert api.get("configmaps", "c")["data"] == {"a": "1"}
    assert api.count("change", "configmaps", dry_run=True) == 3


def test_what_cannot_change_is_refused(api: ApiServer) -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    jobs = "/apis/batch/v1/namespaces/authz/jobs"
    applied(api, jobs, job)
    assert applied(api, jobs, job).is_success
    template["spec"]["containers"][0]["image"] = "a:2"
    refused = applied(api, jobs, job)
    assert refused.status_code == 422
    assert message(refused).startswith('Job.batch "j" is invalid: spec.template: Invalid value: ')
    assert message(refused).endswith("field is immutable")
    applied(api, DEPLOYMENTS, deployment())
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"b": "b"}}
    assert applied(api, DEPLOYMENTS, other).status_code == 422


def test_merge_patch(api: ApiServer) -> None:
    api.put("configmaps", config_map(a="1", b="2"))
    patch = {"data": {"a": None, "c": "3"}}
    found = ask(api, "PATCH", f"{CONFIG_MAPS}/c", patch, "application/merge-patch+json").json()
    assert found["data"] == {"b": "2", "c": "3"}
    assert ask(api, "PATCH", f"{CONFIG_MAPS}/c", patch, "application/json-patch+json").status_code == 415


# ---------------------------------------------------------------- deletion


def test_deletion_has_preconditions(api: ApiServer) -> None:
    uid = api.put("configmaps", config_map())["metadata"]["uid"]
    for name, value in (("uid", "other"), ("resourceVersion", "0")):
        refused = ask(api, "DELETE", f"{CONFIG_MAPS}/c", {"preconditions": {name: value}})
        assert refused.status_code == 409
        assert "Precondition failed" in message(refused)
    assert ask(api, "DELETE", f"{CONFIG_MAPS}/c", {"preconditions": {"uid": uid}}).json()["status"] == "Success"
    assert ask(api, "DELETE", f"{CONFIG_MAPS}/c").status_code == 404


@pytest.mark.parametrize(("policy", "pods"), [("Background", 0), ("Foreground", 0), ("Orphan", 1), ("", 1)])
def test_what_a_job_owns_goes_only_if_you_ask_for_it(api: ApiServer, policy: str, pods: int) -> None:
    job = api.put("jobs", {"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": []}}}})
    finish_job(api, job)
    params = {"propagationPolicy": policy} if policy else {}
    ask(api, "DELETE", "/apis/batch/v1/namespaces/authz/jobs/j", **params)
    assert len(api.of("pods")) == pods


def test_what_a_deployment_owns_goes(api: ApiServer) -> None:
    run_controllers(api)
    applied(api, DEPLOYMENTS, deployment())
    assert len(api.of("pods")) == len(api.of("replicasets")) == 1
    ask(api, "DELETE", f"{DEPLOYMENTS}/d")
    assert api.of("pods") == api.of("replicasets") == []


def test_finalizers_keep_an_object(api: ApiServer) -> None:
    api.put("configmaps", {"metadata": {"name": "c", "finalizers": ["x/y"]}})
    ask(api, "DELETE", f"{CONFIG_MAPS}/c")
    assert api.get("configmaps", "c")["metadata"]["deletionTimestamp"] == "2030-01-01T00:00:00Z"


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ("", True),
        ("app=a", True),
        ("app==a,tier=web", True),
        ("app=b", False),
        ("app!=b", True),
        ("none!=b", True),
        ("app in (b, a)", True),
        ("app in (b),tier", False),
        ("app notin (a)", False),
        ("none notin (a)", True),
        ("tier", True),
        ("!tier", False),
        ("!none,app.kubernetes.io/name=x", True),
    ],
)
def test_label_selectors(selector: str, is_selected: bool) -> None:
    labels = {"app": "a", "tier": "web", "app.kubernetes.io/name": "x"}
    assert matches_labels(labels, selector) is is_selected


def test_field_selectors(api: ApiServer) -> None:
    event = {"metadata": {"name": "e"}, "type": "Warning", "involvedObject": {"name": "p"}}
    assert matches_fields(event, "involvedObject.name=p,type!=Normal")
    assert not matches_fields(event, "involvedObject.name=p,type==Normal")
    refused = ask(api, "GET", "/api/v1/pods", fieldSelector="spec.image=x")
    assert (refused.status_code, message(refused)) == (400, "field label not supported: spec.image")


def test_lists_are_sorted_and_their_items_have_no_kind(api: ApiServer) -> None:
    for name in ("b", "a"):
        api.put("configmaps", {**config_map(name), "metadata": {"name": name, "labels": {"n": name}}})
    api.put("namespaces", {"metadata": {"name": "other"}})
    api.put("configmaps", config_map("c"), namespace="other")
    found = ask(api, "GET", CONFIG_MAPS).json()
    assert found["kind"] == "ConfigMapList"
    assert [each["metadata"]["name"] for each in found["items"]] == ["a", "b"]
    assert "kind" not in found["items"][0]
    everywhere = ask(api, "GET", "/api/v1/configmaps").json()["items"]
    assert [each["metadata"]["namespace"] for each in everywhere] == ["authz", "authz", "other"]
    chosen = ask(api, "GET", CONFIG_MAPS, labelSelector="n in (b)").json()["items"]
    assert [each["metadata"]["name"] for each in chosen] == ["b"]


def test_metadata_only_hides_the_data(api: ApiServer) -> None:
    api.put("secrets", {"metadata": {"name": "s", "labels": {"a": "b"}}, "data": {"key": "eA=="}})
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    with api.client() as client:
        found = client.get("/api/v1/namespaces/authz/secrets", headers=accept)
        none = client.get("/api/v1/namespaces/authz/pods", headers=accept)
    assert found.json()["kind"] == "PartialObjectMetadataList"
    assert found.json()["items"][0]["metadata"]["labels"] == {"a": "b"}
    assert "eA==" not in found.text
    assert none.json()["items"] is None


# ---------------------------------------------------------------- server-side apply


def test_apply_creates_and_remembers_its_fields(api: ApiServer) -> None:
    made = applied(api, CONFIG_MAPS, config_map(a="1"))
    assert made.status_code == 201
    (entry,) = made.json()["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == ("a", "Apply", {"f:data": {"f:a": {}}})
    assert "fieldManager: Required value" in message(ask(api, "PATCH", f"{CONFIG_MAPS}/c", config_map(), APPLY))


def test_a_field_that_is_no_longer_applied_goes(api: ApiServer) -> None:
    applied(api, CONFIG_MAPS, config_map(a="1", b="2"))
    assert applied(api, CONFIG_MAPS, config_map(b="2")).json()["data"] == {"b": "2"}


def test_a_field_that_another_manager_applies_too_stays(api: ApiServer) -> None:
    applied(api, CONFIG_MAPS, config_map(a="1", b="2"))
    applied(api, CONFIG_MAPS, config_map(a="1"), "other")
    assert applied(api, CONFIG_MAPS, config_map(b="2")).json()["data"] == {"a": "1", "b": "2"}


def test_fields_of_others_are_a_conflict_unless_it_is_forced(api: ApiServer) -> None:
    applied(api, DEPLOYMENTS, deployment(), "helm")
    other = deployment()
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "a:2"
    refused = applied(api, DEPLOYMENTS, other)
    assert refused.status_code == 409
    assert message(refused) == (
        'Apply failed with 1 conflict: conflict with "helm" using apps/v1: '
        '.spec.template.spec.containers[name="a"].image'
    )
    assert pod_spec(applied(api, DEPLOYMENTS, other, force="true"))["containers"][0]["image"] == "a:2"
    assert applied(api, DEPLOYMENTS, deployment(), "helm").status_code == 409, "the field has another owner now"
    api.put("configmaps", config_map())
    applied(api, CONFIG_MAPS, config_map(a="1", b="1"), "x")
    assert message(applied(api, CONFIG_MAPS, config_map(a="2", b="2"))) == (
        'Apply failed with 2 conflicts: conflicts with "x" using v1:\n- .data.a\n- .data.b'
    )


def test_changes_by_hand_have_an_owner(api: ApiServer) -> None:
    applied(api, CONFIG_MAPS, config_map(a="1"), "helm")
    patch = {"data": {"b": "2"}}
    ask(api, "PATCH", f"{CONFIG_MAPS}/c", patch, "application/merge-patch+json", fieldManager="kubectl-edit")
    managers = {each["manager"]: each for each in api.get("configmaps", "c")["metadata"]["managedFields"]}
    assert managers["kubectl-edit"]["operation"] == "Update"
    assert managers["kubectl-edit"]["fieldsV1"] == {"f:data": {"f:b": {}}}
    assert applied(api, CONFIG_MAPS, config_map(a="1"), "helm").json()["data"] == {"a": "1", "b": "2"}
    assert applied(api, CONFIG_MAPS, config_map(a="1", b="3"), "helm").status_code == 409


@pytest.mark.parametrize(
    ("field", "live", "new", "expected"),
    [
        ("containers", [{"name": "b", "image": "b"}], [{"name": "a", "image": "a:1"}], ["b", "a"]),
        ("volumes", [{"name": "b", "emptyDir": {}}], [{"name": "a", "emptyDir": {}}], ["b", "a"]),
        ("imagePullSecrets", [{"name": "b"}], [{"name": "a"}], ["b", "a"]),
        ("hostAliases", [{"ip": "b", "hostnames": ["b"]}], [{"ip": "a", "hostnames": ["a"]}], ["b", "a"]),
        (
            "topologySpreadConstraints",
            [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 2}],
            [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}],
            [2, 1],
        ),
        ("tolerations", [{"key": "b"}], [{"key": "a"}], ["a"]),
    ],
)
def test_items_of_lists_are_found_by_their_keys(
    api: ApiServer, field: str, live: list[Object], new: list[Object], expected: list[Any]
) -> None:
    applied(api, DEPLOYMENTS, deployment(**{field: live}), "other")
    found = pod_spec(applied(api, DEPLOYMENTS, deployment(**{field: new}), force="true"))
    assert [each.get("maxSkew") or each.get("name") or each.get("ip") or each.get("key") for each in found[field]] == (
        expected
    )


@pytest.mark.parametrize(
    ("field", "live", "new", "expected"),
    [
        ("env", {"name": "B", "value": "1"}, {"name": "A", "value": "1"}, ["B", "A"]),
        ("volumeMounts", {"mountPath": "/b", "name": "v"}, {"mountPath": "/a", "name": "v"}, ["/b", "/a"]),
        ("ports", {"containerPort": 1, "name": "x"}, {"containerPort": 2, "name": "x"}, [1, 2]),
        ("ports", {"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}, [1, 1]),
        ("ports", {"containerPort": 1}, {"containerPort": 1, "protocol": "TCP", "name": "y"}, [1]),
        ("args", "--b", "--a", ["--a"]),
        ("envFrom", {"prefix": "B"}, {"prefix": "A"}, [{"prefix": "A"}]),
    ],
)
def test_items_of_lists_of_containers(api: ApiServer, field: str, live: Any, new: Any, expected: list[Any]) -> None:
    def of(item: Any) -> Object:
        return deployment(containers=[{"name": "a", field: [item]}])

    applied(api, DEPLOYMENTS, of(live), "other")
    items = pod_spec(applied(api, DEPLOYMENTS, of(new), force="true"))["containers"][0][field]
    names = [
        item
        if isinstance(item, str)
        else item.get("mountPath") or item.get("containerPort") or item.get("name") or item
        for item in items
    ]
    assert names == expected


def test_ports_of_services_and_owners(api: ApiServer) -> None:
    def service(port: int, name: str, uid: str) -> Object:
        metadata = {"name": "s", "ownerReferences": [{"uid": uid, "name": "o", "kind": "K", "apiVersion": "v1"}]}
        spec = {"ports": [{"port": port, "name": name}], "selector": {name: name}}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    applied(api, SERVICES, service(1, "a", "1"), "other")
    found = applied(api, SERVICES, service(2, "a", "2"), force="true").json()
    assert [each["port"] for each in found["spec"]["ports"]] == [1, 2]
    assert [each["uid"] for each in found["metadata"]["ownerReferences"]] == ["1", "2"]
    renamed = applied(api, SERVICES, service(2, "b", "2"), force="true").json()
    assert [each["name"] for each in renamed["spec"]["ports"]] == ["a", "b"]
    assert renamed["spec"]["selector"] == {"b": "b"}, "a selector has one owner"


def test_an_item_that_is_no_longer_applied_goes_unless_others_have_fields_of_it(api: ApiServer) -> None:
    two = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
    applied(api, DEPLOYMENTS, deployment(containers=[{"name": "a", "env": two}]))
    one = deployment(containers=[{"name": "a", "env": two[:1]}])
    assert pod_spec(applied(api, DEPLOYMENTS, one))["containers"][0]["env"] == two[:1]
    other = deployment(containers=[{"name": "a", "image": "a:1"}])
    applied(api, DEPLOYMENTS, other, "other")
    without = deployment(containers=[{"name": "b", "image": "b:1"}])
    assert pod_spec(applied(api, DEPLOYMENTS, without))["containers"] == [
        {"name": "a", "image": "a:1"},
        {"name": "b", "image": "b:1"},
    ]


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], 'duplicate entries for key [name="A"]'),
        ([{"value": "1"}], 'element 0: associative list with keys has an element that omits key field "name"'),
    ],
)
def test_items_that_cannot_be_told_apart_are_refused(api: ApiServer, env: list[Object], text: str) -> None:
    refused = applied(api, DEPLOYMENTS, deployment(containers=[{"name": "a", "env": env}]))
    assert refused.status_code == 500
    assert text in message(refused)


def test_lists_of_custom_resources_are_atomic(api: ApiServer) -> None:
    api.resources.append(GRPC_ROUTE)
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/authz/grpcroutes"

    def route(name: str) -> Object:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GRPCRoute",
            "metadata": {"name": "r"},
            "spec": {"volumes": [{"name": name}]},
        }

    applied(api, path, route("a"), "other")
    assert applied(api, path, route("b"), force="true").json()["spec"]["volumes"] == [{"name": "b"}]


# ---------------------------------------------------------------- rights


def test_a_right_that_is_missing(api: ApiServer) -> None:
    api.deny("deployments", "get", "list")
    refused = ask(api, "GET", f"{DEPLOYMENTS}/x")
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert message(refused) == (
        'deployments.apps "x" is forbidden: User "me" cannot get resource "deployments" in API group "apps" in the '
        'namespace "authz"'
    )
    assert message(ask(api, "GET", "/apis/apps/v1/deployments")) == (
        'deployments.apps is forbidden: User "me" cannot list resource "deployments" in API group "apps" at the '
        "cluster scope"
    )
    assert applied(api, DEPLOYMENTS, {**deployment(), "metadata": {"name": "x"}}).is_success
    api.allow("deployments")
    assert ask(api, "GET", f"{DEPLOYMENTS}/x").is_success


def test_the_rights_can_be_asked_for(api: ApiServer) -> None:
    def may(verb: str, resource: str, subresource: str = "", name: str = "") -> bool:
        attributes = {"verb": verb, "resource": resource, "subresource": subresource, "name": name}
        body = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        answer = ask(api, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        assert answer.status_code == 201
        return bool(answer.json()["status"]["allowed"])

    api.deny("pods/log", "get")
    assert may("get", "pods")
    assert not may("get", "pods", "log")
    api.allow_only("pods")
    assert (may("list", "pods"), may("list", "secrets")) == (True, False)
    api.allow("secrets")
    named = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get", "create"]}
    api.grant(named, {"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["list"]})
    assert [may("get", "secrets", name=name) for name in ("a", "b", "")] == [True, False, False]
    assert not may("create", "secrets", name="a"), "the name of an object is not known before it is created"
    assert not may("list", "pods"), "of another group"


def test_an_apply_that_creates_needs_both_rights(api: ApiServer) -> None:
    manifest = {**deployment(), "metadata": {"name": "x"}}
    api.deny("deployments", "create")
    assert applied(api, DEPLOYMENTS, manifest).status_code == 403
    api.allow("deployments")
    assert applied(api, DEPLOYMENTS, manifest).status_code == 201
    api.deny("deployments", "create")
    assert applied(api, DEPLOYMENTS, manifest).status_code == 200
    assert api.used == {("patch", "deployments", "x"), ("create", "deployments", "x")}


# ---------------------------------------------------------------- pods


def test_logs_of_pods(api: ApiServer) -> None:
    containers = [{"name": "a"}, {"name": "b"}]
    api.put("pods", {"metadata": {"name": "p"}, "spec": {"containers": containers, "initContainers": [{"name": "i"}]}})
    api.logs |= {"p/a": "one\ntwo\nthree\n", "p/a/previous": "before"}
    log = "/api/v1/namespaces/authz/pods/p/log"
    assert ask(api, "GET", log, container="a", tailLines="2").text == "two\nthree\n"
    assert ask(api, "GET", log, container="a", limitBytes="3").text == "one"
    assert ask(api, "GET", log, container="a", previous="true").text == "before"
    assert ask(api, "GET", log, container="b").text == ""
    assert message(ask(api, "GET", log)) == "a container name must be specified for pod p, choose one of: [i a b]"
    assert message(ask(api, "GET", log, container="x")) == "container x is not valid for pod p"
    assert message(ask(api, "GET", log, container="b", previous="true")) == (
        'previous terminated container "b" in pod "p" not found'
    )
    waiting = {"name": "b", "state": {"waiting": {"reason": "ContainerCreating"}}}
    api.get("pods", "p")["status"] = {"containerStatuses": [waiting]}
    assert message(ask(api, "GET", log, container="b")) == (
        'container "b" in pod "p" is waiting to start: ContainerCreating'
    )
    assert ask(api, "GET", "/api/v1/namespaces/authz/pods/x/log").status_code == 404


def test_pages_of_pods(api: ApiServer) -> None:
    api.put("pods", {"metadata": {"name": "p"}, "status": {"podIP": "10.0.0.7"}})
    proxy = "/api/v1/namespaces/authz/pods/https:p:9090/proxy/metrics"
    assert message(ask(api, "GET", proxy)) == (
        "error trying to reach service: dial tcp 10.0.0.7:9090: connect: connection refused"
    )
    api.pages["p"] = lambda request: f"{request.rest} {len(api.requests)}"
    assert ask(api, "GET", proxy).text == "metrics 2"
    assert ask(api, "GET", proxy.replace("https:p:9090", "x:1")).status_code == 404


# ---------------------------------------------------------------- faults and hooks


def test_faults_come_as_often_as_they_should(api: ApiServer) -> None:
    api.fail(matches("get", "configmaps"), 503, times=2)
    assert [ask(api, "GET", f"{CONFIG_MAPS}/x").status_code for _ in range(3)] == [503, 503, 404]
    api.fail(matches("list"), (403, "exceeded quota"), times=None)
    assert {message(ask(api, "GET", CONFIG_MAPS)) for _ in range(3)} == {"exceeded quota"}
    api.fail(matches("create"), httpx2.ConnectError("refused"))
    with pytest.raises(httpx2.ConnectError):
        ask(api, "POST", CONFIG_MAPS, config_map())
    assert not api.has("configmaps", "c")
    api.fail(matches("create"), httpx2.Response(200, text="<html>"))
    assert ask(api, "POST", CONFIG_MAPS, config_map()).text == "<html>"
    api.fail(lambda request: request.path.endswith("/c"), lambda request: 500 if request.verb == "get" else None)
    assert applied(api, CONFIG_MAPS, config_map()).status_code == 201
    assert ask(api, "GET", f"{CONFIG_MAPS}/c").status_code == 500
    assert refusal(429, "x").json()["reason"] == "TooManyRequests"


def test_a_server_that_is_away(api: ApiServer) -> None:
    with api.unreachable(), pytest.raises(httpx2.ConnectError):
        ask(api, "GET", CONFIG_MAPS)
    assert ask(api, "GET", CONFIG_MAPS).is_success
    assert len(api.requests) == 1


def test_hooks_see_the_object_and_not_the_dry_run(api: ApiServer) -> None:
    seen: list[tuple[str, Any]] = []
    api.on(matches("change", "configmaps"), lambda request, found: seen.append((request.verb, found and found["data"])))
    api.on(matches("get", "configmaps"), lambda *_: api.put("configmaps", config_map(z="9")), before=True)
    applied(api, CONFIG_MAPS, config_map(a="1"), dryRun="All")
    answer = ask(api, "GET", f"{CONFIG_MAPS}/c").json()
    assert answer["data"] == {"z": "9"}
    ask(api, "DELETE", f"{CONFIG_MAPS}/c")
    assert seen == [("patch", None), ("delete", {"z": "9"})]


def test_requests_are_counted(api: ApiServer) -> None:
    ask(api, "GET", CONFIG_MAPS, labelSelector="a=b")
    ask(api, "GET", f"{CONFIG_MAPS}/c")
    assert (api.count("get", "configmaps", "c"), api.count(resource="configmaps"), api.count("change")) == (1, 2, 0)
    (listed,) = api.asked("list")
    assert (listed.method, listed.path, listed.query) == ("GET", CONFIG_MAPS, {"labelSelector": "a=b"})


# ---------------------------------------------------------------- controllers


def test_deployments_roll_out(api: ApiServer) -> None:
    run_controllers(api)
    api.put("services", {"metadata": {"name": "s"}, "spec": {"selector": {"app": "a"}}})
    first = deployment()
    first["spec"]["replicas"] = 3
    answer = applied(api, DEPLOYMENTS, first).json()
    assert answer["status"] == {}, "it rolls out afterwards"
    status = api.get("deployments", "d")["status"]
    assert (status["updatedReplicas"], status["observedGeneration"]) == (3, 1)
    before = {pod["metadata"]["name"] for pod in api.of("pods")}
    first["spec"]["template"]["spec"]["containers"][0]["image"] = "a:2"
    applied(api, DEPLOYMENTS, first)
    after = {pod["metadata"]["name"] for pod in api.of("pods")}
    assert len(after) == 3
    assert not before & after
    assert api.get("deployments", "d")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    (found,) = api.of("endpointslices")
    addresses = {address for each in found["endpoints"] for address in each["addresses"]}
    assert addresses == {pod["status"]["podIP"] for pod in api.of("pods")}
    first["spec"]["template"]["spec"]["containers"][0]["image"] = "a:1"
    applied(api, DEPLOYMENTS, first)
    assert {pod["metadata"]["name"] for pod in api.of("pods")} == before
    assert api.get("deployments", "d")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert json.dumps(api.of("replicasets")).count('"replicas": 3') == 1


def test_jobs_end(api: ApiServer) -> None:
    run_controllers(api, fails=lambda job: "BackoffLimitExceeded" if job["metadata"]["name"] == "b" else "", log=str)
    for name in ("a", "b"):
        template = {"spec": {"containers": [{"name": "x"}]}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}
        ask(api, "POST", "/apis/batch/v1/namespaces/authz/jobs", job)
    ends = [each["status"]["conditions"][-1]["type"] for each in api.of("jobs")]
    assert ends == ["Complete", "Failed"]
    (pod,) = [pod for pod in api.of("pods") if pod["metadata"]["labels"]["job-name"] == "b"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert "'name': 'b'" in api.logs[pod["metadata"]["name"]]
