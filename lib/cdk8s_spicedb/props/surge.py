"""How many servers a roll-out adds."""

from __future__ import annotations

DEFAULT_SURGE = "50%"


def number_of(share: int | str, servers: int) -> int:
    """A number of servers. Kubernetes rounds a percentage up when it starts more."""
    return share if isinstance(share, int) else -(-int(share.rstrip("%")) * servers // 100)


def default_surge(servers: int, unavailable: int, allowed: int | None) -> int | str:
    """The maximum number of additional servers, if the database has connections for ``allowed`` servers."""
    if allowed is None or allowed >= 2 * servers:
        return DEFAULT_SURGE
    # A new server starts while an old one drains, so each one counts twice.
    return max((allowed - servers - unavailable) // 2, 1)
