"""Secrets: whether they are there, have their keys, and stay secret."""

from __future__ import annotations

import attrs

from cdk8s_spicedb import TLS, BackupProps, ConfigMapKey, PostgreSQL, SchemaProps, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.live.check.access import claim_findings, secret_findings
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props.network import Ingress
from tests.apiserver import ApiServer
from tests.live.installed import installable, props, secret


def found(cluster: ApiServer, settings: SpiceDBProps | None = None) -> list[Finding]:
    wanted = settings or props()
    return list(secret_findings(cluster.cluster(), wanted, release_manifests(wanted)))


def only(cluster: ApiServer, settings: SpiceDBProps | None = None) -> Finding:
    (finding,) = found(cluster, settings)
    return finding


def test_a_secret_with_all_its_keys_is_one_line() -> None:
    assert only(installable()) == Finding.ok("Secret spicedb", "has a value for preshared-key, datastore-uri")


def test_a_missing_secret_is_created_with_the_command_in_the_fix() -> None:
    cluster = installable()
    cluster.remove("secrets", "spicedb")
    finding = only(cluster)
    assert finding.level is Level.FAILURE
    assert "kubectl create secret generic spicedb --namespace authz" in finding.fix
    assert "--from-literal=datastore-uri=VALUE" in finding.fix


def test_a_missing_key_says_which_keys_there_are() -> None:
    cluster = installable()
    secret(cluster, "spicedb", {"preshared-key": "key", "uri": "postgresql://u:hidden@h/d"})
    finding = only(cluster)
    assert (finding.level, finding.text) == (Level.FAILURE, "has no key datastore-uri; it has preshared-key, uri")


def test_an_empty_value_is_a_failure_and_a_line_break_a_warning() -> None:
    cluster = installable()
    secret(cluster, "spicedb", {"preshared-key": "key\n", "datastore-uri": ""})
    line_break, empty = found(cluster)
    assert (line_break.level, empty.level) == (Level.WARNING, Level.FAILURE)
    assert "ends in a line break" in line_break.text
    assert empty.text == "has an empty value for datastore-uri"


def test_files_may_end_in_a_line_break() -> None:
    cluster = installable()
    secret(cluster, "tls", {"tls.crt": "certificate\n", "tls.key": "key\n"})
    findings = found(cluster, props(server=ServerProps(grpc_tls=TLS.from_secret("tls"))))
    assert [finding.level for finding in findings] == [Level.OK, Level.OK]


def test_no_value_is_in_a_finding() -> None:
    cluster = installable()
    secret(cluster, "spicedb", {"preshared-key": "hidden\n", "datastore-uri": "postgresql://u:hidden@h/d"})
    assert "hidden" not in str(found(cluster))


def test_without_the_right_to_get_it_a_secret_is_not_checked() -> None:
    finding = only(installable(("get", "secrets")))
    assert finding.level is Level.WARNING
    assert 'resources: ["secrets"]' in finding.fix


def test_image_pull_secrets_exist_and_have_their_type() -> None:
    cluster = installable()
    secret(cluster, "right", {".dockerconfigjson": "{}"}, "kubernetes.io/dockerconfigjson")
    secret(cluster, "wrong", {"password": "hidden"})
    _, *pull = found(cluster, props(image_pull_secrets=("right", "wrong", "missing")))
    assert [finding.level for finding in pull] == [Level.OK, Level.FAILURE, Level.FAILURE]
    assert all("docker-registry" in finding.fix for finding in pull[1:])


def test_a_config_map_exists_and_has_its_key() -> None:
    datastore = PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"), ca=ConfigMapKey("ca-bundle", "ca.crt"))
    settings, cluster = attrs.evolve(props(), datastore=datastore), installable()
    assert found(cluster, settings)[1].text == "does not exist; the release reads its key ca.crt"
    for data, level in (({"ca.pem": "x"}, Level.FAILURE), ({"ca.crt": ""}, Level.FAILURE), ({"ca.crt": "x"}, Level.OK)):
        cluster.put("configmaps", {"metadata": {"name": "ca-bundle"}, "data": data})
        assert found(cluster, settings)[1].level is level
    finding = found(installable(("get", "configmaps")), settings)[1]
    assert finding.level is Level.WARNING
    assert 'resources: ["configmaps"]' in finding.fix


def test_the_config_map_with_the_schema_exists() -> None:
    settings, cluster = props(schema=SchemaProps(config_map="authz-schema", config_map_key="a.zed")), installable()
    assert found(cluster, settings)[1].text == "does not exist; the release reads its key a.zed"
    cluster.put("configmaps", {"metadata": {"name": "authz-schema"}, "data": {"a.zed": "definition user {}"}})
    assert found(cluster, settings)[1].level is Level.OK


def test_a_named_claim_exists() -> None:
    def of(cluster: ApiServer, claim: str | None) -> list[Finding]:
        return list(claim_findings(cluster.cluster(), props(backup=BackupProps(schedule="@daily", claim=claim))))

    cluster = installable()
    assert of(cluster, None) == list(claim_findings(cluster.cluster(), props())) == []
    [missing] = of(cluster, "backups")
    assert (missing.subject, missing.level) == ("PersistentVolumeClaim backups", Level.FAILURE)
    assert "backup.claim" in missing.fix
    cluster.put("persistentvolumeclaims", {"metadata": {"name": "backups"}})
    assert [finding.level for finding in of(cluster, "backups")] == [Level.OK]
    [unknown] = of(installable(("get", "persistentvolumeclaims")), "backups")
    assert unknown.level is Level.WARNING
    assert 'resources: ["persistentvolumeclaims"], resourceNames: ["backups"]' in unknown.fix


def test_the_secret_of_an_ingress_may_come_later() -> None:
    server = ServerProps(ingress=Ingress(host="authz.example.com", tls_secret="public"))
    _, finding = found(installable(), props(server=server))
    assert finding.level is Level.WARNING
    cluster = installable()
    secret(cluster, "public", {"tls.crt": "certificate"})
    assert found(cluster, props(server=server))[1].level is Level.OK


def test_a_second_secret_is_a_second_line() -> None:
    cluster = installable()
    secret(cluster, "other", {"key": "key"})
    findings = found(cluster, props(other_preshared_keys=(SecretKey("other", "key"),)))
    assert [finding.subject for finding in findings] == ["Secret spicedb", "Secret other"]
