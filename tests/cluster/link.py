"""A way to the API server that can be cut."""

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
        self.target, self.whole = target, threading.Event()
        self.sockets: set[socket.socket] = set()
        self.whole.set()


class _Connection(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        if not self.server.whole.is_set():
            return
        with socket.create_connection(self.server.target) as there:
            here = self.request
            self.server.sockets |= {here, there}
            back = threading.Thread(target=_copy, args=(there, here))
            back.start()
            _copy(here, there)
            back.join()
            self.server.sockets -= {here, there}


def _copy(source: socket.socket, target: socket.socket) -> None:
    # The one that is cut ends the other as well.
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        _end(each)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@frozen
class Link:
    """A way to the API server."""

    kubeconfig: Path
    """What leads this way."""
    _server: _Server

    def cut(self, seconds: float) -> None:
        """Ends all connections, and takes no new ones for a while: as if the API server were started anew."""
        self._server.whole.clear()
        for each in list(self._server.sockets):
            _end(each)
        time.sleep(seconds)
        self._server.whole.set()


@contextmanager
def link(folder: Path) -> Iterator[Link]:
    """A way of one's own to the cluster that KUBECONFIG names."""
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
