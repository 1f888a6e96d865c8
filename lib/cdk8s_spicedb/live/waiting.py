"""Waits for an instance: each tick is one observation, judged by `workload`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ..errors import SpiceDBError
from ..plans.words import step_of
from .apierror import reads
from .cluster import Cluster
from .instance import Observed, Running
from .observe import observe
from .poll import poll
from .record import read_record
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

    The step of an upgrade that has begun must be in place, also if a commit applies it. Returns at once if waiting does
    not help: the roll-out is stuck, or it waits for a migration that failed.
    """

    def judge(seen: Observed) -> tuple[str | None, bool]:
        reason, final = unsafe(seen)
        return (reason, final) if reason else (_step(cluster, seen), False)

    return wait_until(cluster, name, judge, seconds, notify)


def _step(cluster: Cluster, seen: Observed) -> str | None:
    """Why the step of an upgrade that has begun is not in place. None: it is, or that is not known."""
    record = None
    with suppress(SpiceDBError):  # Without a right to read it, only the servers are known.
        record = read_record(cluster, seen.name)
    if record is None or record.running is None or record.stopped is not None or seen.running is None:
        return None
    waits = record.awaits(seen.running)
    return f"{step_of(record.running, len(record.plan.steps))} is not applied yet: {waits}" if waits else None


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
