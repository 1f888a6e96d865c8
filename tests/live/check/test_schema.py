"""Whether new releases accept the SpiceDB schema: what their pods do, and what that means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import yaml

from cdk8s_spicedb import Memory, NetworkPolicies, SpiceDBProps
from cdk8s_spicedb.live.check.check import check
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.plan import planned
from cdk8s_spicedb.live.check.schema import schema_findings
from cdk8s_spicedb.props.jobs import SchemaProps
from cdk8s_spicedb.props.server import ServerProps
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.apiserver import Object, matches
from tests.live.clock import FakeClock
from tests.live.installed import deploy, installable, props, seen_in

LIVE, OF_FILE = "definition user {}", "definition team {}"
OLD, NEW = "v1.56.0", "v1.57.1"
REASON = "for relation `reader`: wildcard relations cannot be transitively included"
PLACE = "the schema of the servers"
LAST_MODE: Any = [*SCHEMA_MODES][-1]


def ended(pod: Object, code: int) -> None:
    name = pod["spec"]["containers"][0]["name"]
    terminated = {"exitCode": code, "reason": "Error" if code else "Completed"}
    phase = "Failed" if code else "Succeeded"
    pod["status"] = {"phase": phase, "containerStatuses": [{"name": name, "state": {"terminated": terminated}}]}


def error(text: str) -> str:
    return json.dumps({"level": "error", "error": text, "message": "terminated with errors"})


class World:
    """A cluster in which an older release runs. Its pods read the schema, and try it."""

    def __init__(self, running: SpiceDBProps | None = None) -> None:
        self.api, self.clock = installable(), FakeClock()
        deploy(self.api, running or props(OLD))
        self.live = json.dumps({"schemaText": LIVE}, indent=2)
        self.live_code = 0
        self.rejects: dict[str, str] = {}
        """What the program of an image prints before it ends. Otherwise it becomes ready."""
        self.pods: list[Object] = []
        self.api.on(matches("create", "pods"), lambda _, pod: self.run(pod))

    def run(self, pod: Object) -> None:
        self.pods.append(pod)
        container = pod["spec"]["containers"][0]
        if container["name"] == "zed":
            ended(pod, self.live_code)
            self.api.logs[pod["metadata"]["name"]] = self.live
        elif container["image"] in self.rejects:
            ended(pod, 78)
            self.api.logs[pod["metadata"]["name"]] = self.rejects[container["image"]]
        else:
            status = {"name": container["name"], "ready": True, "state": {"running": {}}}
            pod["status"] = {"phase": "Running", "containerStatuses": [status]}

    def findings(self, settings: SpiceDBProps) -> list[Finding]:
        cluster = self.api.cluster(clock=self.clock)
        upgrade = planned(cluster, settings, seen_in(self.api).running)
        found = list(schema_findings(cluster, settings, upgrade))
        assert [each for each in self.api.of("pods") if each["metadata"]["name"] in self.names] == []
        return found

    @property
    def names(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods]

    @property
    def tried(self) -> list[tuple[str, str]]:
        """The image and the schema of each trial."""
        trials = [pod for pod in self.pods if pod["spec"]["containers"][0]["name"] == "trial"]
        return [
            (
                pod["spec"]["containers"][0]["image"].rpartition(":")[2],
                json.loads(pod["metadata"]["annotations"]["cdk8s-spicedb/schema"])["schema"],
            )
            for pod in trials
        ]


@pytest.fixture
def world() -> World:
    return World()


def image(version: str) -> str:
    return props(version).full_image


def rejection(reason: str = REASON) -> str:
    return error(f"failed to create datastore: failed to load bootstrap data: {reason}")


def test_a_new_release_tries_the_schema_of_the_servers(world: World) -> None:
    assert world.findings(props(NEW)) == [Finding.ok("SpiceDB schema", f"{NEW} accepts {PLACE}")]
    assert world.tried == [(NEW, LIVE)]
    assert len(world.pods) == 2


@pytest.mark.parametrize("words", ["bootstrap data", "bootstrap files"])
def test_a_schema_that_is_rejected_is_a_warning_if_nobody_writes_it(world: World, words: str) -> None:
    world.rejects[image(NEW)] = error(f"failed to create datastore: failed to load {words}: {REASON}")
    (finding,) = world.findings(props(NEW))
    assert finding.level is Level.WARNING
    assert finding.text == f"{NEW} rejects {PLACE}: {REASON}. Its servers still use it, but nobody can write it again"
    assert finding.fix.startswith("write a schema that the release accepts")


def test_a_schema_that_is_rejected_is_a_failure_if_a_step_writes_it_again(world: World) -> None:
    world.rejects[image(NEW)] = rejection()
    (finding,) = world.findings(props(NEW, server=ServerProps(schema_mode=LAST_MODE)))
    assert finding.level is Level.FAILURE
    assert finding.text == f"{NEW} rejects {PLACE}, which it has to write: {REASON}"


def test_the_schema_of_the_file_is_tried_instead_of_the_one_that_it_replaces(world: World) -> None:
    settings = props(NEW, schema=SchemaProps(text=OF_FILE))
    assert world.findings(settings) == [Finding.ok("SpiceDB schema", f"{NEW} accepts the schema of the file")]
    assert world.tried == [(NEW, OF_FILE)]
    place = "error when parsing config file /etc/spicedb/schema/schema.json: "
    world.rejects[image(NEW)] = rejection(f"{place}error when parsing schema: Unexpected token")
    (finding,) = world.findings(settings)
    assert finding == Finding.failure(
        "SpiceDB schema",
        f"{NEW} rejects the schema of the file, which it has to write: error when parsing schema: Unexpected token",
        "correct schema.text in the file",
    )


def test_both_are_tried_if_a_step_writes_that_of_the_servers_again(world: World) -> None:
    server = ServerProps(schema_mode=LAST_MODE)
    world.findings(props(NEW, schema=SchemaProps(text=OF_FILE), server=server))
    assert sorted(world.tried) == [(NEW, OF_FILE), (NEW, LIVE)]


def test_every_release_on_the_way_tries_it() -> None:
    world = World(props("v1.13.0"))
    world.rejects[image("v1.14.0")] = rejection()
    settings = props("v1.30.0")
    cluster = world.api.cluster()
    upgrade = planned(cluster, settings, seen_in(world.api).running)
    versions = list(dict.fromkeys(step.version for step in upgrade.steps))
    assert len(versions) > 1
    found = world.findings(settings)
    assert world.tried == [(version, LIVE) for version in versions]
    assert [each.level for each in found] == [Level.OK, Level.WARNING]
    accept = [each for each in versions if each != "v1.14.0"]
    assert found[0].text == f"{' and '.join(accept)} accept{'s' if len(accept) == 1 else ''} {PLACE}"
    assert found[1].text.startswith("v1.14.0 rejects")


def test_an_install_tries_the_schema_of_the_file() -> None:
    world = World()
    for kind in ("deployments", "pods"):
        world.api.remove(kind)
    cluster = world.api.cluster(clock=world.clock)
    upgrade = planned(cluster, props(NEW), None)
    assert list(schema_findings(cluster, props(NEW), upgrade)) == []
    assert world.pods == []
    settings = props(NEW, schema=SchemaProps(text=OF_FILE))
    assert [each.level for each in schema_findings(cluster, settings, upgrade)] == [Level.OK]


def test_other_settings_of_the_same_release_try_nothing(world: World) -> None:
    assert world.findings(props(OLD, server=ServerProps(replicas=3))) == []
    assert world.pods == []


def test_a_datastore_in_memory_keeps_no_schema() -> None:
    world = World(attrs.evolve(props(OLD), datastore=Memory()))
    assert world.findings(attrs.evolve(props(NEW), datastore=Memory())) == []
    assert world.pods == []


# ---------------------------------------------------------------- what cannot be found out


@pytest.mark.parametrize(
    "text", ["no schema has been defined; please call WriteSchema", "failed to read stored schema: schema not found"]
)
def test_no_schema_yet(world: World, text: str) -> None:
    world.live, world.live_code = error(f"rpc error: code = NotFound desc = {text}"), 1
    assert world.findings(props(NEW)) == [Finding.ok("SpiceDB schema", "the servers have none yet")]


def test_an_error_that_the_node_writes_late_is_waited_for(world: World) -> None:
    world.live, world.live_code = "", 1
    late = error("rpc error: code = NotFound desc = no schema has been defined")
    world.clock.on_sleep = lambda _: world.api.logs.update(dict.fromkeys(world.names, late))
    assert world.findings(props(NEW))[0].text == "the servers have none yet"


def test_servers_that_do_not_answer_are_a_warning(world: World) -> None:
    world.live, world.live_code = error("connection refused"), 1
    (finding,) = world.findings(props(NEW))
    assert finding.level is Level.WARNING
    assert finding.text == f"{PLACE} was not tried: the pod that reads it failed: connection refused"
    assert finding.fix


def test_a_schema_whose_log_is_cut_is_not_tried(world: World) -> None:
    world.live = world.live[:-4]
    (finding,) = world.findings(props(NEW))
    assert finding.text == f"{PLACE} was not tried: the pod that reads it failed: its log is not complete"
    assert world.tried == []


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (error("unknown flag: --datastore-bootstrap-files"), "the program ended: unknown flag: --datastore-bootstrap"),
        ("killed", "the program ended: without a reason"),
    ],
)
def test_a_program_that_ends_for_another_reason_is_a_warning(world: World, log: str, reason: str) -> None:
    world.rejects[image(NEW)] = log
    (finding,) = world.findings(props(NEW))
    assert finding.level is Level.WARNING
    assert finding.text.startswith(f"{NEW} did not try {PLACE}: {reason}")


def pulls(pod: Object) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    name = pod["spec"]["containers"][0]["name"]
    pod["status"] = {"phase": "Pending", "containerStatuses": [{"name": name, "state": {"waiting": waiting}}]}


def never_ready(pod: Object) -> None:
    pod["status"] = {"phase": "Running"}


def refused(pod: Object) -> None:
    pod["status"] = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        (pulls, "its pod does not start: ImagePullBackOff: no such image"),
        (never_ready, "its pod was not done within 60 s"),
        (refused, "its pod was not done within 60 s: Node didn't have enough resource: cpu"),
    ],
)
def test_a_pod_that_does_not_start_is_a_warning(world: World, become: Callable[[Object], None], reason: str) -> None:
    world.run = lambda pod: (world.pods.append(pod), become(pod))  # type: ignore[assignment, method-assign, func-returns-value]
    (finding,) = world.findings(props(NEW))
    assert (finding.level, finding.text) == (Level.WARNING, f"{PLACE} was not tried: {reason}")
    (finding,) = world.findings(props(NEW, schema=SchemaProps(text=OF_FILE)))
    assert finding.text == f"{NEW} did not try the schema of the file: {reason}"


def test_a_user_who_may_create_no_pods_is_told() -> None:
    world = World()
    world.api.deny("pods", "create")
    (finding,) = world.findings(props(NEW))
    assert finding.level is Level.WARNING
    assert "Kubernetes refused to start a pod" in finding.text


def test_a_schema_that_is_too_large_for_a_pod(world: World) -> None:
    (finding,) = world.findings(props(NEW, schema=SchemaProps(text=f"// {'x' * 200_000}")))
    assert finding.text == f"{NEW} did not try the schema of the file: it has more than 200000 bytes"
    assert world.pods == []


# ---------------------------------------------------------------- the pods


def test_the_trial_gets_no_secret_and_is_like_the_migration(world: World) -> None:
    world.findings(props(NEW, image_pull_secrets=["registry"], network_policies=NetworkPolicies()))
    reader, trial = world.pods
    assert "secretKeyRef" not in json.dumps(trial)
    assert "secretKeyRef" in json.dumps(reader), "it needs the preshared key"
    assert world.api.count("change", "networkpolicies") == 0
    spec = trial["spec"]
    (container,) = spec["containers"]
    assert container["args"][:2] == [
        "--datastore-engine=memory",
        "--datastore-bootstrap-files=/etc/spicedb/schema/schema.json",
    ]
    assert "--telemetry-endpoint=" in container["args"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert (spec["restartPolicy"], spec["automountServiceAccountToken"]) == ("Never", False)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["activeDeadlineSeconds"] == reader["spec"]["activeDeadlineSeconds"] == 120
    (volume,) = spec["volumes"]
    (item,) = volume["downwardAPI"]["items"]
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['cdk8s-spicedb/schema']"


@pytest.mark.parametrize("character", ["\x7f", "\x9b", "\u2028", "😀", '"', "\\", "\n"])
def test_every_character_of_a_schema_reaches_the_trial(world: World, character: str) -> None:
    text = f"// {character}\n{OF_FILE}"
    world.findings(props(NEW, schema=SchemaProps(text=text)))
    assert world.tried == [(NEW, text)]
    file = world.pods[0]["metadata"]["annotations"]["cdk8s-spicedb/schema"]
    assert yaml.safe_load(file) == {"schema": text}
    assert not re.search("[\x00-\x1f\x7f-\x9f]", file), "YAML has no control characters"


def test_the_whole_check_tries_it_unless_it_is_left_out() -> None:
    world = World()
    world.rejects[image(NEW)] = rejection("user:hunter2 postgres://u:secret-word@db/x")
    cluster = world.api.cluster(clock=world.clock)
    report = check(cluster, props(NEW), database=False)
    (finding,) = (each for each in report.findings if each.subject == "SpiceDB schema")
    assert finding.level is Level.WARNING
    assert "secret-word" not in finding.text
    report = check(cluster, props(NEW), database=False, schema=False)
    assert not [each for each in report.findings if each.subject == "SpiceDB schema"]
