"""Refusals in Kubernetes' words: for the fake API server."""

from __future__ import annotations

from typing import Any

import httpx2

from .apikinds import Resource

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A refusal, as Kubernetes words it."""

    def __init__(self, status: int, message: str, reason: str = "", **details: Any) -> None:
        self.status, self.message, self.reason, self.details = status, message, reason, details
        super().__init__(message)

    @property
    def response(self) -> httpx2.Response:
        return refusal(self.status, self.message, self.reason, **self.details)


def refusal(status: int, message: str, reason: str = "", **details: Any) -> httpx2.Response:
    """The answer to a request that fails."""
    content = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or REASONS.get(status, ""),
        "code": status,
        **({"details": details} if details else {}),
    }
    return httpx2.Response(status, json=content)


def not_found(kind: Resource, name: str) -> ApiError:
    return ApiError(404, f'{kind.title} "{name}" not found', name=name, kind=kind.plural, group=kind.group)


def conflict(kind: Resource, name: str, text: str) -> ApiError:
    return ApiError(409, f'Operation cannot be fulfilled on {kind.title} "{name}": {text}')


def invalid(kind: Resource, name: str, text: str) -> ApiError:
    of = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return ApiError(422, f'{of} "{name}" is invalid: {text}')
