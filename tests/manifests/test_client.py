"""Jobs that connect to the servers: one writes the schema, one runs for `helm test`."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import (
    TLS,
    Delivery,
    Memory,
    NetworkPolicies,
    PermissionTest,
    SchemaProps,
    SecretKey,
    ServerProps,
    SpiceDBProps,
)
from cdk8s_spicedb.props import problems
from tests.synth import POSTGRES, Manifests, Object, environment, synth

TEXT = "definition user {}\n\ndefinition document {\n  relation reader: user\n}\n"
SCHEMA = SchemaProps(text=TEXT)
TEST = PermissionTest(resource="document", permission="read", subject="user")
WITH_TLS = ServerProps(grpc_tls=TLS.from_secret("grpc"))


def render(**fields: Any) -> Manifests:
    return synth(SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **fields}))


def arguments(objects: Manifests, component: str) -> list[str]:
    args: list[str] = objects.container("Job", component)["args"]
    return args


def test_there_is_no_schema_and_no_test_by_default() -> None:
    assert not {"schema", "test"} & {
        manifest["metadata"]["labels"]["app.kubernetes.io/component"] for manifest in render().objects
    }


def test_a_job_writes_the_schema_from_a_file() -> None:
    objects = render(schema=SCHEMA)
    assert objects.one("ConfigMap", "schema")["data"] == {"schema.zed": TEXT}
    container, pod = objects.container("Job", "schema"), objects.pod("Job", "schema")
    assert container["command"] == ["zed", "schema", "write", "/etc/spicedb/schema/schema.zed"]
    assert container["volumeMounts"] == [{"name": "schema", "mountPath": "/etc/spicedb/schema", "readOnly": True}]
    assert pod["volumes"] == [{"name": "schema", "configMap": {"name": "spicedb-schema"}}]


def test_the_schema_job_runs_after_the_servers_and_before_the_clean_up() -> None:
    objects = render(schema=SCHEMA)
    schema, cleanup = (objects.one("Job", name)["metadata"]["annotations"] for name in ("schema", "cleanup"))
    assert schema["helm.sh/hook"] == cleanup["helm.sh/hook"] == "post-install,post-upgrade"
    assert int(schema["helm.sh/hook-weight"]) < int(cleanup["helm.sh/hook-weight"])
    assert schema["helm.sh/hook-output-log-policy"] == "hook-failed"
    assert "helm.sh/hook" not in objects.one("ConfigMap", "schema")["metadata"].get("annotations", {})


def test_the_schema_job_is_a_hook_with_argo_cd() -> None:
    job = render(schema=SCHEMA, delivery=Delivery.ARGOCD).one("Job", "schema")
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PostSync"


def test_with_kubectl_each_schema_has_a_job_that_waits_for_the_migration() -> None:
    def job(text: str) -> Object:
        return render(schema=SchemaProps(text=text), delivery=Delivery.KUBECTL).one("Job", "schema")

    one, other = job(TEXT), job(TEXT + "\n")
    assert one["metadata"]["name"] != other["metadata"]["name"]
    assert one["metadata"]["name"] == job(TEXT)["metadata"]["name"]
    assert one["spec"]["activeDeadlineSeconds"] == 300 + 600
    assert one["spec"]["ttlSecondsAfterFinished"] > 0


def test_the_schema_does_not_change_the_servers() -> None:
    plain, with_schema = render(), render(schema=SCHEMA)
    assert plain.one("Deployment") == with_schema.one("Deployment")


def test_the_preshared_key_is_a_variable_and_not_an_argument() -> None:
    objects = render(schema=SCHEMA, test=TEST, preshared_key=SecretKey("api", "key"))
    for component in ("schema", "test"):
        container = objects.container("Job", component)
        assert {"name": "ZED_TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "key"}}} in container["env"]
        assert not any("token" in arg for arg in container["args"])
    assert environment(objects.container("Job", "schema")) == {"ZED_TOKEN": ("api", "key")}


@pytest.mark.parametrize("component", ["schema", "test"])
def test_clients_use_tls_if_the_servers_do(component: str) -> None:
    assert arguments(render(schema=SCHEMA, test=TEST), component) == [
        "--endpoint=spicedb:50051",
        "--insecure",
        "--skip-version-check",
        "--log-format=json",
    ]
    assert "--insecure" not in arguments(render(schema=SCHEMA, test=TEST, server=WITH_TLS), component)


@pytest.mark.parametrize("component", ["schema", "test"])
def test_clients_verify_the_servers_certificate(component: str) -> None:
    tls: dict[str, Any] = {"ca": SecretKey("grpc", "ca.crt"), "hostname": "spicedb.authz.svc"}
    schema = SchemaProps(text=TEXT, **tls)
    test = PermissionTest(resource="document", permission="read", subject="user", **tls)
    objects = render(schema=schema, test=test, server=WITH_TLS)
    assert arguments(objects, component)[1:3] == [
        "--certificate-path=/etc/spicedb/ca/ca.crt",
        "--hostname-override=spicedb.authz.svc",
    ]
    folders = [mount["mountPath"] for mount in objects.container("Job", component)["volumeMounts"]]
    assert "/etc/spicedb/ca" in folders


def test_helm_test_checks_many_resources() -> None:
    job = render(test=TEST).one("Job", "test")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "test"
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["backoffLimit"]) == ("Indexed", 16, 0)
    [container] = spec["template"]["spec"]["containers"]
    assert container["command"] == [
        "zed",
        "permission",
        "check",
        "document:helm-test-$(JOB_COMPLETION_INDEX)",
        "read",
        "user:helm-test",
        "--consistency-full",
    ]
    assert container["env"][0]["name"] == "JOB_COMPLETION_INDEX"


def test_the_pods_of_clients_reach_only_the_servers() -> None:
    objects = render(schema=SCHEMA, test=TEST, network_policies=NetworkPolicies(clients=[]))
    servers = objects.one("NetworkPolicy", "server")["spec"]["ingress"][0]["from"]
    [selector] = [peer["podSelector"]["matchLabels"] for peer in servers]
    for component in ("schema", "test"):
        labels = objects.one("Job", component)["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
        policy = objects.one("NetworkPolicy", component)["spec"]
        assert "ingress" not in policy
        assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53, 50051]


def test_the_memory_engine_can_have_a_schema() -> None:
    assert render(datastore=Memory(), schema=SCHEMA).one("Job", "schema")


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"schema": TEXT}, "schema", "SchemaProps(…)"),
        ({"schema": SchemaProps(text=" \n")}, "schema.text", "not empty"),
        ({"schema": SchemaProps(text=TEXT, image="zed")}, "schema.image", "with a tag or a digest"),
        ({"test": True}, "test", "PermissionTest("),
        (
            {"test": PermissionTest(resource="Document", permission="read", subject="user")},
            "test.resource",
            "a name in",
        ),
        ({"test": TEST, "delivery": Delivery.ARGOCD}, "test", "only Helm has tests"),
        (
            {"server": ServerProps(extra_args=["--datastore-bootstrap-files=/schema.yaml"])},
            "server.extra_args[0]",
            "delete all data first",
        ),
        (
            {"server": ServerProps(env={"SPICEDB_DATASTORE_BOOTSTRAP_OVERWRITE": "true"})},
            "server.env[SPICEDB_DATASTORE_BOOTSTRAP_OVERWRITE]",
            "delete all data first",
        ),
    ],
)
def test_invalid_values_are_rejected(fields: dict[str, Any], field: str, allowed: str) -> None:
    [problem] = problems(SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **fields}))
    assert problem.field == field
    assert allowed in problem.allowed


def test_the_memory_engine_can_use_bootstrap_files() -> None:
    server = ServerProps(extra_args=["--datastore-bootstrap-files=/schema.yaml"])
    assert not list(problems(SpiceDBProps(datastore=Memory(), server=server)))
