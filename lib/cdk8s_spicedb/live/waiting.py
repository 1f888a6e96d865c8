"""Waits for an instance: each tick is one observation, judged by `workload`."""

from __future__ import annotations

from collections.abc import Callable

from .apierror import reads
from .cluster import Cluster
from .instance import Observed, Running
from .observe import observe
from .poll import poll
from .workload import unsafe, unsettled

Judgement = Callable[[Observed], tuple[str | None, bool]]
"""Why to wait (None: there is no reason), and whether waiting does not help."""
Notify = Callable[[str], None]


def settled(cluster: Cluster, running: Running) -> str | None:
    """Why the roll-out of an instance is not done. None: it is done.

    It is done when all wanted servers are ready on the newest pod template, no older server drains, and the Service's
    EndpointSlices have exactly these servers.
    """
    return unsettled(observe(cluster, running.name, rollout=True))


def wait_until_settled(
    cluster: Cluster, running: Running, seconds: float, notify: Notify = lambda _: None
) -> str | None:
    """Waits until a roll-out is done. Returns why it is not done after ``seconds``, or None when it is."""
    return wait_until(cluster, running.name, lambda seen: (unsettled(seen), False), seconds, notify)


def wait_until_safe(cluster: Cluster, name: str, seconds: float, notify: Notify = lambda _: None) -> str | None:
    """Waits until the next change of an instance is safe. Returns why it is not after ``seconds``, or None when it is.

    Returns at once if waiting does not help: the roll-out is stuck, or it waits for a migration that failed.
    """
    return wait_until(cluster, name, unsafe, seconds, notify)


@reads("what runs")
def wait_until(cluster: Cluster, name: str, judge: Judgement, seconds: float, notify: Notify) -> str | None:
    """Observes until there is no reason left to wait. Returns the reason that is left after ``seconds``.

    ``notify`` gets each new reason.
    """
    last: str | None = None

    def ask() -> tuple[str | None, bool]:
        nonlocal last
        reason, final = judge(observe(cluster, name, rollout=True))
        if reason not in (None, last) and not final:
            notify(reason or "")
        last = reason
        return reason, final

    reason, _ = poll(ask, until=lambda answer: answer[0] is None or answer[1], seconds=seconds, clock=cluster.clock)
    return reason
