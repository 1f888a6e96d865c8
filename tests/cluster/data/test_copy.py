"""Backups, restores and comparisons, between engines and beside clients that write."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import Datastore
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEWEST, ON_MARIADB, ON_POSTGRES, ON_SPANNER, on_postgres

SCHEMA = """
use expiration
caveat adult(age int) { age >= 18 }
definition user {}
definition document {
    relation reader: user with expiration | user
    relation guest: user with adult
    permission read = reader + guest
}
"""
ENGINES: dict[str, Datastore] = {"postgres": ON_POSTGRES, "mariadb": ON_MARIADB, "spanner": ON_SPANNER}
NUMBER = 300


def write(namespace: Namespace) -> None:
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write_schema(text=SCHEMA)
        for number in range(NUMBER):
            client.write_reader(f"document-{number}", seconds=3600 if number % 3 == 0 else None)


@pytest.mark.parametrize(
    ("source", "target"), [("postgres", "mariadb"), ("mariadb", "postgres"), ("postgres", "spanner")]
)
def test_move_to_another_engine(
    helm: Helm,
    namespace: Namespace,
    command: Command,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    source: str,
    target: str,
) -> None:
    for engine in (source, target):
        request.getfixturevalue(engine)
    old, new = (on_postgres(NEWEST, datastore=ENGINES[engine]) for engine in (source, target))
    assert helm.install(old, attrs.evolve(new, name="new")).ok
    write(namespace)
    file = tmp_path / "move.zedbackup"
    made = command.run("backup", "spicedb", str(file), "--output=json")
    assert made.code == 0, made.error
    assert (made.json["relationships"], made.json["counts"]) == (NUMBER, {"document#reader": NUMBER})
    restored = command.run("restore", "new", str(file))
    assert restored.code == 0, restored.error
    compared = command.run("compare", "spicedb", "new", "--questions=500")
    assert (compared.code, compared.output.splitlines()[-1]) == (0, "All answers are equal.")
    again = command.run("restore", "new", str(file))
    assert again.code == 1
    assert "restore into a SpiceDB whose database is empty" in again.error


def test_backup_beside_writes(
    helm: Helm, namespace: Namespace, command: Command, postgres: None, tmp_path: Path
) -> None:
    assert helm.install(on_postgres(NEWEST)).ok
    write(namespace)
    file = tmp_path / "live.zedbackup"
    with relay(namespace) as address:
        Client(address, KEY).write_reader("readme")
        with Load("a backup", address, KEY, writes=True) as load:
            made = command.run("backup", "spicedb", str(file))
        assert load.succeeded()
    assert made.code == 0, made.error
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    about = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert about["relationships"] > NUMBER


def test_a_killed_backup_leaves_nothing_that_looks_whole(
    helm: Helm, namespace: Namespace, command: Command, postgres: None, tmp_path: Path
) -> None:
    assert helm.install(on_postgres(NEWEST)).ok
    write(namespace)
    file = tmp_path / "killed.zedbackup"
    with command.running("backup", "spicedb", str(file)) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not file.exists()
    made = command.run("backup", "spicedb", str(file))
    assert made.code == 0, made.error
    assert sorted(path.name for path in tmp_path.glob("killed*")) == ["killed.zedbackup", "killed.zedbackup.json"]
