"""Errors of requests to Kubernetes, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..errors import SpiceDBError
from .text import redacted

P = ParamSpec("P")
R = TypeVar("R")


class ClusterError(SpiceDBError):
    """A request to Kubernetes failed. ``status`` is the HTTP status; None if there was no answer."""

    retry_after: float | None = None
    """Seconds after which the API server wants to be asked again. None: it has not said so."""

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        # An answer such as 409 or 422 is about the request itself.
        self.unanswered = status is None or status in (401, 403, 408, 429) or status >= 500
        super().__init__(redacted(text))


class NotFound(ClusterError):  # noqa: N818 (the names of these say what Kubernetes answered)
    """The cluster has no such object, or no such kind of object."""


class Forbidden(ClusterError):  # noqa: N818
    """You have no right to the request, or an admission policy refuses it."""


class Conflict(ClusterError):  # noqa: N818
    """The object exists already, or somebody changed it since it was read."""


class Unreachable(ClusterError):  # noqa: N818
    """The API server did not answer, or what answered was not the API server.

    ``seen`` is False if the request has certainly not reached it.
    """

    def __init__(self, text: str, status: int | None = None, *, seen: bool = True) -> None:
        self.seen = seen
        super().__init__(text, status)


class OddAnswer(ClusterError):  # noqa: N818
    """An object in the answer of the API server is not as Kubernetes describes it."""


_BY_STATUS: Mapping[int, type[ClusterError]] = {404: NotFound, 403: Forbidden, 409: Conflict}


def error_of(status: int, text: str) -> ClusterError:
    """The error for an HTTP status."""
    return _BY_STATUS.get(status, ClusterError)(text, status)


def leave(act: Callable[[], object]) -> None:
    """Does what is done last, and must not be left out: once more if it fails, or if somebody interrupts it. Its error
    hides no result."""
    interrupted: KeyboardInterrupt | None = None
    for _ in range(2):
        try:
            act()
            break
        except Exception:
            continue
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


SHAPE = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
"""What Python raises for a value that has another shape than expected."""


def odd(error: Exception, what: str) -> OddAnswer:
    """The error for an object of another shape than Kubernetes describes."""
    return OddAnswer(f"cannot read {what}: it is not as Kubernetes describes it ({type(error).__name__}: {error})")


def reads(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function raise `OddAnswer` when an object has another shape than Kubernetes describes.

    ``what`` says what the function reads.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def read(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return function(*args, **kwargs)
            except SpiceDBError:
                raise
            except SHAPE as error:
                raise odd(error, what) from error

        return read

    return decorate
