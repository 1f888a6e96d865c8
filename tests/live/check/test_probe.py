"""What the program of a release says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cdk8s_spicedb import ServerProps, SpiceDBProps
from cdk8s_spicedb.live import Probe, probe
from tests.apiserver import Object, matches
from tests.live.clock import FakeClock
from tests.live.installed import deploy, installable, props

from .test_schema import ended, error

HELP = "Runs SpiceDB\n\nUsage:\n  spicedb serve [flags]\n\nFlags:\n  --log-level string\n"
VERSION = "v1.56.0"


class Program:
    """A SpiceDB in pods, which does not know some flags."""

    def __init__(
        self, *unknown: str, head: str = "populate-schema-tables", rejects: str = "", running: str = VERSION
    ) -> None:
        self.unknown, self.head, self.rejects = unknown, head, rejects
        self.api = installable()
        deploy(self.api, props(running), helm=False)
        self.commands: list[list[str]] = []
        self.api.on(matches("create", "pods"), lambda _, pod: self.run(pod))

    def run(self, pod: Object) -> None:
        container = pod["spec"]["containers"][0]
        command = [*container["command"], *container.get("args", ())]
        self.commands.append(command)
        code, log = self.answer(command)
        self.api.logs[pod["metadata"]["name"]] = log
        ended(pod, code)
        if code is None:
            pod["status"] = {"containerStatuses": [{"name": container["name"], "ready": True}]}

    def answer(self, command: Sequence[str]) -> Any:
        if "datastore-bootstrap-files" in " ".join(command):
            return (1, error(f"failed to load bootstrap file: {self.rejects}")) if self.rejects else (None, "")
        for word in command:
            name, _, value = word.partition("=")
            if name in self.unknown:
                return 1, f"unknown flag: {name}\n{HELP}"
            if value == "soon":
                return 1, f'invalid argument "soon" for "{name}" flag: time: invalid duration "soon"\n{HELP}'
        return 0, HELP if "--help" in command else f'{{"level":"warn","message":"x"}}\n{self.head}\n'

    def probe(self, settings: SpiceDBProps | None = None, schema: str | None = None) -> Probe:
        return probe(self.api.cluster(clock=self.clock()), settings or props(VERSION), schema)

    def clock(self) -> FakeClock:
        return FakeClock()


class SlowProgram(Program):
    """A SpiceDB that runs for a moment before it ends. Kubernetes calls a container without a probe ready meanwhile."""

    def __init__(self, *unknown: str) -> None:
        self.running: list[Object] = []
        super().__init__(*unknown)

    def run(self, pod: Object) -> None:
        pod["status"] = {"containerStatuses": [{"name": pod["spec"]["containers"][0]["name"], "ready": True}]}
        self.running.append(pod)

    def clock(self) -> FakeClock:
        return FakeClock(on_sleep=lambda _: self.end())

    def end(self) -> None:
        while self.running:
            super().run(self.running.pop())


def test_a_program_that_takes_everything() -> None:
    program = Program()
    found = program.probe(schema="definition user {}")
    assert found == Probe(version=VERSION, head="populate-schema-tables", wrong_flags=[], unknown=[])
    words = [command[:3] for command in program.commands]
    assert ["spicedb", "datastore", "head"] in words
    assert ["spicedb", "migrate", "head"] in words
    assert not [each for each in program.api.of("pods") if "cdk8s-spicedb/run" in each["metadata"]["labels"]]


@pytest.mark.parametrize("kind", [Program, SlowProgram])
def test_all_wrong_flags_are_found(kind: type[Program]) -> None:
    program = kind("--bogus", "--other")
    settings = props("v1.99.0", server=ServerProps(extra_args=["--bogus=1", "--other=2", "--log-sampling=soon"]))
    assert program.probe(settings).wrong_flags == [
        "unknown flag: --bogus",
        "unknown flag: --other",
        'invalid argument "soon" for "--log-sampling" flag: time: invalid duration "soon"',
    ]


def test_a_schema_that_is_rejected() -> None:
    found = Program(rejects="wildcard relations cannot be transitively included").probe(schema="definition user {}")
    assert found.rejection == "wildcard relations cannot be transitively included"


def test_what_the_cluster_refuses_is_not_known() -> None:
    program = Program()
    program.api.deny("pods", "create")
    found = program.probe(schema="definition user {}")
    assert (found.head, found.wrong_flags, found.rejection) == (None, [], None)
    assert len(found.unknown) == 4
    assert all("Kubernetes refused to start a pod" in each for each in found.unknown)


def test_pods_get_no_secret() -> None:
    program = Program()
    program.probe(schema="definition user {}")
    for request in program.api.asked("create", "pods"):
        assert "secretKeyRef" not in str(request.body)
