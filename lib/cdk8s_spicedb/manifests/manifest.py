"""Kubernetes objects as plain values."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]


def omit_empty(fields: Manifest) -> Manifest:
    """The fields that are set: not None, and not an empty list or object."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
