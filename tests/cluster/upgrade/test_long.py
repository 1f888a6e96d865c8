"""Upgrades an old release to the newest one with many relationships, and tries the rollback of every step.

The planner also stops at v1.36.2, because some servers before it do not answer the form of LookupResources that newer
servers send each other. The cluster may have no image of v1.36.2. The clients here do not look up resources, so the
step to v1.37.1, which has the same revision, is direct.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

from attrs import frozen

from cdk8s_spicedb import PostgreSQL, SpiceDBProps, plan_upgrade
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, on_postgres
from tests.lab.relationships import alice_reads, document, load_postgres, loaded_postgres

_COUNT = 100_000
_RELEASES = ("v1.30.0", "v1.37.1", OLD, NEW)
_SECONDS_OF_A_FAILURE = 12
"""How long servers that do not become ready are watched. Others become ready in less than half of this time."""


@frozen
class _Step:
    """A step to a release, and what the plan says of it."""

    props: SpiceDBProps
    revision: str | None
    rolls_back: bool
    writes: bool
    """Whether clients also write. Before v1.50.0, a check with the token of a write sometimes misses that write, if
    others ran at the same time, also without an upgrade (authzed/spicedb#2958)."""


def _steps() -> Iterator[_Step]:
    for before, after in pairwise(_RELEASES):
        planned = plan_upgrade(PostgreSQL, before, after).steps
        last = planned[-1]
        rolls_back = all(step.rolls_back for step in planned)
        yield _Step(on_postgres(before).at(last), last.revision, rolls_back, writes=before == OLD)


def test_plan_has_the_releases_of_this_test() -> None:
    versions = [step.version for step in plan_upgrade(PostgreSQL, _RELEASES[0], NEW).steps]
    assert versions == ["v1.36.2", "v1.37.1", NEW]
    assert [step.rolls_back for step in _steps()] == [False, False, True]


def test_steps_and_rollbacks_do_what_the_plan_says(helm: Helm, namespace: Namespace, postgres: None) -> None:
    installed = helm.install(on_postgres(_RELEASES[0]))
    assert installed.ok, installed.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        load_postgres(namespace, _COUNT)
        _has_the_relationships(client, namespace)
        for step in _steps():
            before = helm.history()[-1]["revision"]
            _upgrade(helm, namespace, address, step)
            _has_the_relationships(client, namespace)
            _roll_back(helm, namespace, address, step, before)
            _has_the_relationships(client, namespace)
            _upgrade(helm, namespace, address, step)


def _upgrade(helm: Helm, namespace: Namespace, address: str, step: _Step) -> None:
    """Takes a step under load, also again after its rollback."""
    with Load(f"to {step.props.version}", address, KEY, writes=step.writes) as load:
        upgraded = helm.upgrade(step.props)
    assert upgraded.ok, upgraded.output
    assert load.succeeded()
    assert namespace.versions() == {step.props.version}
    assert postgres_revision(namespace) == step.revision


def _roll_back(helm: Helm, namespace: Namespace, address: str, step: _Step, revision: int) -> None:
    """Rolls a step back under load. If the plan says so, the older servers do not become ready, and the newer serve."""
    version = step.props.version
    with Load(f"back from {version}", address, KEY, writes=step.writes) as load:
        back = helm.rollback(revision, timeout=60 if step.rolls_back else _SECONDS_OF_A_FAILURE)
        ready, started = namespace.versions(ready=True), namespace.versions()
    print(f"back from {version}: {back.seconds:.1f} s, started {sorted(started)}, ready {sorted(ready)}")
    assert load.succeeded()
    assert back.ok is step.rolls_back, back.output
    assert len(started) == (1 if step.rolls_back else 2)
    assert (ready == {version}) is not step.rolls_back


def _has_the_relationships(client: Client, namespace: Namespace) -> None:
    """Counts the relationships, and checks some of them."""
    assert loaded_postgres(namespace) == _COUNT
    numbers = [random.randrange(_COUNT) // scale * scale for scale in (1, 100) for _ in range(10)]
    answers = {number: client.check(document(number)) for number in numbers}
    assert answers == {number: alice_reads(number) for number in numbers}
