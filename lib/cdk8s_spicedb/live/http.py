"""Requests to an API server: their limits of time and size, and which of them are repeated."""

from __future__ import annotations

import logging
import random
import re
import textwrap
from collections.abc import Callable, Mapping
from json import loads
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx2
from attrs import field, frozen

from .apierror import SHAPE, ClusterError, Unreachable, error_of
from .poll import CLOCK, Clock, Deadline
from .text import redacted

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
READ_SECONDS, WRITE_SECONDS = 10.0, 35.0
"""Time for one request. Admission webhooks may take 30 s of one that writes."""
MOST_BYTES = 256 << 20
"""Longest answer."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _LONGEST_RETRY_AFTER = 0.2, 2.0, 30.0


@frozen
class Answer:
    """An answer of an API server."""

    content: bytes
    date: str = ""
    """When it was sent, by the server's clock, as HTTP writes it. Empty if the server does not say so."""


@frozen
class Api:
    """An API server, and how long to be patient with it."""

    client: httpx2.Client = field(repr=False)
    patience_seconds: float
    clock: Clock
    most_seconds: float

    def odd(self, what: str) -> Unreachable:
        return Unreachable(f"the answer of {self.client.base_url} is not {what}: a proxy may have answered")

    def _refusal(self, response: httpx2.Response, content: bytes) -> str:
        """The message of an error response. If it is not from Kubernetes, it also names the server."""
        try:
            text = _brief(str(loads(content)["message"]))
        except SHAPE:
            text = _brief(content[:4096].decode(errors="replace"))
            found = f"HTTP status {response.status_code}{f': {text}' if text else ''}"
            return f"{found} (from {self.client.base_url})"
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            return f"the API server at {self.client.base_url} does not accept your credentials: {text}"
        return text

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer as an object. What is null in it is left out, as Kubernetes means it."""

        def decoded(answer: Answer) -> dict[str, Any]:
            try:
                found = loads(answer.content, object_pairs_hook=_without_null)
            except SHAPE:
                found = None
            if not isinstance(found, dict):
                raise self.odd(f"a JSON object ({method} {path})")
            return found

        return self.request(method, path, decoded, **options)

    def request(self, method: str, path: str, decode: Callable[[Answer], T], **options: Any) -> T:
        """The answer to a request, decoded. Repeats it while the API server is away, for as long as the patience lasts.

        A request that creates is only repeated if the API server has not seen it.
        """
        options["params"] = {name: value for name, value in options.get("params", {}).items() if value}
        repeats = options.pop("repeats", method != "POST")
        deadline, pause = Deadline.after(self.clock, self.patience_seconds), _FIRST_PAUSE_SECONDS
        while True:
            try:
                return decode(self._attempt(method, path, **options))
            except ClusterError as error:
                wait = _retry_after(error, pause, repeats=repeats)
                if wait is None or deadline.left < wait:
                    raise
            # Many clients that wait for the same server must not come back at the same moment.
            self.clock.sleep(min(wait * random.uniform(1, 1.2), deadline.left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _attempt(self, method: str, path: str, *, most: int = MOST_BYTES, cut: bool = False, **options: Any) -> Answer:
        """One request. An answer of more than ``most`` bytes is cut, or an error."""
        seconds = min(self.most_seconds, READ_SECONDS if method == "GET" else WRITE_SECONDS)
        # By the clock of the machine, because it is about the network.
        deadline, content = Deadline.after(CLOCK, seconds), bytearray()
        if _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("%s %s", method, redacted(_shown(str(self.client.base_url), path, options["params"])))
        try:
            with self.client.stream(method, path, timeout=seconds, **options) as response:
                for part in response.iter_bytes():
                    content += part
                    if len(content) > most or not deadline.left:
                        break
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            seen = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            text = f"cannot reach the API server at {self.client.base_url}: {_text(error)}"
            raise Unreachable(text, seen=seen) from None
        if response.is_success and len(content) <= most and not deadline.left:
            raise Unreachable(f"the API server at {self.client.base_url} took more than {seconds:.0f} s", seen=True)
        if len(content) > most and not cut:
            raise ClusterError(f"the answer to {method} {path} has more than {most >> 20} MiB")
        if response.is_redirect:
            raise self.odd(f"that of an API server: it is a redirect ({response.status_code})")
        if not response.is_success:
            refused = error_of(response.status_code, self._refusal(response, bytes(content)))
            refused.retry_after = _seconds(response.headers.get("Retry-After"))
            raise refused
        return Answer(bytes(content[:most]), response.headers.get("Date", ""))


_LONGEST_MESSAGE = 300


def _shown(server: str, path: str, params: Mapping[str, str]) -> str:
    return f"{server.rstrip('/')}{path}{'?' if params else ''}{urlencode(params)}"


def _without_null(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}


_BUSY = (httpx2.codes.TOO_MANY_REQUESTS,)
_AWAY = (httpx2.codes.BAD_GATEWAY, httpx2.codes.SERVICE_UNAVAILABLE, httpx2.codes.GATEWAY_TIMEOUT)
_OF_ETCD = re.compile("etcdserver|leader changed|request timed out|too many requests|connection refused")
"""What the API server says with status 500 while its database is away for a moment."""


def _retry_after(error: ClusterError, pause: float, *, repeats: bool) -> float | None:
    """The seconds after which a request that failed is repeated. None: it is not."""
    if error.status in _BUSY:  # The API server has not begun with it.
        return min(max(error.retry_after or 0, pause), _LONGEST_RETRY_AFTER)
    away = isinstance(error, Unreachable) or error.status in _AWAY
    away = away or (error.status == httpx2.codes.INTERNAL_SERVER_ERROR and bool(_OF_ETCD.search(str(error))))
    unseen = isinstance(error, Unreachable) and not error.seen
    if not away or not (repeats or unseen):
        return None
    return min(max(error.retry_after or 0, pause), _LONGEST_RETRY_AFTER)


def _seconds(text: str | None) -> float | None:
    """The seconds in a header ``Retry-After``. None without one, or if it is a date, which no API server sends."""
    return float(text) if text and text.isdecimal() and len(text) < 6 else None


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _brief(text: str) -> str:
    """A text in one line of at most 300 characters."""
    return textwrap.shorten(text, _LONGEST_MESSAGE, placeholder=" …")
