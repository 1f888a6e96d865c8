"""Requests side by side: there are many, and each one mostly waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_THREADS = 8


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results of a function for each item, in the order of the items. Raises the first error."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))
