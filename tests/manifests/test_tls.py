"""TLS of the servers' ports: flags, files and probes."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import TLS, DispatchTLS, InvalidProps, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.props import require
from tests.synth import ENGINES, POSTGRES, Manifests, synth

FOLDER = "/etc/spicedb/tls"
ALL: dict[str, Any] = {
    "grpc_tls": TLS.from_secret("clients"),
    "http_tls": TLS.from_secret("clients"),
    "http_enabled": True,
    "metrics_tls": TLS.from_secret("metrics"),
    "dispatch_tls": DispatchTLS.from_secret("dispatch"),
}


def render(datastore: Any = POSTGRES, **server: Any) -> Manifests:
    return synth(SpiceDBProps(version="v1.56.0", datastore=datastore, server=ServerProps(**server)))


def files(objects: Manifests, name: str = "tls") -> list[tuple[str, str, str]]:
    """The files of a volume, each with its Secret and key."""
    [projected] = [volume["projected"] for volume in objects.pod("Deployment")["volumes"] if volume["name"] == name]
    return [
        (item["path"], source["secret"]["name"], item["key"])
        for source in projected["sources"]
        for item in source["secret"]["items"]
    ]


def test_from_secret_uses_the_usual_keys_of_tls_secrets() -> None:
    assert TLS.from_secret("web") == TLS(certificate=SecretKey("web", "tls.crt"), key=SecretKey("web", "tls.key"))
    assert DispatchTLS.from_secret("web").ca == SecretKey("web", "ca.crt")


@pytest.mark.parametrize(
    ("server", "flag"),
    [
        ({"grpc_tls": ALL["grpc_tls"]}, "grpc"),
        ({"http_tls": ALL["http_tls"], "http_enabled": True}, "http"),
        ({"metrics_tls": ALL["metrics_tls"]}, "metrics"),
        ({"dispatch_tls": ALL["dispatch_tls"]}, "dispatch-cluster"),
    ],
)
def test_each_port_has_its_certificate_and_key(server: dict[str, Any], flag: str) -> None:
    port = flag.partition("-")[0]
    args = render(**server).container("Deployment")["args"]
    assert f"--{flag}-tls-cert-path={FOLDER}/{port}.crt" in args
    assert f"--{flag}-tls-key-path={FOLDER}/{port}.key" in args
    assert sum("-tls-" in arg for arg in args) == 2
    ca = f"--dispatch-upstream-ca-path={FOLDER}/dispatch-ca.crt"
    assert (ca in args) is (port == "dispatch")


def test_certificates_are_files_in_one_folder() -> None:
    objects = render(**ALL)
    [mount] = objects.container("Deployment")["volumeMounts"]
    assert mount == {"name": "tls", "mountPath": FOLDER, "readOnly": True}
    assert sorted(files(objects)) == [
        ("dispatch-ca.crt", "dispatch", "ca.crt"),
        ("dispatch.crt", "dispatch", "tls.crt"),
        ("dispatch.key", "dispatch", "tls.key"),
        ("grpc.crt", "clients", "tls.crt"),
        ("grpc.key", "clients", "tls.key"),
        ("http.crt", "clients", "tls.crt"),
        ("http.key", "clients", "tls.key"),
        ("metrics.crt", "metrics", "tls.crt"),
        ("metrics.key", "metrics", "tls.key"),
    ]


def test_the_datastores_files_are_in_another_folder() -> None:
    objects = render(ENGINES["postgres-parts"], **ALL)
    folders = [mount["mountPath"] for mount in objects.container("Deployment")["volumeMounts"]]
    assert folders == ["/etc/spicedb/datastore", FOLDER]
    assert {name for name, _, _ in files(objects, "datastore")} == {"ca.crt", "tls.crt", "tls.key"}


def test_the_migration_has_no_certificates_of_the_servers() -> None:
    assert "volumes" not in render(**ALL).pod("Job", "migration")


def test_the_readiness_probe_uses_tls() -> None:
    probe = render(grpc_tls=ALL["grpc_tls"]).container("Deployment")["readinessProbe"]
    assert probe["exec"]["command"] == ["grpc_health_probe", "-addr=:50051", "-tls", "-tls-no-verify"]
    assert "grpc" not in probe
    assert probe["periodSeconds"] == 2


def test_without_tls_the_readiness_probe_is_kubernetes_own() -> None:
    server = {name: value for name, value in ALL.items() if name != "grpc_tls"}
    assert render(**server).container("Deployment")["readinessProbe"]["grpc"] == {"port": 50051}


@pytest.mark.parametrize("missing", ["certificate", "key", "ca"])
def test_incomplete_tls_is_rejected(missing: str) -> None:
    parts = {name: SecretKey("web", name) for name in ("certificate", "key", "ca") if name != missing}
    with pytest.raises(TypeError, match=missing):
        DispatchTLS(**parts)
    with pytest.raises(InvalidProps, match=f"server.dispatch_tls.{missing}"):
        require(
            SpiceDBProps(
                datastore=POSTGRES,
                server=ServerProps(dispatch_tls=DispatchTLS(**parts, **{missing: None})),  # type: ignore[arg-type]
            )
        )
