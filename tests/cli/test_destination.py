"""Which cluster and namespace a command works on: what the options and the file say must be the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cdk8s_spicedb import InvalidProps, SpiceDBError
from cdk8s_spicedb.cli import destination, main
from cdk8s_spicedb.cli.destination import connect, connect_each
from cdk8s_spicedb.files.read import Destination, destination_of, document, read_props
from cdk8s_spicedb.live.cluster import Cluster
from tests.apiserver import ApiServer

FILE = """
version: v1.56.0
datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str | None]]:
    """The namespace and the context of each connection."""
    found: list[tuple[str | None, str | None]] = []

    def connected(*, namespace: str | None, context: str | None, **_: Any) -> Cluster:
        found.append((namespace, context))
        return ApiServer().cluster(namespace=namespace or "default")

    monkeypatch.setattr(Cluster, "connect", connected)
    return found


def options(namespace: str | None = None, context: str | None = None) -> Any:
    return SimpleNamespace(namespace=namespace, context=context, kubeconfig=None)


@pytest.mark.parametrize(
    ("given", "of_file", "expected"),
    [
        (options(), None, (None, None)),
        (options("a", "b"), None, ("a", "b")),
        (options(), Destination("a", "b"), ("a", "b")),
        (options("a", "b"), Destination("a", "b"), ("a", "b")),
        (options("a"), Destination(None, "b"), ("a", "b")),
    ],
)
def test_options_and_files_complete_each_other(
    asked: list[Any], given: Any, of_file: Destination | None, expected: tuple[str | None, str | None]
) -> None:
    connect(given, of_file)
    assert asked == [expected]


@pytest.mark.parametrize("name", ["Team_A", "-a", "a" * 64, "a.b"])
def test_names_that_no_namespace_can_have(asked: list[Any], name: str) -> None:
    with pytest.raises(SpiceDBError, match="cannot be the name of a namespace"):
        connect(options(name))
    with pytest.raises(SpiceDBError, match="cannot be the name of a namespace"):
        connect_each(options("{}"), {name: Destination()})
    assert ("{}", None) in asked


def test_options_that_contradict_the_file_are_refused(asked: list[Any]) -> None:
    text = "--namespace is prod, but the file sets the namespace staging; correct one of them"
    with pytest.raises(SpiceDBError, match=text):
        connect(options("prod"), Destination(namespace="staging"))
    with pytest.raises(SpiceDBError, match="--context is prod, but the file sets the context staging"):
        connect(options(None, "prod"), Destination(context="staging"))
    assert asked == []


def test_each_file_has_a_namespace_of_its_own(asked: list[Any]) -> None:
    files = {"acme": Destination("tenant-acme"), "globex": Destination()}
    assert [each.namespace for each in connect_each(options(), files).values()] == ["tenant-acme", "default"]
    found = connect_each(options("tenant-{}"), files)
    assert [each.namespace for each in found.values()] == ["tenant-acme", "tenant-globex"]
    with pytest.raises(SpiceDBError, match="--namespace is t-acme, but the file sets the namespace tenant-acme"):
        connect_each(options("t-{}"), files)
    with pytest.raises(SpiceDBError, match="the files belong to the contexts a, b; use one context at a time"):
        connect_each(options(), {"x": Destination(context="a"), "y": Destination(context="b")})


def test_a_file_says_where_it_belongs() -> None:
    text = f"{FILE}namespace: authz\ncontext: prod\n"
    assert destination_of(document(text, "spicedb.yaml")) == Destination("authz", "prod")
    assert read_props(text, "spicedb.yaml") == read_props(FILE, "spicedb.yaml"), "they are no props"
    assert destination_of(document(f"{FILE}namespace: null\n", "spicedb.yaml")) == Destination()
    with pytest.raises(InvalidProps, match=r"namespace \(line 4\) = 1\n *allowed: the name of a namespace"):
        destination_of(document(f"{FILE}namespace: 1\n", "spicedb.yaml"))


@pytest.mark.parametrize("command", ["check", "diff", "upgrade --yes", "rollback --yes --file spicedb.yaml"])
def test_commands_hold_the_file_against_the_options(
    asked: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spicedb.yaml").write_text(f"{FILE}namespace: authz\n")
    assert main([*command.split(), "--namespace", "other"]) == 1
    assert "--namespace is other, but the file sets the namespace authz" in capsys.readouterr().err
    assert asked == []
    assert destination.__name__.endswith("destination")
