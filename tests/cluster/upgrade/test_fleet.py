"""Six releases are upgraded in waves by one command. It stops at a broken one, and goes on when that is mended."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command, Result
from tests.lab.databases import PASSWORD, USER, postgres_query
from tests.lab.props import KEY, NEW, OLD

TENANTS = ("acme", "globex", "initech", "umbrella", "vandelay", "wonka")
BROKEN, WATCHED = "initech", "globex"
BASE = f"""
version: {{version}}
delivery: kubectl
datastore: {{{{engine: postgres, host: postgres, user: {USER}, sslmode: disable}}}}
presharedKey: {{{{name: spicedb, key: preshared-key}}}}
server:
  replicas: 1
  resources: {{{{requests: {{{{cpu: 20m, memory: 64Mi}}}}, limits: {{{{cpu: "2", memory: 256Mi}}}}}}}}
migration: {{{{restartPolicy: Never, backoffLimit: 0}}}}
"""
TENANT = "name: {name}\ndatastore: {{database: {name}, password: {{name: {name}, key: password}}}}\n"
EACH = ("--each", "tenants/*.yaml")
OPTIONS = ("--wave-size=3", "--parallel=3", "--observe=0", "--no-database", "--no-pull-images", "--yes")


class Fleet:
    """The releases of all tenants in one namespace, and the program that upgrades them."""

    def __init__(self, namespace: Namespace, command: Command, folder: Path) -> None:
        self.namespace, self._command, self._folder = namespace, command, folder
        (folder / "tenants").mkdir()
        for name in TENANTS:
            (folder / "tenants" / f"{name}.yaml").write_text(TENANT.format(name=name))

    def write(self, version: str) -> None:
        """Writes the file that the tenants have in common."""
        (self._folder / "base.yaml").write_text(BASE.format(version=version))

    def install(self) -> None:
        """Installs all releases at once: first their migrations, then the rest."""
        for name in TENANTS:
            postgres_query(self.namespace, f"CREATE DATABASE {name}")
        program = (sys.executable, "-m", "cdk8s_spicedb", "synth", "-f", "base.yaml", *EACH)
        subprocess.run(program, check=True, cwd=self._folder)
        apply = ("apply", "--recursive", f"--filename={self._folder / 'dist'}")
        self.namespace.kubectl(*apply, "--selector=app.kubernetes.io/component=migration")
        self.namespace.kubectl("wait", "--for=condition=complete", "jobs", "--all", "--timeout=90s")
        self.namespace.kubectl(*apply)
        self.namespace.kubectl("wait", "--for=condition=available", "deployments", "--all", "--timeout=90s")

    def upgrade(self, *arguments: str) -> Result:
        """Runs the command."""
        return self._command.run("upgrade", "-f", "base.yaml", *EACH, *OPTIONS, *arguments)

    def versions(self) -> dict[str, set[str]]:
        """What the servers of each tenant run."""
        return {
            name: {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in self.namespace.servers(name)}
            for name in TENANTS
        }


@pytest.fixture
def fleet(namespace: Namespace, command: Command, postgres: None, tmp_path: Path) -> Fleet:
    for name in TENANTS:
        namespace.secret(name, {"password": PASSWORD})
    return Fleet(namespace, command, tmp_path)


def ended(result: Result, namespace: Namespace) -> dict[str, str]:
    """What became of each tenant whose upgrade began, by the lines of the progress."""
    return dict(re.findall(rf"^{namespace.name}/(\w+): ([a-z ]+) after [\d.]+ s", result.output, re.MULTILINE))


def test_waves_stop_at_a_broken_release_and_go_on_when_it_is_mended(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    fleet.write(OLD)
    fleet.install()
    # The servers that run have read the Secret already. Those of the next release cannot log in.
    fleet.namespace.secret(BROKEN, {"password": "wrong"})
    fleet.write(NEW)
    with relay(fleet.namespace, WATCHED) as address:
        Client(address, KEY).write()
        with Load("a fleet is upgraded", address, KEY) as load:
            stopped = fleet.upgrade()
            assert stopped.code == 3, stopped.error
            assert ended(stopped, fleet.namespace) == {
                "acme": "upgraded",
                "globex": "upgraded",
                "initech": "rolled back",
                "umbrella": "upgraded",
            }
            assert f"Failed, and rolled back: 1 SpiceDB: {fleet.namespace.name}/{BROKEN}." in stopped.error
            assert "password authentication failed" in stopped.error
            assert "Not begun: 2 SpiceDBs" in stopped.error
            assert stopped.error.rstrip().endswith(" ".join(OPTIONS))
            old = {name for name, versions in fleet.versions().items() if versions == {OLD}}
            assert old == {BROKEN, "vandelay", "wonka"}

            fleet.namespace.secret(BROKEN, {"password": PASSWORD})
            done = fleet.upgrade()
        assert load.succeeded()
    assert done.code == 0, done.error
    assert ended(done, fleet.namespace) == dict.fromkeys((BROKEN, "vandelay", "wonka"), "upgraded")
    assert "Already at the target: 3 SpiceDBs" in done.output
    assert set(map(frozenset, fleet.versions().values())) == {frozenset({NEW})}
    again = fleet.upgrade("--output=json")
    assert (again.code, [each["state"] for each in again.json["members"]]) == (0, ["skipped"] * len(TENANTS))
