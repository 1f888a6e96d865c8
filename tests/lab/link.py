"""A proxy to the API server that tests can interrupt."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from attrs import frozen

from .cluster import run


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target, self.available = target, threading.Event()
        self.sockets: set[socket.socket] = set()
        self.available.set()


class _Connection(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        if not self.server.available.is_set():
            return
        with socket.create_connection(self.server.target) as upstream:
            client = self.request
            self.server.sockets |= {client, upstream}
            responses = threading.Thread(target=_copy, args=(upstream, client))
            responses.start()
            _copy(client, upstream)
            responses.join()
            self.server.sockets -= {client, upstream}


def _copy(source: socket.socket, target: socket.socket) -> None:
    # When one socket is closed, close the other as well.
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for connection in (source, target):
        _close(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@frozen
class Link:
    """A proxy to the API server."""

    kubeconfig: Path
    """Kubeconfig that uses the proxy."""
    _server: _Server

    def interrupt(self, seconds: float) -> None:
        """Closes all connections and accepts no new ones for a while, as when the API server restarts."""
        self._server.available.clear()
        for connection in list(self._server.sockets):
            _close(connection)
        time.sleep(seconds)
        self._server.available.set()


@contextmanager
def link(folder: Path) -> Iterator[Link]:
    """Starts a proxy to the cluster that KUBECONFIG names."""
    config = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "--flatten", "--output=json").stdout)
    cluster = config["clusters"][0]["cluster"]
    address = urlsplit(cluster["server"])
    host = address.hostname or ""
    with _Server((host, address.port or 443)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster["server"] = f"https://127.0.0.1:{server.server_address[1]}"
        cluster.setdefault("tls-server-name", host)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        kubeconfig.chmod(0o600)
        try:
            yield Link(kubeconfig, server)
        finally:
            server.shutdown()
