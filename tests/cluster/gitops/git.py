"""A Git server on this machine, with repositories that tests commit to."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attrs import frozen

from tests.lab.cluster import run

BRANCH = "main"
_SETTINGS = ("user.name=Test", "user.email=test@example.com", "commit.gpgsign=false")


@frozen
class Repository:
    """A repository with one branch, ``main``."""

    address: str
    """URL from which programs on this machine can clone."""
    folder: Path

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Commits files by their paths, as the whole content of the repository. Returns the revision."""
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry.name != ".git":
                shutil.rmtree(entry)
            elif entry.is_file():
                entry.unlink()
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self._git("add", "--all", "--force")
        self._git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.revision()

    def revert(self, commits: int = 1) -> str:
        """Reverts the last commits, each with a new one. Returns the revision."""
        self._git("revert", "--no-edit", f"HEAD~{commits}..HEAD")
        return self.revision()

    def revision(self) -> str:
        """The revision of the last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        settings = [argument for setting in _SETTINGS for argument in ("-c", setting)]
        return run("git", "-C", str(self.folder), *settings, *arguments).stdout


@frozen
class GitServer:
    """Serves the repositories in a folder."""

    address: str
    folder: Path

    def repository(self, name: str) -> Repository:
        """Creates an empty repository."""
        folder = self.folder / name
        run("git", "init", "--quiet", f"--initial-branch={BRANCH}", str(folder))
        return Repository(f"{self.address}/{name}", folder)


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    """Serves repositories over Git's smart HTTP protocol, for reading, until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = type("Handler", (_Handler,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield GitServer(f"http://127.0.0.1:{server.server_port}", folder)
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests to ``git http-backend``, a CGI program that is part of Git."""

    folder: Path

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps requests out of the output of the tests."""

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        backend = ["git", "http-backend"]
        result = subprocess.run(backend, input=body, capture_output=True, env={**os.environ, **variables}, timeout=60)
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        chunked = self.headers.get("Transfer-Encoding", "") == "chunked"
        body = b"".join(self._chunks()) if chunked else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding", "") == "gzip" else body

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
