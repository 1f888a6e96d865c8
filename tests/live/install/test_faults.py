"""Faults at the calls of an install and of an uninstall, which then run again and come to their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from cdk8s_spicedb import Delivery
from cdk8s_spicedb.live import Outcome, State
from tests.apiserver import CHANGES, ApiServer
from tests.live.installed import running_in
from tests.live.upgrade.faults import Call, Cell, kinds_of
from tests.live.upgrade.helmprogram import Killed

from .place import NAME, STAYS, Place, done

DELIVERIES = (Delivery.HELM, Delivery.KUBECTL)
_SOME = (("reset after", False), ("403", False), ("503", True), ("killed after", False))
_SOME_OF_PROGRAMS = (
    *(("killed halfway", False), ("fails after it has done everything", False), ("refused", True)),
    *(("killed at once", False), ("killed before", False), ("killed after", False), ("interrupted after", False)),
)


@cache
def _installed(delivery: Delivery) -> ApiServer:
    place = Place(delivery)
    done(place.install())
    return place.api


def _place(delivery: Delivery, *, installed: bool) -> Place:
    return Place(delivery, _installed(delivery).copied()) if installed else Place(delivery)


def _act(place: Place, *, installed: bool) -> Outcome:
    return place.uninstall() if installed else place.install()


@cache
def _calls(delivery: Delivery, installed: bool) -> Sequence[Call]:
    place = _place(delivery, installed=installed)
    done(_act(place, installed=installed))
    return [*place.process.calls]


def _cells(delivery: Delivery, installed: bool) -> Iterator[Cell]:
    """Some faults at each change, and all of them at each program."""
    number = 0
    for call in _calls(delivery, installed):
        if call.where == "program":
            yield from (Cell(call, kind, forever) for kind, forever in _SOME_OF_PROGRAMS)
        elif call.where == "api" and call.what.split()[0] in CHANGES:
            number += 1
            yield Cell(call, *_SOME[number % len(_SOME)])


def _wrong(delivery: Delivery, cell: Cell, *, installed: bool) -> Iterator[str]:
    """What does not hold when a run has a fault, and when the next one has none."""
    place = _place(delivery, installed=installed)
    before = _state(place)
    place.begin(cell)
    state = None
    try:
        state = _act(place, installed=installed).state
    except Killed:
        if not cell.kills:
            yield "Killed was raised"
    if state is State.REFUSED and _state(place) != before:
        yield f"refused, but {set(_state(place)) ^ set(before)} changed"
    place.begin()
    again = _act(place, installed=installed)
    # It had come to its end.
    over = "there is no SpiceDB" if installed else "exists already"
    if again.state is not State.DONE and over not in again.reason:
        yield f"{state}, then {again.state}: {again.reason}"
    if installed and place.left() != STAYS:
        yield f"left: {place.left()}"
    if not installed and (running_in(place.api).version, place.api.of("leases")) != ("v1.56.0", []):
        yield "the servers are not those of the file, or the lock is left"
    if place.api.has("configmaps", f"{NAME}-upgrade") is installed:
        yield "the note is not as it should be"


def _state(place: Place) -> list[str]:
    return [each for each in place.left() if "Lease" not in each]


@pytest.mark.parametrize("installed", [False, True], ids=["install", "uninstall"])
@pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda each: each.value)
def test_some_faults_at_each_change(delivery: Delivery, installed: bool) -> None:
    cells = [*_cells(delivery, installed)]
    assert len(cells) > 15
    _require_none(cells, delivery, installed=installed)


@pytest.mark.matrix
@pytest.mark.parametrize("installed", [False, True], ids=["install", "uninstall"])
@pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda each: each.value)
def test_every_fault_at_every_call(delivery: Delivery, installed: bool) -> None:
    helm = delivery is Delivery.HELM
    cells = [
        cell
        for call in _calls(delivery, installed)
        for cell in kinds_of(call, helm=helm)
        # Somebody else's Helm goes on, and an API server that hides objects is not Kubernetes.
        if cell.kind not in ("another operation", "404")
    ]
    _require_none(cells, delivery, installed=installed)


def _require_none(cells: Sequence[Cell], delivery: Delivery, *, installed: bool) -> None:
    wrong = [f"{cell}: {each}" for cell in cells for each in _wrong(delivery, cell, installed=installed)]
    assert not wrong, f"{len(wrong)} do not hold:\n" + "\n".join(wrong[:40])
