"""The pod of the check, and connections that fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from cdk8s_spicedb import (
    CockroachDB,
    Memory,
    MigrationProps,
    MySQL,
    PodSettings,
    PostgreSQL,
    SecretKey,
    Spanner,
    SpiceDBError,
    SpiceDBProps,
)
from cdk8s_spicedb.live.check.database import ask_database, check_database, engine
from cdk8s_spicedb.live.check.database.engine import EngineCheck, client_pod
from cdk8s_spicedb.live.check.database.mysql import MySQLCheck
from cdk8s_spicedb.live.check.database.postgresql import CockroachDBCheck, PostgreSQLCheck
from cdk8s_spicedb.live.check.database.question import Facts
from cdk8s_spicedb.live.cluster import Cluster
from tests.apiserver import ApiServer, Object, matches
from tests.live.clock import FakeClock
from tests.live.installed import waiting as container_waiting
from tests.programs import ROOT
from tests.synth import synth

from .answers import ON_MYSQL, Answer, at, connections, failures, props, server, warnings


def running(start: Callable[[Object], None]) -> ApiServer:
    """A cluster in which something becomes of the pod of the check as soon as it is created."""
    api = ApiServer()
    api.on(matches("create", "pods"), lambda _, found: start(found))
    return api


def answering(*answers: Answer) -> ApiServer:
    """A cluster in which the pod of the check prints answers."""

    def end(found: Object) -> None:
        state = {"name": "check", "state": {"terminated": {"exitCode": 0}}}
        found["status"] = {"phase": "Succeeded", "containerStatuses": [state]}
        api.logs[found["metadata"]["name"]] = "\n".join([*map(printed, answers), "not a fact", "[]"])

    api = running(end)
    return api


def quickly(api: ApiServer) -> Cluster:
    """The cluster, with a clock that does not wait."""
    return api.cluster(clock=FakeClock())


def printed(answer: Answer) -> str:
    """An answer, as the scripts print it."""
    return json.dumps(answer, separators=(",", ":"))


def error(kind: str) -> tuple[Answer, Answer]:
    return {"fact": "error", "kind": kind}, {"fact": "done"}


def test_the_pod_is_like_the_migrations() -> None:
    settings = props(datastore=PostgreSQL(uri=SecretKey("spicedb", "uri"), ca=SecretKey("ca", "ca.crt")))
    made = client_pod(settings, "psql:1", "postgres.sh", "SELECT '$(X)'")
    migration = synth(settings).one("Job", "migration")["spec"]["template"]
    container, theirs = made["spec"]["containers"][0], migration["spec"]["containers"][0]
    assert made["metadata"]["labels"] == migration["metadata"]["labels"]
    assert made["metadata"]["name"].startswith("spicedb-check-")
    assert container["env"][:-1] == theirs["env"]
    assert container["env"][-1] == {"name": "CHECK_SQL", "value": "SELECT '$$(X)'"}
    assert theirs["volumeMounts"][0] in container["volumeMounts"]
    assert made["spec"]["securityContext"] == migration["spec"]["securityContext"]
    assert container["securityContext"] == theirs["securityContext"]
    assert made["spec"]["restartPolicy"] == "Never"
    assert "serviceAccountName" not in made["spec"]


def test_the_pod_connects_as_the_migration_does() -> None:
    settings = props(migration=MigrationProps(datastore_uri=SecretKey("owner", "uri"), env={"X": "y"}))
    env = client_pod(settings, "psql:1", "postgres.sh", "")["spec"]["containers"][0]["env"]
    names = {each["name"]: each for each in env}
    assert names["SPICEDB_DATASTORE_CONN_URI"]["valueFrom"]["secretKeyRef"] == {"name": "owner", "key": "uri"}
    assert names["X"]["value"] == "y"


def test_the_pod_has_the_proxy_of_all_pods_and_ends() -> None:
    proxy = {"name": "proxy", "image": "example.com/proxy:1", "restartPolicy": "Always"}
    agent = {"name": "agent", "image": "example.com/agent:1"}
    tmp = {"name": "tmp", "mountPath": "/tmp"}
    shared = PodSettings(
        init_containers=[proxy],
        extra_containers=[agent],
        extra_volumes=[{"name": "tmp", "emptyDir": {}}],
        extra_volume_mounts=[tmp],
    )
    found = client_pod(props(pods=shared), "psql:1", "postgres.sh", "")["spec"]
    assert found["initContainers"] == [proxy]
    assert [each["name"] for each in found["containers"]] == ["check"]
    assert [each for each in found["containers"][0]["volumeMounts"] if each["mountPath"] == "/tmp"] == [tmp]
    assert [each["name"] for each in found["volumes"]].count("tmp") == 1


@pytest.mark.parametrize("kind", [PostgreSQLCheck, CockroachDBCheck, MySQLCheck])
def test_the_image_of_the_client_is_pinned_and_named(kind: type[EngineCheck]) -> None:
    """It gets the credentials of the migration."""
    found = re.fullmatch(r"docker\.io/library/((?:postgres|mariadb):[\d.]+)@sha256:[0-9a-f]{64}", kind.image)
    assert found is not None
    release = found[1]
    for page in ("configure/images.md", "why/security.md"):
        assert f"`{release}`" in (ROOT / "docs" / page).read_text(), page


def test_a_check_leaves_no_pod() -> None:
    api = answering(server(), connections(), *at("add-schema-tables"), {"fact": "done"})
    report = check_database(api.cluster(), props())
    assert failures(report) == []
    assert report.pending == ("populate-schema-tables",)
    assert api.of("pods") == []
    assert ask_database(api.cluster(), props()).revision == "add-schema-tables"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dns", "db:5432: the name of the host cannot be resolved; correct datastore.host"),
        ("password", "rejects the user or the password; put the right ones into key password of Secret spicedb"),
        ("tls-required", "the database requires TLS; set datastore.sslmode"),
        ("full", "no connection is left; increase the database's max_connections"),
        ("something new", "for a reason that this check does not know"),
    ],
)
def test_connections_that_fail(kind: str, expected: str) -> None:
    report = check_database(answering(*error(kind)).cluster(), props())
    assert expected in failures(report)[0]
    with pytest.raises(SpiceDBError):
        ask_database(answering(*error(kind)).cluster(), props())


def test_words_of_mysql_and_of_uris() -> None:
    report = check_database(answering(*error("no-tls")).cluster(), props(datastore=ON_MYSQL))
    assert "set datastore.tls" in failures(report)[0]
    by_uri = props(datastore=MySQL(uri=SecretKey("db", "uri")))
    report = check_database(answering(*error("dns")).cluster(), by_uri)
    assert failures(report)[0] == (
        "the database of key uri in Secret db: the name of the host cannot be resolved; correct the host of the URI in "
        "key uri of Secret db"
    )


@pytest.mark.parametrize("kind", ["no-ca", "no-client", "parameter"])
def test_what_the_client_cannot_do_is_a_warning(kind: str) -> None:
    report = check_database(answering(*error(kind)).cluster(), props())
    assert failures(report) == []
    assert "not checked" in warnings(report)[0]


def test_a_pod_that_was_interrupted() -> None:
    silent, cut_off = answering(), answering(server(), connections(), *at("add-schema-tables"))
    assert "there is no answer" in failures(check_database(quickly(silent), props()))[0]
    report = check_database(quickly(cut_off), props())
    assert "for a reason that this check does not know" in failures(report)[0]


def test_last_lines_that_the_node_writes_late() -> None:
    api = answering(server(), connections(), *at("add-schema-tables"), {"fact": "done"})
    whole: dict[str, str] = {}

    def delay(_: object, pod: Object) -> None:
        name = pod["metadata"]["name"]
        whole[name], api.logs[name] = api.logs[name], ""

    api.on(matches("create", "pods"), delay)
    clock = FakeClock(on_sleep=lambda _: api.logs.update(whole))
    assert check_database(api.cluster(clock=clock), props()).revision == "add-schema-tables"
    assert clock.seconds > 0


def test_lines_that_are_not_facts_are_left_out() -> None:
    lines = ["starts", "[" * 200_000, '{"fact": 1}', '{"fact": ' + "[" * 10_000, '{"fact": "done"}']
    assert Facts.read("\n".join(lines)).all == [{"fact": "done"}]


def test_engines_that_are_not_asked() -> None:
    api = ApiServer()
    spanner = props(datastore=Spanner(project="p", instance="i", database="d"))
    assert "Spanner" in warnings(check_database(api.cluster(), spanner))[0]
    memory = SpiceDBProps(version="v1.56.0", datastore=Memory(), preshared_key=SecretKey("spicedb", "key"))
    assert check_database(api.cluster(), memory).findings == ()
    assert ask_database(api.cluster(), memory).revision is None
    aws = props(datastore=PostgreSQL(host="db", database="d", user="u", credentials_provider="aws-iam"))
    assert "its password comes from AWS" in warnings(check_database(api.cluster(), aws))[0]
    assert api.requests == []


def test_a_migration_with_a_password_of_its_own_is_asked() -> None:
    """Although the servers get theirs from AWS."""
    aws = PostgreSQL(host="db", database="d", user="u", credentials_provider="aws-iam")
    migration = MigrationProps(datastore_uri=SecretKey("owner", "uri"))
    api = answering(server(), {"fact": "done"})
    assert check_database(api.cluster(), props(datastore=aws, migration=migration)).server_version


def test_cockroachdb() -> None:
    described = {"fact": "server", "version": "CockroachDB CCL v25.2.4 (x86_64)", "database": "d", "user": "u"}
    answers = (described, {"fact": "revision", "revision": "add-caveats"}, {"fact": "create", "allowed": False})
    settings = props(datastore=CockroachDB(host="db", database="d", user="u"))
    report = check_database(answering(*answers, {"fact": "done"}).cluster(), settings)
    assert failures(report) == [
        "the migration's user has no permission to create tables; GRANT CREATE ON DATABASE d TO u"
    ]
    assert report.findings[1].text == "CockroachDB CCL v25.2.4"


# ---------------------------------------------------------------- pods that do not run


def waiting(reason: str, message: str = "") -> ApiServer:
    def start(found: Object) -> None:
        (state,) = container_waiting(reason, message, name="check")["containerStatuses"]
        found["status"] = {"phase": "Pending", "containerStatuses": [{"name": "sidecar", "state": {}}, state]}

    return running(start)


def test_a_missing_secret_or_image() -> None:
    api = waiting("CreateContainerConfigError", 'secret "spicedb" not found')
    (failure,) = failures(check_database(api.cluster(), props()))
    assert 'secret "spicedb" not found; create the Secret' in failure
    assert api.of("pods") == []
    # The migration has another image.
    (warning,) = warnings(check_database(waiting("ErrImagePull").cluster(), props(), image="mirror/psql:1"))
    assert "not checked: the pod of the check cannot pull mirror/psql:1: ErrImagePull" in warning


def test_a_pod_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LONGEST_SECONDS", 0)
    api = waiting("ContainerCreating")
    warning = {"type": "Warning", "message": "MountVolume.SetUp failed"}
    api.on(
        matches("create", "pods"),
        lambda _, pod: api.put("events", {"metadata": {"name": "e"}, "involvedObject": pod["metadata"], **warning}),
    )
    (failure,) = failures(check_database(api.cluster(), props()))
    assert "did not finish within 0 s: MountVolume.SetUp failed" in failure


def test_a_refused_pod() -> None:
    api = ApiServer()
    api.deny("pods", "create")
    (warning,) = warnings(check_database(api.cluster(), props()))
    assert "not checked: Kubernetes refused to start a pod: pods is forbidden: User " in warning
    assert "; allow your user to create pods" in warning


def test_a_pod_that_somebody_deletes() -> None:
    api = running(lambda _: api.remove("pods"))
    assert "somebody deleted the pod" in warnings(check_database(api.cluster(), props()))[0]


def test_a_pod_that_no_node_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LONGEST_SECONDS", 0)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    api = running(lambda pod: pod.update(status={"phase": "Pending", "conditions": [condition]}))
    assert "0/1 nodes are available" in failures(check_database(api.cluster(), props()))[0]


def test_a_dollar_or_a_pool_in_a_uri() -> None:
    by_uri = props(datastore=PostgreSQL(uri=SecretKey("db", "uri")))
    answers = (
        {"fact": "dollar"},
        {"fact": "pool"},
        server(),
        connections(),
        *at("add-schema-tables"),
        {"fact": "done"},
    )
    report = check_database(answering(*answers).cluster(), by_uri)
    assert "write %24 instead of $ in the URI" in warnings(report)[0]
    assert "with which `spicedb migrate` fails" in failures(report)[0]
    # The URI of this package's own has a $ that the migration expands.
    assert warnings(check_database(answering(*answers).cluster(), props())) == []
