"""Dumps that were restored into another database server, with the real programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.command import Command
from tests.lab.databases import DATABASE, MARIADB, PASSWORD, POSTGRES, USER, Database
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, ON_MARIADB, on_postgres

_ON_SOCKET = ("--host=/run/postgresql", f"--username={USER}")
_PSQL = ("psql", *_ON_SOCKET, "-qAt", "-vON_ERROR_STOP=1", DATABASE)
_LATER = "DO $$ BEGIN FOR i IN 1..20000 LOOP PERFORM pg_current_xact_id(); ROLLBACK; END LOOP; END $$"
"""Gives out as many ids as a server does that is in use for some time."""


_WRITE = "\nINSERT INTO public.relation_tuple_transaction DEFAULT VALUES;\n"
"""A transaction of a server, such as one that says every few seconds that it is there. Its id is smaller."""


def inside(namespace: Namespace, database: Database, *command: str, text: str | None = None) -> str:
    """Runs a command in the pod of a database."""
    return namespace.kubectl("exec", "-i", database.name, "--", *command, text=text)


def replace_server(namespace: Namespace, database: Database) -> None:
    """Another server takes the place of a database, with nothing in it."""
    namespace.kubectl("delete", "pod", database.name)
    database.start(namespace)


@contextmanager
def served(command: Command, namespace: Namespace) -> Iterator[Client]:
    """A client of a SpiceDB with data, whose PostgreSQL has been in use for some time."""
    inside(namespace, POSTGRES, *_PSQL, text=_LATER)
    command.install(NEW)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        yield client


def restore_dump(namespace: Namespace) -> None:
    """Restores a dump of the PostgreSQL into a server that takes its place."""
    dump = inside(namespace, POSTGRES, "pg_dump", *_ON_SOCKET, DATABASE)
    replace_server(namespace, POSTGRES)
    inside(namespace, POSTGRES, *_PSQL, text=dump + _WRITE)


def seen(client: Client) -> str:
    """The schema that the servers see, or the error that they give."""
    try:
        return client.schema()
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"


def test_a_postgresql_that_was_restored_is_found_and_mended(
    command: Command, namespace: Namespace, own_postgres: None
) -> None:
    with served(command, namespace) as client:
        schema = client.schema()
        assert client.check()
        assert command.run("status", "spicedb", "--datastore", "--file", str(command.file), *_IMAGE).code == 0

        restore_dump(namespace)
        found = wait("an answer", lambda: text if "UNAVAILABLE" not in (text := seen(client)) else None, 60)
        assert found.startswith("NOT_FOUND: no schema has been defined"), "SpiceDB serves, and sees nothing"

        report = command.run("check", "--file", str(command.file), "--output", "json")
        assert report.code == 1
        (failure,) = (each for each in report.json["findings"] if each["level"] == "failure")
        assert failure["subject"] == "Transaction ids"
        assert f"`cdk8s-spicedb repair --run --file FILE --namespace {namespace.name} " in failure["fix"]
        status = command.run("status", "spicedb", "--datastore", "--file", str(command.file), *_IMAGE)
        assert (status.code, "a dump was restored into it" in status.output) == (1, True)

        repair = (sys.executable, "-m", "cdk8s_spicedb", "repair", "--file", str(command.file))
        job = json.loads(subprocess.run(repair, capture_output=True, check=True).stdout)
        namespace.kubectl("create", "-f", "-", text=json.dumps(job))
        namespace.kubectl("wait", "--for=condition=complete", f"job/{job['metadata']['name']}", "--timeout=60s")
        assert seen(client) == schema
        assert client.check()
    assert command.run("check", "--file", str(command.file)).code == 0
    assert command.run("status", "spicedb", "--datastore", "--file", str(command.file), *_IMAGE).code == 0


def test_one_command_mends_a_postgresql_that_was_restored(
    command: Command, namespace: Namespace, own_postgres: None
) -> None:
    repair = ("repair", "--run", "--file", str(command.file), *_IMAGE)
    with served(command, namespace) as client:
        schema = client.schema()
        fine = command.run(*repair)
        assert (fine.code, "needs no repair" in fine.output) == (0, True), "servers may run"

        restore_dump(namespace)
        refused = command.run(*repair)
        assert (refused.code, "servers run, which write to it" in refused.error) == (1, True)
        assert namespace.list("jobs", instance="spicedb") == []

        namespace.kubectl("scale", "deployment/spicedb", "--replicas=0")
        namespace.wait_for_terminating_servers()
        wait("the end of the servers", lambda: not namespace.list("pods", instance="spicedb", component="server"))
        mended = command.run(*repair)
        assert mended.code == 0, mended.error
        assert "a dump was restored into it" in mended.error, "the progress says why"
        assert "is repaired: SpiceDB sees all of its rows again" in mended.output
        assert not [each for each in namespace.list("jobs") if "repair" in each["metadata"]["name"]]

        namespace.kubectl("scale", "deployment/spicedb", "--replicas=2")
        namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=90s")
        wait("the schema", lambda: seen(client) == schema or None, 60)
        assert client.check()
        again = command.run(*repair)
        assert (again.code, "needs no repair" in again.output) == (0, True)


_IMAGE = (f"--database-image={POSTGRES.image}",)


def test_a_mariadb_that_was_restored_needs_no_repair(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    """Its ids are in the tables alone: the dump says which one comes next."""
    assert helm.install(on_postgres(NEW, datastore=ON_MARIADB)).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        schema = client.schema()
        account = ("--host=127.0.0.1", f"--user={USER}", f"--password={PASSWORD}")
        dump = inside(namespace, MARIADB, "mariadb-dump", *account, "--single-transaction", DATABASE)
        assert "AUTO_INCREMENT=" in dump
        replace_server(namespace, MARIADB)
        inside(namespace, MARIADB, "mariadb", *account, DATABASE, text=dump)
        wait("the schema", lambda: seen(client) == schema or None, 60)
        assert client.check()
        assert client.check("another", since=client.write_reader("another"))
