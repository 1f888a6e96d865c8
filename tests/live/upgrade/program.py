"""A cluster, and a deliverer that applies everything in it at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any, ClassVar

import attrs
import pytest
from attrs import define, field

from cdk8s_spicedb import SpiceDBProps
from cdk8s_spicedb.live import Outcome, State, UpgradeOptions, UpgradeStoppedError, upgrade
from cdk8s_spicedb.live.cluster import Cluster, Kind
from cdk8s_spicedb.live.instance import Applier
from cdk8s_spicedb.live.record import Record, read_record
from cdk8s_spicedb.live.upgrade.deliver import Deliverer
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.apiserver import ApiServer
from tests.live.clock import FakeClock
from tests.live.installed import deploy, helm_revision, props

PREPARE, UPGRADE, ROLLBACK = (
    import_module(f"cdk8s_spicedb.live.upgrade.{name}") for name in ("prepare", "upgrade", "rollback")
)
OLD, NEW = "v1.52.0", "v1.56.0"


class Killed(BaseException):
    """The process is killed."""


@define
class World:
    """A cluster with SpiceDB, what its deliverer was told, and what goes wrong."""

    api: ApiServer = field(factory=ApiServer)
    clock: FakeClock = field(factory=FakeClock)
    calls: list[str] = field(factory=list)
    fails: dict[str, BaseException | type[BaseException]] = field(factory=dict)
    """What a call raises, by its name."""
    acts: dict[str, Callable[[Deliverer], None]] = field(factory=dict)
    """What a call also does, by its name."""
    history: dict[str, SpiceDBProps] = field(factory=dict)
    """What each revision of the release has applied."""
    label: str | None = None
    """The label of the newest revision."""
    uid: str | None = None
    """The UID that the program sees, if it sees another cluster."""

    def call(self, name: str, deliverer: Deliverer | None = None) -> None:
        self.calls.append(name)
        if deliverer is not None and name in self.acts:
            self.acts[name](deliverer)
        if name in self.fails:
            raise self.fails[name]

    def deploy(self, settings: SpiceDBProps) -> None:
        deploy(self.api, settings)
        self.history[str(len(self.history) + 1)] = settings
        helm_revision(self.api, len(self.history))

    def cluster(self) -> Cluster:
        return self.api.cluster(clock=self.clock)


class Program(Deliverer):
    """The deliverer of a `World`."""

    world: ClassVar[World]

    def found_uid(self, kind: Kind, name: str) -> str | None:
        return self.world.uid or str(self.world.api.get(f"{kind.kind.lower()}s", name)["metadata"]["uid"])

    def revision(self) -> str:
        return str(len(self.world.history))

    def revisions_kept(self) -> Collection[str]:
        return [*self.world.history]

    def earlier(self) -> tuple[str, str | None] | None:
        number = str(len(self.world.history) - 1)
        return (number, self.world.history[number].version) if number in self.world.history else None

    def recover(self) -> None:
        self.world.call("recover", self)

    def apply(self, settings: SpiceDBProps, label: str, number: int) -> None:
        self.world.call(f"apply {number}", self)
        self.world.deploy(settings)
        self.world.label = label
        self.world.call(f"applied {number}", self)

    def is_applied(self, label: str) -> bool:
        return self.world.label == label

    def roll_back(self, revision: str) -> None:
        self.world.call(f"roll back to {revision}", self)
        self.world.deploy(self.world.history[revision])
        if f"rolled back to {revision}" in self.world.acts:
            self.world.acts[f"rolled back to {revision}"](self)

    def test(self) -> None:
        self.world.call("test", self)

    def roll_back_command(self, revision: str) -> str:
        return f"roll back to {revision}"


def deliver_with(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Lets upgrades and rollbacks of Helm releases go through the `Program` of a world."""

    class OfWorld(Program):
        pass

    def write_again(_: object, settings: SpiceDBProps, __: object) -> None:
        world.call(f"schema in {settings.server.schema_mode}")

    OfWorld.world = world
    monkeypatch.setitem(PREPARE._DELIVERERS, Applier.HELM, OfWorld)
    for module in (UPGRADE, ROLLBACK):
        monkeypatch.setattr(module, "write_schema_again", write_again)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A cluster in which SpiceDB runs."""
    made = World()
    deliver_with(monkeypatch, made)
    made.deploy(props(OLD))
    return made


MODES = list(SCHEMA_MODES)
QUICK = UpgradeOptions(observe_seconds=0, check=None)


def wanted(mode: Any = MODES[-1], **fields: Any) -> SpiceDBProps:
    """The target, with a schema mode."""
    settings = props(NEW, **fields)
    return attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode=mode))


def run(world: World, settings: SpiceDBProps, options: UpgradeOptions = QUICK, **more: Any) -> Outcome:
    """Upgrades the SpiceDB of a world."""
    return upgrade(world.cluster(), settings, options=options, **more)


def record_of(world: World) -> Record:
    """The record in the cluster."""
    found = read_record(world.cluster(), "spicedb")
    assert found is not None
    return found


def done(outcome: Outcome) -> Record:
    """The record of an upgrade that has reached its target."""
    assert (outcome.state, outcome.reason) == (State.DONE, "")
    assert outcome.record is not None
    return outcome.record


def stopped(outcome: Outcome, state: State = State.STOPPED) -> UpgradeStoppedError:
    """The error of an upgrade that stopped in a step."""
    assert outcome.state is state
    assert isinstance(outcome.error, UpgradeStoppedError)
    assert outcome.error.rolled_back is (state is State.ROLLED_BACK)
    return outcome.error
