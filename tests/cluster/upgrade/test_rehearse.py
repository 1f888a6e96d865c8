"""Rehearsals of upgrades, beside a SpiceDB that serves."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

from cdk8s_spicedb.live import Cluster
from cdk8s_spicedb.live.rehearsal import RehearsalOptions
from cdk8s_spicedb.live.rehearsal import rehearse as library_rehearse
from tests.cluster.check.test_schema import WILDCARD
from tests.lab.client import SCHEMA, Client, Load, relay
from tests.lab.cluster import Namespace, run, wait
from tests.lab.command import Command
from tests.lab.databases import MARIADB, POSTGRES, postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEWEST, OLD, OLD_HEAD, ON_MARIADB, on_postgres


def rehearsals(namespace: Namespace) -> list[str]:
    """The namespaces of rehearsals of what runs in a namespace. Others can be at work at the same time."""
    label = "--selector=cdk8s-spicedb/rehearsal"
    found = json.loads(run("kubectl", "get", "namespaces", label, "--output=json").stdout)["items"]
    names = [each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]]
    return [name for name in names if name.startswith(f"{namespace.name}-rehearsal-")]


def rehearse(command: Command, *arguments: str) -> tuple[int, Any]:
    """The exit code, and the result."""
    image = f"--database-image={POSTGRES.image}"
    result = command.run("rehearse", f"--file={command.file}", image, "--output=json", *arguments, seconds=600)
    return result.code, result.json if result.code in (0, 3) else result.error


def test_rehearsal_tells_what_the_upgrade_does(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a rehearsal", address, KEY, writes=True) as load:
            command.write(NEW)
            code, found = rehearse(command)
        assert load.succeeded()
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    (step,) = found["steps"]
    assert (found["current"], step["version"]) == (OLD, NEW)
    assert found["copied"] == found["relationships"] > 0
    assert step["migration_seconds"] is not None
    use = step["database"]
    assert use["bytes_peak"] >= use["bytes_after"] > use["bytes_before"] > 0
    assert min(use["log_bytes"], use["memory_bytes"]) > 0
    assert use["locks"] is not None
    assert step["requests"]["asked"] > 0
    assert step["differences"] == []
    assert (step["back"]["ready"], step["back"]["reason"], step["back"]["again"]) == (True, "", ""), step
    assert (namespace.versions(), postgres_revision(namespace)) == ({OLD}, OLD_HEAD), "nothing changed"
    assert rehearsals(namespace) == []


def test_a_killed_rehearsal_leaves_nothing_for_long(
    command: Command, namespace: Namespace, new_namespace: Callable[[], Namespace], postgres: None
) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        Client(address, KEY).write()
    command.write(NEW)
    sandbox = new_namespace()
    arguments = (f"--file={command.file}", f"--database-image={POSTGRES.image}", f"--into={sandbox.name}")
    with command.running("rehearse", *arguments) as process:
        wait("the servers", lambda: sandbox.versions(ready=True))
        process.send_signal(signal.SIGKILL)
        process.wait()
    # As if the deadline were over.
    sandbox.kubectl("patch", "job", "rehearsal-clock", "--patch", '{"spec": {"activeDeadlineSeconds": 1}}')
    wait("Kubernetes to delete everything", lambda: not sandbox.list("pods,deployments,jobs"))
    assert sandbox.get("secret", "rehearsal-database") is None
    code, found = rehearse(command, f"--into={sandbox.name}")
    assert (code, found["problems"]) == (0, [])
    kinds = "deployments,services,serviceaccounts,secrets,configmaps,jobs,leases,poddisruptionbudgets"
    label = "--selector=cdk8s-spicedb/rehearsal"
    assert sandbox.kubectl("get", kinds, label, "--output=name") == ""
    assert "spicedb-upgrade" not in sandbox.kubectl("get", kinds, "--output=name")
    assert rehearsals(namespace) == []


def test_rehearsal_of_a_sample_finds_what_the_release_rejects(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write_schema(WILDCARD, text=SCHEMA)
        for number in range(100):
            client.write_reader(f"document-{number}")
    command.write(NEWEST)
    code, found = rehearse(command, "--sample=20")
    assert code == 3
    assert any("rejects the SpiceDB schema" in problem for problem in found["problems"]), found
    assert found["relationships"] == 100
    assert 20 <= found["copied"] < 100
    assert rehearsals(namespace) == []


def test_rehearsal_on_mariadb(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    assert helm.install(on_postgres(OLD, datastore=ON_MARIADB)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
    cluster = Cluster.connect(namespace=namespace.name)
    options = RehearsalOptions(database_image=MARIADB.image)
    found = library_rehearse(cluster, on_postgres(NEW, datastore=ON_MARIADB), options=options)
    assert found.ok, found.problems
    (step,) = found.steps
    use = step.database
    assert (use.bytes_after or 0) > 0
    assert (use.log_bytes or 0) > 0
    assert use.locks is not None
    assert step.head == step.expected_head
    assert rehearsals(namespace) == []
