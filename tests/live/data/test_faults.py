"""What happens if something that is no SpiceDB answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import grpc
import pytest
from authzed.api.v1.permission_service_pb2 import CheckBulkPermissionsResponse

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.data.backup import back_up
from cdk8s_spicedb.live.data.compare import answers
from cdk8s_spicedb.live.data.questions import Question
from cdk8s_spicedb.live.data.server import RequestError, Server
from tests.live.clock import FakeClock
from tests.spicedbserver import SpiceDBServer

from .conftest import connect


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """The address of a server that answers every connection with the same bytes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(content)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("content", [b"HTTP/1.1 200 OK\r\n\r\n<html>", b"\x00" * 100, b""])
def test_an_address_of_another_program(content: bytes, tmp_path: Path) -> None:
    with answering(content) as address:
        server = attrs.evolve(Server.connect(address, "key"), clock=FakeClock())
        with pytest.raises(RequestError, match=address):
            back_up(server, tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_answers_that_are_missing() -> None:
    server: Any = SimpleNamespace(name="it", check=lambda _: CheckBulkPermissionsResponse())
    with pytest.raises(SpiceDBError, match=r"it gave 0 answers to 2 questions; is it a SpiceDB\?"):
        answers(server, [Question("document:1", "read", f"user:{number}") for number in range(2)])


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS])
def test_a_backup_goes_on_after_an_error(spicedb: SpiceDBServer, tmp_path: Path, code: grpc.StatusCode) -> None:
    spicedb.fail("ExportBulkRelationships", code, after=1)
    with pytest.raises(RequestError, match=f"{spicedb.address}: {code.name}"):
        back_up(connect(spicedb), tmp_path / "it")
    assert not (tmp_path / "it").exists()
    assert back_up(connect(spicedb), tmp_path / "it").summary.total == 15
    assert sorted(each.name for each in tmp_path.iterdir()) == ["it", "it.json"]
