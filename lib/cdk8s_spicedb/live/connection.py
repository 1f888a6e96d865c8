"""The HTTP client of an API server: its certificates and credentials, as kubectl uses them."""

from __future__ import annotations

import base64
import json
import logging
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2

from ..text import time_of
from .apierror import SHAPE, ClusterError, Unreachable
from .kubeconfig import Kubeconfig
from .text import last_error

_LOG = logging.getLogger(__name__)
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_PLUGIN_SECONDS, _LOGIN_SECONDS = 60, 600
"""Time for a program that gets credentials, and for one that may ask you to log in."""
_EARLY = timedelta(seconds=10)
"""How long before they expire credentials are replaced."""
_HEADERS = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}


def connect(config: Kubeconfig) -> httpx2.Client:
    """A client of the API server. Raises `ClusterError` if the settings of the kubeconfig cannot be used."""
    cluster, user = config.cluster, config.user
    try:
        tls = _tls(cluster, user)
        client = httpx2.Client(
            base_url=config.server,
            verify=tls,
            auth=_auth(cluster, user, tls),
            headers=_impersonation(user),
            proxy=cluster.get("proxy-url") or None,
        )
    except ClusterError:
        raise
    except (OSError, ImportError, httpx2.InvalidURL, *SHAPE) as error:
        text = f"cannot connect as the context {config.name} of the kubeconfig says: {error}"
        raise ClusterError(text) from None
    name = cluster.get("tls-server-name")
    if name:
        client.event_hooks["request"].append(lambda request: request.extensions.update(sni_hostname=str(name)))
    return client


def _impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = [(header, str(user[name])) for name, header in _HEADERS.items() if user.get(name)]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    extra = (user.get("as-user-extra") or {}).items()
    return headers + [(f"Impersonate-Extra-{key}", str(value)) for key, values in extra for value in values]


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    # Data takes precedence over a file.
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    if cluster.get("insecure-skip-tls-verify"):
        tls = httpx2.create_ssl_context(verify=False)
    elif data:
        tls = ssl.create_default_context(cadata=base64.b64decode(data).decode())
    else:
        tls = ssl.create_default_context(cafile=file) if file else httpx2.create_ssl_context()
    with ExitStack() as files:
        names = [_file(user, name, files) for name in ("client-certificate", "client-key")]
        if names[0]:
            tls.load_cert_chain(names[0], names[1])
    return tls


def _file(user: Mapping[str, Any], name: str, files: ExitStack) -> str | None:
    """The path of a setting that a file has, or that is data, because Python reads keys only from files."""
    data = user.get(f"{name}-data")
    if not data:
        return user.get(name)
    return _temporary(base64.b64decode(data), files)


def _temporary(content: bytes, files: ExitStack) -> str:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 (the stack closes it); only its owner may read it.
    files.enter_context(file)
    file.write(content)
    file.flush()
    return file.name


def _auth(cluster: Mapping[str, Any], user: Mapping[str, Any], tls: ssl.SSLContext) -> httpx2.Auth | None:
    if user.get("tokenFile"):
        return _TokenFile(Path(user["tokenFile"]))
    if user.get("token"):
        return _Token(str(user["token"]))
    if user.get("exec"):
        return _Plugin(user["exec"], cluster, tls)
    if user.get("username"):
        return httpx2.BasicAuth(str(user["username"]), str(user.get("password") or ""))
    if user.get("auth-provider"):
        raise ClusterError(
            "auth-provider in the kubeconfig is not supported, and no longer by kubectl either; use exec"
        )
    return None


class _Token(httpx2.Auth):
    """Sends a token. Subclasses get it, and get a new one if the API server refuses it."""

    def __init__(self, token: str | None) -> None:
        self._token, self._lock = token, Lock()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        sent = self._send(request, None)
        response = yield request
        if response.status_code == httpx2.codes.UNAUTHORIZED and self._send(request, sent) != sent:
            yield request

    def _send(self, request: httpx2.Request, refused: str | None) -> str | None:
        # Of several threads, one asks a program, which may open a browser.
        with self._lock:
            token = self.token(refused)
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return token

    def token(self, refused: str | None) -> str | None:
        """The token to send. ``refused`` is one that the API server has refused."""
        return self._token


class _TokenFile(_Token):
    """Sends the token in a file, which Kubernetes replaces from time to time."""

    def __init__(self, file: Path) -> None:
        super().__init__(None)
        self._file = file

    def token(self, refused: str | None) -> str | None:
        if self._token is None or refused is not None:
            try:
                self._token = self._file.read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                raise ClusterError(f"cannot read the token in {self._file}: {error}") from None
        return self._token


class _Plugin(_Token):
    """Asks a program for credentials: a token, or a certificate."""

    _expires: datetime | None = None

    def __init__(self, settings: Mapping[str, Any], cluster: Mapping[str, Any], tls: ssl.SSLContext) -> None:
        super().__init__(None)
        self._tls, self._asked = tls, False
        self._version = str(settings.get("apiVersion"))
        self._command = [str(settings["command"]), *map(str, settings.get("args") or ())]
        self._env = {str(each["name"]): str(each["value"]) for each in settings.get("env") or ()}
        if self._version not in _VERSIONS:
            raise ClusterError(
                f"the program {self._command[0]} of the kubeconfig gets credentials by {self._version}; only "
                f"{' and '.join(_VERSIONS)} are supported"
            )
        mode = settings.get("interactiveMode") or "IfAvailable"
        self._interactive = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
        if mode == "Always" and not self._interactive:
            raise ClusterError(f"the program {self._command[0]} of the kubeconfig needs a terminal to get credentials")
        spec: dict[str, Any] = {"interactive": self._interactive}
        if settings.get("provideClusterInfo"):
            spec["cluster"] = {key: value for key, value in cluster.items() if key != "extensions"}
        self._info = json.dumps({"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}, default=str)

    def token(self, refused: str | None) -> str | None:
        is_over = self._expires is not None and self._expires - _EARLY < datetime.now(timezone.utc)
        # Another thread may have a new token already.
        if not self._asked or is_over or (refused is not None and refused == self._token):
            self._ask()
        return self._token

    def _ask(self) -> None:
        try:
            found = json.loads(
                _run(self._command, {**self._env, "KUBERNETES_EXEC_INFO": self._info}, self._interactive)
            )
            status = found["status"]
            token, certificate = status.get("token"), status.get("clientCertificateData")
            expires = status.get("expirationTimestamp")
            self._expires = time_of(str(expires)) if expires else None
            if certificate:
                with ExitStack() as files:
                    texts = (certificate, status["clientKeyData"])
                    self._tls.load_cert_chain(*(_temporary(str(each).encode(), files) for each in texts))
        except (*SHAPE, OSError):
            # What the program has written may be a secret.
            raise ClusterError(f"the program {self._command[0]} of the kubeconfig has written no credentials") from None
        if not isinstance(token, str) and not certificate:
            raise ClusterError(f"the program {self._command[0]} of the kubeconfig has written no credentials")
        self._token, self._asked = token, True


def _run(command: Sequence[str], env: Mapping[str, str], interactive: bool) -> str:
    """The output of a program that gets credentials. You see its messages if it may ask you to log in."""
    seconds = _LOGIN_SECONDS if interactive else _PLUGIN_SECONDS
    _LOG.debug("starts %s, which gets the credentials of the kubeconfig", Path(command[0]).name)
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, **env},
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        text = f"the program {command[0]} of the kubeconfig has not written credentials within {seconds} s"
        raise Unreachable(text) from None
    except OSError as error:
        text = f"cannot run {command[0]}, which gets the credentials of the kubeconfig: {error.strerror}; install it"
        raise ClusterError(text) from None
    if ended.returncode:
        said = last_error((ended.stderr or b"").decode(errors="replace"))
        raise Unreachable(
            f"the program {command[0]} of the kubeconfig failed with exit code {ended.returncode}"
            f"{f': {said}' if said else ''}; log in again, or set --context"
        )
    return ended.stdout.decode(errors="replace")
