"""Schema modes, walked as the written README of the plan says, and back."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from cdk8s_spicedb import PostgreSQL, ServerProps, plan_upgrade, write_upgrade
from cdk8s_spicedb.releases import SCHEMA_MODES

from .client import Client, Load, relay
from .cluster import Namespace, run
from .conftest import KEY
from .databases import postgres_revision
from .helm import Helm
from .props import NEW, NEW_HEAD, OLD, on_postgres

MODES = list(SCHEMA_MODES)
PLAN = plan_upgrade(PostgreSQL, OLD, NEW, schema_mode=MODES[-1])
MORE = "definition team {}"


def _commands(readme: str) -> list[str]:
    """What each step of a README says to run before and while it is rolled out; not the way back."""
    sections = re.split(r"^## \d+\. .*$", readme, flags=re.MULTILINE)[1:]
    forward = [section.split("To go back")[0] for section in sections]
    return ["\n".join(re.findall(r"^    (.+)$", section, flags=re.MULTILINE)) for section in forward]


def _run(commands: str, folder: Path, namespace: Namespace) -> None:
    env = {"RELEASE": "release", "NAMESPACE": namespace.name}
    exports = "\n".join(f"export {name}={value}" for name, value in env.items())
    run("bash", "-euc", f"cd {folder}\n{exports}\n{commands}")


def _mode(namespace: Namespace) -> str:
    deployment = namespace.get("deployment", "spicedb")
    assert deployment
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    modes = [argument.partition("=")[2] for argument in arguments if "schema-mode" in argument]
    return modes[0] if modes else ""


def test_walks_the_modes_and_back_as_the_readme_says(
    helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    folder = tmp_path / "steps"
    write_upgrade(folder, on_postgres(NEW), PLAN)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        for mode, commands in zip(MODES, _commands((folder / "README.md").read_text()), strict=True):
            if mode == "read-new-write-both":
                client.write_schema()
            with Load(f"to {mode}", address, KEY) as load:
                _run(commands, folder, namespace)
            assert load.unharmed()
            assert _mode(namespace) == mode
            client = Client(address, KEY)
        assert postgres_revision(namespace) == NEW_HEAD
        client.write_schema(MORE)
        revisions = {entry["chart"].rpartition("-")[2]: entry["revision"] for entry in helm.history()}
        for step, mode in ((3, MODES[2]), (2, MODES[1]), (1, MODES[0])):
            with Load(f"back to {mode}", address, KEY) as load:
                outcome = helm.rollback(revisions[f"{step}.0.0"])
            assert outcome.ok, outcome.output
            assert load.unharmed()
            assert _mode(namespace) == mode
            namespace.settled()
            client = Client(address, KEY)
            assert MORE in client.schema(), mode
            if mode == "read-new-write-both":
                client.write_schema(MORE)
        with Load(f"back to {OLD}", address, KEY) as load:
            assert helm.rollback(1).ok
        assert load.unharmed()
        assert MORE in Client(address, KEY).schema()


def test_a_schema_is_not_in_the_unified_table_unless_it_was_written_to_both(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    """Why a plan says to write the schema again: SpiceDB copies it when it migrates, and not when the mode changes."""
    one: Any = partial(ServerProps, replicas=1)
    assert helm.install(on_postgres(OLD, server=one())).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        assert helm.upgrade(on_postgres(server=one(schema_mode=MODES[0]))).ok
        namespace.settled()
        Client(address, KEY).write_schema(MORE)
        assert helm.upgrade(on_postgres(server=one(schema_mode=MODES[1]))).ok
        assert MORE in Client(address, KEY).schema()
        assert helm.upgrade(on_postgres(server=one(schema_mode=MODES[2]))).ok
        namespace.settled()
        assert MORE not in Client(address, KEY).schema(), "then the caution of the plan is no longer true"
