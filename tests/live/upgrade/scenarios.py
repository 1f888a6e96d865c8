"""Upgrades and rollbacks for the matrix of faults: how each begins, where it leads, and what must hold in the end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import attrs
import pytest
from attrs import define, frozen

from cdk8s_spicedb import Delivery, PermissionTest, SpiceDBProps
from cdk8s_spicedb.helm import write_helm_chart
from cdk8s_spicedb.live import CheckOptions, Outcome, State, UpgradeOptions, poll, roll_back, upgrade
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.programs import Ended
from cdk8s_spicedb.live.upgrade import helm, kubectl
from cdk8s_spicedb.live.upgrade.prepare import Prepared
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import NAMESPACE, ApiServer, Object
from tests.controllers import run_controllers
from tests.live.clock import FakeClock
from tests.live.installed import deploy, props, secret
from tests.live.kubectl import Kubectl

from .faults import Call, Cell, Faulty, kinds_of
from .helmprogram import RENDERED, Helm, Killed

NAME, RELEASE = "spicedb", "release"
OLD, NEW = "v1.54.0", "v1.56.0"
FIRST, SECOND = "read-legacy-write-both", "read-new-write-both"
_OPTIONS = UpgradeOptions(observe_seconds=2, check=None)
_CHECKS = UpgradeOptions(check=CheckOptions(database=False, schema=False))
_API_SECONDS, _HELM_SECONDS = 20 * 60, 3 * 3600
_MEANING = Prepared.meaning
_READ = json.dumps({"schemaText": "definition user {}"}, indent=2)
_TEST = PermissionTest(resource="document", permission="read", subject="user")


class Servers(NamedTuple):
    """What the servers run."""

    version: str
    mode: str


BEFORE, BETWEEN, AFTER = Servers(OLD, FIRST), Servers(NEW, FIRST), Servers(NEW, SECOND)


@frozen
class Scenario:
    """An upgrade or a rollback."""

    name: str
    delivery: Delivery
    before: Servers
    """What runs."""
    target: Servers
    """What the file says, or what the rollback returns to."""
    upgraded: bool = False
    """Whether an upgrade to what runs is done, which is rolled back."""
    fails: bool = False
    """Whether the first step fails."""
    asks: bool = False
    """Whether it checks, says what the next step means, and ends with that. Others leave that out."""

    @property
    def helm(self) -> bool:
        return self.delivery is Delivery.HELM

    @property
    def usual(self) -> State:
        """What becomes of it without a fault."""
        return State.ROLLED_BACK if self.fails else State.REFUSED if self.asks else State.DONE

    def act(self, faulty: Faulty) -> Outcome:
        """Does it, as one process."""
        cluster, Running.asks = faulty.cluster(NAMESPACE), self.asks
        if self.upgraded:
            return roll_back(cluster, NAME)
        wanted = _props(self.target, self.delivery)
        if self.asks:
            return upgrade(cluster, wanted, options=_CHECKS, confirm=lambda _: False)
        return upgrade(cluster, wanted, options=_OPTIONS)

    def faulty(self, cell: Cell | None = None) -> Faulty:
        """A cluster before it begins, and a process that has the fault."""
        api, clock = _begun(self).copied(), BlockedClock()
        made = Faulty(api, _program(self, api), clock, cell)
        clock.on_sleep = made.sleeps
        return made


class BlockedClock(FakeClock):
    """A clock with which the thread that renews the lock only waits for its end, so that each run is the same."""

    def wait(self, event: Any, _: float) -> bool:
        return bool(event.wait())


SCENARIOS = (
    Scenario("upgrade with Helm", Delivery.HELM, BEFORE, AFTER),
    Scenario("question before an upgrade", Delivery.HELM, BEFORE, AFTER, asks=True),
    Scenario("upgrade with kubectl", Delivery.KUBECTL, BEFORE, AFTER),
    Scenario("rollback with Helm", Delivery.HELM, BETWEEN, BEFORE, upgraded=True),
    Scenario("rollback with kubectl", Delivery.KUBECTL, BETWEEN, BEFORE, upgraded=True),
    Scenario("failing upgrade with Helm", Delivery.HELM, BEFORE, BETWEEN, fails=True),
)


FAILING_KUBECTL = Scenario("failing upgrade with kubectl", Delivery.KUBECTL, BEFORE, BETWEEN, fails=True)
"""It only differs from that with Helm in the program."""


def _props(servers: Servers, delivery: Delivery) -> SpiceDBProps:
    mode: Any = servers.mode
    made = props(servers.version, delivery=delivery, test=_TEST if delivery is Delivery.HELM else None)
    return attrs.evolve(made, server=attrs.evolve(made.server, schema_mode=mode))


@define
class FailingKubectl(Kubectl):
    """Applies the servers of a step, and then fails."""

    def run(self, command: Sequence[str], _: Cluster, **options: object) -> Ended:
        ended = super().run(command, _, **options)
        fails = command[1] == "apply" and servers_of(self.api).version == NEW
        return Ended(False, "", "Error from server (Forbidden): exceeded quota") if fails else ended


def _program(scenario: Scenario, api: ApiServer) -> Helm | Kubectl:
    run_controllers(api, log=lambda _: _READ)
    if scenario.helm:
        return Helm(api, lambda version: scenario.fails and version == NEW)
    return FailingKubectl(api) if scenario.fails else Kubectl(api)


@cache
def _begun(scenario: Scenario) -> ApiServer:
    """The cluster before it begins. Another Helm release is in the namespace."""
    api = ApiServer()
    api.pages["*"] = ""
    secret(api, "spicedb", {"preshared-key": "key", "datastore-uri": "postgresql://u:hidden@h/d"})
    first = BEFORE if scenario.upgraded else scenario.before
    settings = _props(first, scenario.delivery)
    deploy(api, settings, helm=scenario.helm)
    if scenario.helm:
        Helm(api).install(RELEASE, release_manifests(settings), first.version)
        Helm(api).install("other", [], "v1")
        Helm(api).begins("other")
    if scenario.upgraded:
        process = Running.process = Faulty(api, _program(scenario, api), BlockedClock())
        done = upgrade(process.cluster(NAMESPACE), _props(scenario.before, scenario.delivery), options=_OPTIONS)
        assert done.state is State.DONE, done.reason
    return api


class OneByOne:
    """Takes the place of a pool of threads: calls one function after the other, so that each run is the same."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """The results. Like a pool, it calls the function for all items before it raises the first error, and takes as
        long as the longest call."""
        results, errors = list[Any](), list[BaseException]()
        clock = Running.process.clock
        start = end = clock.seconds
        for each in items:
            clock.seconds = start
            try:
                results.append(function(each))
            except BaseException as error:
                errors.append(error)
            end = max(end, clock.seconds)
        clock.seconds = end
        if errors:
            raise errors[0]
        return results


class Running:
    """The process that runs."""

    process: ClassVar[Faulty]
    asks: ClassVar[bool] = False
    """Whether it says what the next step means."""


def _meaning(prepared: Prepared) -> tuple[str, ...]:
    return _MEANING(prepared) if Running.asks else ()


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the package run the programs of a `Faulty`, and write charts with their rendered objects."""
    charts: dict[str, str] = {}

    def write(folder: Path, settings: SpiceDBProps, *, version: str) -> None:
        key = f"{settings.version} {settings.server.schema_mode} {version}"
        if key not in charts:
            write_helm_chart(folder, settings, version=version)
            charts[key] = (folder / "Chart.yaml").read_text(encoding="utf-8")
        folder.mkdir(exist_ok=True)
        (folder / "Chart.yaml").write_text(charts[key], encoding="utf-8")
        (folder / RENDERED).write_text(json.dumps(release_manifests(settings), default=str), encoding="utf-8")

    monkeypatch.setattr(Prepared, "meaning", _meaning)
    monkeypatch.setattr(poll, "ThreadPoolExecutor", OneByOne)
    monkeypatch.setattr(helm, "write_helm_chart", write)
    for module in (helm, kubectl):
        monkeypatch.setattr(module, "run", lambda *args, **options: Running.process.run(*args, **options))


# ---------------------------------------------------------------- what must hold


def servers_of(api: ApiServer) -> Servers:
    """What the servers run, by their Deployment and their pods."""
    (container,) = api.get("deployments", NAME)["spec"]["template"]["spec"]["containers"]
    pods = [each for each in api.of("pods") if _component(each) == "server"]
    images = {each["image"] for pod in pods for each in pod["spec"]["containers"]}
    assert images == {container["image"]}, images
    (mode,) = (each.partition("=")[2] for each in container["args"] if "schema-mode=" in each)
    return Servers(container["image"].rpartition(":")[2], mode)


def _component(manifest: Object) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def record_of(api: ApiServer) -> Any:
    """The record, as JSON. None if there is none."""
    found = api.find("configmaps", f"{NAME}-upgrade")
    return json.loads(found["data"]["record.json"]) if found else None


def _revisions(api: ApiServer) -> dict[str, str]:
    """The revisions of all Helm releases, and their status."""
    found = ((each["metadata"]["name"], each["metadata"].get("labels") or {}) for each in api.of("secrets"))
    return {name: labels["status"] for name, labels in found if labels.get("owner") == "helm"}


def _left_behind(api: ApiServer) -> list[str]:
    """The lock, and what is left of the Jobs that exist for a moment."""
    found = [each for each in api.of("jobs") if not each["metadata"]["name"].startswith(f"{NAME}-migration")]
    found += [each for each in api.of("configmaps") if each["metadata"]["name"] != f"{NAME}-upgrade"]
    found += [each for each in api.of("pods") if _component(each) not in ("server", "migration", "cleanup")]
    found += api.of("leases")
    return [f"{each['kind']} {each['metadata']['name']}" for each in found]


_OTHER = "wait until it ends. If that Helm was killed, delete the Secret"
_BACK = "is rolled back: v1.54.0 runs, as before it"
"""What a message says when the same command is refused."""


@frozen
class Judged:
    """What became of a cell."""

    state: str
    """The state, and how the second run ended if there was one."""
    wrong: list[str]
    """What does not hold."""


def judged(scenario: Scenario, cell: Cell | None) -> Judged:
    """Runs a cell, and the same command once more if the target was not reached."""
    process = Running.process = scenario.faulty(cell)
    api = process.api
    first = _Snapshot(api)
    killed, state, wrong = cell is not None and cell.kills, "killed", list[str]()
    try:
        outcome = scenario.act(process)
    except Killed:
        wrong += [] if killed else ["Killed was raised"]
    except BaseException as error:
        return Judged("raised", [f"{type(error).__name__} was raised: {error}"])
    else:
        state = outcome.state.value
        wrong += _wrong(scenario, process, first, outcome)
    if killed and state != "killed":
        wrong.append(f"the process that was killed has an outcome: {state}")
    limit = _API_SECONDS if cell is None or cell.call.where != "program" else _HELM_SECONDS
    if process.clock.seconds > limit:
        wrong.append(f"it took {process.clock.seconds:.0f} s")
    if cell is not None and cell.kind == "warning" and state != scenario.usual.value:
        wrong.append("a warning matters")
    if not killed and not (cell is not None and cell.stays_away):
        wrong += [f"{each} is left" for each in _left_behind(api)]
    wrong += first.lost(process)
    if state != scenario.usual.value or scenario.fails:
        then, more = _again(scenario)
        state, wrong = state + then, [*wrong, *more]
        wrong += first.lost(process)
    return Judged(state, wrong)


class _Snapshot:
    """The cluster before a run."""

    def __init__(self, api: ApiServer) -> None:
        self.deployment = json.dumps(api.get("deployments", NAME)["spec"], sort_keys=True)
        self.revisions = _revisions(api)
        self.secrets = api.of("secrets")

    def lost(self, process: Faulty) -> list[str]:
        """The revisions of others that were deleted, although another one may have their name."""
        others = [*self.secrets, *([process.other] if process.other else [])]
        left = {each["metadata"]["uid"] for each in process.api.of("secrets")}
        return [f"{each['metadata']['name']} was deleted" for each in others if each["metadata"]["uid"] not in left]


def _wrong(scenario: Scenario, process: Faulty, first: _Snapshot, outcome: Outcome) -> Iterator[str]:
    api, record, state = process.api, record_of(process.api), outcome.state
    now, runs = servers_of(api), (record or {}).get("running")
    if not scenario.asks and (outcome.error is None) is not (state in (State.DONE, State.INTERRUPTED)):
        yield f"{state} with the error {outcome.error}"
    if state is State.DONE and scenario.upgraded and process.cell is not None and process.cell.hides_the_record:
        if now != scenario.target:
            yield f"done, but {now} runs"
    elif state is State.DONE:
        yield from _not_at(scenario, api, scenario.target)
    if state is State.ROLLED_BACK:
        last = record["sound"][-1]
        if now != (last["version"], last["schema_mode"]) or runs is not None:
            yield f"rolled back, but {now} runs, and the record is at step {last['step']} and runs {runs}"
    if state is State.REFUSED:
        deployment = json.dumps(api.get("deployments", NAME)["spec"], sort_keys=True)
        other = process.other["metadata"]["name"] if process.other else ""
        revisions = {key: value for key, value in _revisions(api).items() if key != other}
        if deployment != first.deployment or revisions != first.revisions or runs is not None:
            yield f"refused after {process.changes}, record runs {runs}: {outcome.reason}"


def _not_at(scenario: Scenario, api: ApiServer, wanted: Servers) -> Iterator[str]:
    """Why the servers and the record are not at the target."""
    record, now = record_of(api), servers_of(api)
    last = record["sound"][-1]
    if now != wanted:
        yield f"done, but {now} runs"
    if record["running"] is not None or (last["version"], last["schema_mode"]) != wanted:
        yield f"done, but the record says {last}, and runs {record['running']}"
    if not scenario.upgraded and last["step"] != len(record["plan"]["steps"]):
        yield f"done, but the record is at step {last['step']}"


_AGAIN: dict[tuple[str, str], tuple[str, list[str]]] = {}
"""What became of second runs. Many cells leave the cluster in the same state."""


def _again(scenario: Scenario) -> tuple[str, list[str]]:
    """Runs the same command again, without faults, until it says that the target is reached. Returns how that ended,
    and what does not hold."""
    key = scenario.name, _state_of(Running.process)
    if key not in _AGAIN:
        _AGAIN[key] = _second_run(scenario)
    return _AGAIN[key]


def _state_of(process: Faulty) -> str:
    """All of the cluster that a run depends on. Each run has other times, identities and random names."""
    api, record = process.api, record_of(process.api) or {}
    started = record.pop("started", "").replace(":", "")
    secrets = [(each["metadata"]["name"], each["metadata"].get("labels")) for each in api.of("secrets")]
    sets = [(each["metadata"]["name"], each["metadata"]["annotations"]) for each in api.of("replicasets")]
    jobs = [(each["metadata"]["name"], each["status"]) for each in api.of("jobs")]
    rest = [_left_behind(api), api.get("deployments", NAME)["spec"], process.other is not None]
    record.update(stopped=None, before=None)
    text = json.dumps([record, secrets, sets, jobs, rest], sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|-[a-z0-9]{5}\b", "", text)
    return re.sub(rf"{started}\.[0-9a-f]{{8}}" if started else "^", "", text)


def _second_run(scenario: Scenario) -> tuple[str, list[str]]:
    before = Running.process
    Running.process = process = before.healed()
    api, wrong = process.api, list[str]()
    if isinstance(process.program, Helm):
        process.program.fails = lambda _: False
    if before.other is not None:
        outcome = scenario.act(process)
        if outcome.state is not State.REFUSED or _OTHER not in outcome.reason:
            wrong.append(f"while another Helm works, the second run is {outcome.state}: {outcome.reason}")
        assert isinstance(process.program, Helm)
        process.program.ends(RELEASE)
    outcome = scenario.act(process)
    if scenario.asks and outcome.state is State.REFUSED:
        return "", wrong
    refused = scenario.upgraded and outcome.state is State.REFUSED and _BACK in outcome.reason
    if outcome.state is not State.DONE and not refused:
        wrong.append(f"the second run is {outcome.state}: {outcome.reason}")
        return f", then {outcome.state.value}", wrong
    wrong += [f"second run: {each}" for each in _not_at(scenario, api, scenario.target)]
    wrong += [f"after the second run, {each} is left" for each in _left_behind(api)]
    return f", then {'nothing to do' if refused else 'done'}", wrong


@cache
def calls_of(scenario: Scenario) -> Sequence[Call]:
    """The calls of a run without a fault."""
    process = Running.process = scenario.faulty()
    outcome = scenario.act(process)
    assert outcome.state is scenario.usual, outcome.reason
    return [*process.calls]


def cells_of(scenario: Scenario) -> list[Cell]:
    """All cells: each fault at each call."""
    return [cell for call in calls_of(scenario) for cell in kinds_of(call, helm=scenario.helm)]
