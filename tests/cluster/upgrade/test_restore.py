"""A step without a way back: the rollback restores the backup that the upgrade has made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.command import DATASTORES, Command
from tests.lab.props import KEY

OLD, NEW = "v1.37.1", "v1.52.0"


@pytest.mark.parametrize(("delivery", "engine"), [("helm", "postgres"), ("kubectl", "mariadb")])
def test_rollback_restores_the_backup(
    command: Command, namespace: Namespace, request: pytest.FixtureRequest, tmp_path: Path, delivery: str, engine: str
) -> None:
    request.getfixturevalue(engine)
    command.datastore = DATASTORES[engine]
    command.install(OLD, delivery=delivery)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        for number in range(50):
            client.write_reader(f"document-{number}")
    file = command.write(NEW, delivery=delivery)
    upgraded = command.upgrade(f"--backup={tmp_path / 'backups'}")
    assert upgraded.code == 0, upgraded.error
    assert namespace.versions(ready=True) == {NEW}
    with relay(namespace) as address:
        Client(address, KEY).write_reader("written-later")
    refused = command.run("rollback", "spicedb", "--yes")
    assert refused.code == 1
    assert "run the same command with --restore and --file" in refused.error
    options = ("--yes", f"--file={file}", "--restore")
    with command.running("rollback", "spicedb", *options) as process:
        assert process.stdout is not None
        output = ""
        while "starting a server of" not in output:
            output += (line := process.stdout.readline())
            assert line, output
        process.kill()
    assert "is lost, because the backup does not have it" in output
    assert "the servers hold document#reader: 52 instead of 51 in the backup" in output
    assert namespace.servers() == []
    back = command.run("rollback", "spicedb", *options)
    assert back.code == 0, back.error
    assert namespace.versions(ready=True) == {OLD}
    assert len(namespace.servers()) == 2
    with relay(namespace) as address:
        client = Client(address, KEY)
        assert client.check("document-1")
        assert not client.check("written-later")
