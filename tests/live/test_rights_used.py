"""The rights that each command uses, beside those that the check demands and the documentation lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from cdk8s_spicedb import Delivery, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import State, UpgradeOptions, roll_back, upgrade
from cdk8s_spicedb.live.check.check import check
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.diff import diff
from cdk8s_spicedb.live.programs import Ended
from cdk8s_spicedb.live.status import status, statuses
from cdk8s_spicedb.live.upgrade import helm, kubectl
from tests.apiserver import Object, matches
from tests.controllers import run_controllers
from tests.live.clock import FakeClock
from tests.live.installed import NEW, OLD, deploy, helm_revision, installable, migration_job, props
from tests.live.kubectl import Kubectl
from tests.programs import ROOT

Right = tuple[str, str]
"""A verb and a resource."""
OBJECTS = "objects of the release"
"""The row of the documentation for all kinds of objects of a release that have no row of their own."""
DELIVERIES = (Delivery.HELM, Delivery.KUBECTL)
LAST_MODE = "read-new-write-new"
METRICS = 'grpc_server_handled_total{grpc_code="OK"} 1\n'
QUICK = UpgradeOptions(check=None, observe_seconds=2)


def wanted(delivery: Delivery, mode: Any = None) -> SpiceDBProps:
    settings = props(NEW)
    return attrs.evolve(settings, delivery=delivery, server=attrs.evolve(settings.server, schema_mode=mode))


class World:
    """A cluster with a release, in which Helm and kubectl work, Jobs end, and pods of the check do."""

    def __init__(self, delivery: Delivery, monkeypatch: pytest.MonkeyPatch, failure: str = "") -> None:
        self.api, self.by_helm = installable(), delivery is Delivery.HELM
        self.api.pages["*"] = METRICS
        self._history: list[SpiceDBProps] = []
        self._apply(props(OLD))
        # As if only the next release had one.
        self.api.remove("poddisruptionbudgets")
        schema = '{"schemaText": "definition user {}"}'
        run_controllers(self.api, fails=lambda _: failure, log=lambda _: schema)
        self.api.on(matches("create", "pods"), self._end)
        monkeypatch.setattr(helm, "run", self._run)
        monkeypatch.setattr(helm, "write_helm_chart", self._write)
        monkeypatch.setattr(kubectl, "run", Kubectl(self.api).run)

    def cluster(self) -> Cluster:
        return self.api.cluster(clock=FakeClock())

    def used(self, *commands: Callable[[], object]) -> set[Right]:
        """The rights that commands use."""
        self.api.used.clear()
        for command in commands:
            command()
        return {(verb, resource) for verb, resource, _ in self.api.used}

    def _write(self, _: Path, settings: SpiceDBProps, **__: object) -> None:
        self._chart = settings

    def _run(
        self, command: Sequence[str], _: object, *, seconds: float, watch: Callable[[], object] = lambda: None
    ) -> Ended:
        if command[1] == "template":
            return Ended(True, f'  uid: "{self.api.get("deployments", "spicedb")["metadata"]["uid"]}"\n')
        history = '[{"revision": 1, "description": "", "app_version": "v1.52.0"}]'
        if command[1] in ("upgrade", "rollback"):
            watch()
            self._apply(self._chart if command[1] == "upgrade" else self._history[int(command[3]) - 1])
        return Ended(True, {"get": "{}", "history": history}.get(command[1], ""))

    def _apply(self, settings: SpiceDBProps) -> None:
        deploy(self.api, settings, helm=self.by_helm)
        self._history.append(settings)
        if self.by_helm:
            helm_revision(self.api, len(self.api.of("secrets")))

    def _end(self, _: object, pod: Any) -> None:
        if pod:
            states = [
                {"name": each["name"], "state": {"terminated": {"exitCode": 0}}} for each in pod["spec"]["containers"]
            ]
            pod["status"] = {"phase": "Succeeded", "containerStatuses": states}
            self.api.logs[pod["metadata"]["name"]] = '{"fact":"done"}'


# ---------------------------------------------------------------- what is used


def of_status(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> set[Right]:
    world = World(delivery, monkeypatch)
    cluster = world.cluster()
    plain = world.used(lambda: status(cluster, "spicedb"), lambda: statuses(cluster))
    migration_job(world.api)
    more = world.used(lambda: status(cluster, "spicedb", drift=True, certificates=True))
    return plain | more


def of_diff(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> set[Right]:
    world = World(delivery, monkeypatch)
    return world.used(lambda: diff(world.cluster(), wanted(delivery)))


def of_check(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> set[Right]:
    world, settings = World(delivery, monkeypatch), wanted(delivery)
    used = world.used(lambda: check(world.cluster(), settings, pull_images=True))
    # The pod never ends.
    world.api.on(matches("create", "pods"), lambda _, pod: pod and pod.update(status={"phase": "Pending"}))
    used |= world.used(lambda: check(world.cluster(), settings))
    # Nodes are counted before an install.
    world.api.remove("pods")
    return used | world.used(lambda: check(world.cluster(), settings, database=False, schema=False))


def of_upgrade(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> set[Right]:
    world = World(delivery, monkeypatch)
    used = world.used(lambda: there_and_back(world, delivery))
    failing = World(delivery, monkeypatch, "BackoffLimitExceeded")
    migration_job(failing.api)
    return used | failing.used(lambda: upgrade(failing.cluster(), wanted(delivery), options=QUICK))


def there_and_back(world: World, delivery: Delivery, mode: Any = None) -> None:
    assert upgrade(world.cluster(), wanted(delivery, mode), options=QUICK).state is State.DONE
    assert roll_back(world.cluster(), "spicedb", props=wanted(delivery, mode)).state is State.DONE


COMMANDS = {
    "`status`": of_status,
    "`diff`": of_diff,
    "`check`": of_check,
    "`upgrade`, `rollback`": of_upgrade,
}


# ---------------------------------------------------------------- what is documented


@attrs.frozen
class Listed:
    """The rights of a column of a table: those that are needed, and all."""

    needed: set[Right]
    every: set[Right]


def tables() -> list[dict[str, Listed]]:
    """The tables of rights in the documentation, by their columns."""
    text, found = (ROOT / "docs" / "why" / "security.md").read_text(), []
    for table in re.findall(r"^\| Resource \|.*\n(?:\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        columns = {}
        for number, title in enumerate(head[1:], 1):
            cells = [(resource, row[number]) for row in rows for resource in row[0].replace("`", "").split(", ")]
            needed, every = (
                {(verb, resource) for resource, cell in cells for verb in re.findall("[a-z]+", cut(cell))}
                for cut in (lambda cell: re.sub(r"\(.*?\)", "", cell), str)
            )
            columns[title] = Listed(needed, every)
        found.append(columns)
    return found


OWN, OF_PROGRAMS = tables()
ROWS = {resource for listed in OWN.values() for _, resource in listed.every}


def folded(rights: set[Right]) -> set[Right]:
    """Rights with the name of the row of the documentation that has them."""
    return {(verb, resource if resource in ROWS else OBJECTS) for verb, resource in rights}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_table_lists_exactly_what_a_command_uses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used = set(chain.from_iterable(folded(COMMANDS[command](each, monkeypatch)) for each in DELIVERIES))
    listed = OWN[command].every
    of_objects = {verb for verb, resource in listed if resource == OBJECTS}
    assert listed - used == set(), "not used"
    # Deployments, Jobs and ConfigMaps are also objects of the release.
    more = {right for right in used - listed if right[1] not in ("deployments", "jobs", "configmaps")}
    assert more == set(), "not listed"
    assert {verb for verb, _ in used - listed} <= of_objects | {verb for verb, _ in of_programs(*DELIVERIES)}


def of_programs(*deliveries: Delivery) -> set[Right]:
    titles = {Delivery.HELM: "Helm", Delivery.KUBECTL: "kubectl"}
    return set(chain.from_iterable(OF_PROGRAMS[titles[each]].needed for each in deliveries))


ALONE: dict[str, Callable[[Cluster], object]] = {
    "`status`": lambda cluster: status(cluster, "spicedb", drift=True, certificates=True),
    "`diff`": lambda cluster: diff(cluster, wanted(Delivery.HELM)),
}


@pytest.mark.parametrize("command", ALONE)
def test_a_command_works_without_the_rights_in_parentheses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = OWN[command]
    for verb, resource in sorted(listed.every - {each for each in listed.every if each[1] == OBJECTS}):
        world = World(Delivery.HELM, monkeypatch)
        world.api.deny(resource, verb)
        if (verb, resource) in listed.needed:
            with pytest.raises(SpiceDBError, match="forbidden"):
                ALONE[command](world.cluster())
        else:
            ALONE[command](world.cluster())


# ---------------------------------------------------------------- what the check demands


def denied(world: World, settings: SpiceDBProps) -> list[Object]:
    """The rules that the check names if there are no rights at all. The user has them afterwards."""
    rules: list[Object] = []
    # Only with the right to see what runs, the check knows the steps.
    for _ in range(2):
        world.api.grant(*rules)
        findings = check(world.cluster(), settings, database=False, schema=False).findings
        fixes = [each.fix for each in findings if each.subject == "Rights" and "your Role" in each.fix]
        rules += [rule for fix in fixes for rule in yaml.safe_load(f"[{fix.partition(': ')[2]}]")]
    world.api.grant(*rules)
    return [rule for rule in rules if rule["resources"] != ["pods/proxy"]]


def rights(rules: Sequence[Object]) -> Iterator[Right]:
    for rule in rules:
        yield from ((verb, resource) for resource in rule["resources"] for verb in rule["verbs"])


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_check_demands_what_the_tables_list(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    world, settings = World(delivery, monkeypatch), wanted(delivery)
    demanded, listed = set(rights(denied(world, settings))), OWN["`upgrade`, `rollback`"].needed
    objects = {"deployments", "jobs", *(resource for _, resource in demanded if resource not in ROWS)}
    both = listed | of_programs(delivery)
    # Helm's Secrets are only listed if it is Helm that applies.
    both -= {("list", "secrets")} if delivery is Delivery.KUBECTL else set()
    assert demanded == {
        (verb, each) for verb, resource in both for each in (objects if resource == OBJECTS else [resource])
    }


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("mode", [None, LAST_MODE])
def test_the_rules_of_the_check_are_enough(delivery: Delivery, mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world, settings = World(delivery, monkeypatch), wanted(delivery, mode)
    rules = denied(world, settings)
    assert check(world.cluster(), settings, database=False, schema=False).ok
    there_and_back(world, delivery, mode)
    if mode is None:
        return
    # What is left out when nothing writes the schema.
    fewer = set(rights(denied(World(delivery, monkeypatch), wanted(delivery))))
    assert set(rights(rules)) - fewer == {("patch", "configmaps"), ("delete", "configmaps")}
