"""Upgrades in which one new server answers questions before clients reach the new servers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.databases import postgres_query
from tests.lab.props import KEY, NEW, OLD

ANSWERS = "--answers=3000"
"""More than the most relationships that SpiceDB returns by default if a request has a limit."""


@pytest.fixture(params=["helm", "helm3", "kubectl"])
def delivery(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """How the release is applied: with each major version of Helm, or with kubectl."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not on PATH")
    if request.param == "kubectl":
        return "kubectl"
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "helm").symlink_to(program)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return "helm"


def write(client: Client) -> None:
    client.write()
    for number in range(50):
        client.write_reader(f"document-{number}")


def test_a_new_server_answers_before_clients_reach_it(
    command: Command, namespace: Namespace, postgres: None, delivery: str
) -> None:
    command.install(OLD, delivery=delivery)
    with relay(namespace) as address:
        write(Client(address, KEY))
        command.write(NEW, delivery=delivery)
        with Load("an upgrade that compares answers", address, KEY, writes=True) as load:
            result = command.upgrade(ANSWERS)
        assert load.succeeded()
    assert result.code == 0, result.error
    assert "answers are equal" in result.output
    assert namespace.versions(ready=True) == {NEW}
    assert not paused(namespace)


def test_a_different_answer_changes_no_server(
    command: Command, namespace: Namespace, own_postgres: None, delivery: str
) -> None:
    """The new servers would use another database, which is empty."""
    command.install(OLD, delivery=delivery)
    servers = {pod["metadata"]["uid"] for pod in namespace.servers()}
    postgres_query(namespace, "CREATE DATABASE other")
    with relay(namespace) as address:
        write(Client(address, KEY))
        file = command.write(NEW, delivery=delivery)
        file.write_text(file.read_text().replace("database: spicedb,", "database: other,"))
        with Load("an upgrade with different answers", address, KEY) as load:
            result = command.upgrade(ANSWERS)
        assert load.succeeded()
    assert result.code == 3, result.error
    assert "a new server could not be asked" in result.error
    assert {pod["metadata"]["uid"] for pod in namespace.servers()} == servers
    assert not paused(namespace)


def paused(namespace: Namespace) -> bool:
    deployment = namespace.get("deployment", "spicedb")
    assert deployment
    return bool(deployment["spec"].get("paused"))
