"""The examples, and an installation with the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER, postgres_revision
from tests.lab.props import KEY, NEW_HEAD
from tests.lab.shell import Shell, commands, use_release
from tests.programs import ROOT, written


def connect(namespace: Namespace) -> None:
    """Creates the Secret of the README. The password in the URI is percent-encoded."""
    uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{DATABASE}?sslmode=disable"
    namespace.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD, "datastore-uri": uri})


def test_embedded_example_runs_with_its_application(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    connect(namespace)
    folder = tmp_path / "dist"
    files = written(ROOT / "examples" / "embedded" / "main.py", folder)
    objects = [found for text in files.values() for found in yaml.safe_load_all(text)]
    namespace.kubectl("apply", "--filename", str(folder))
    namespace.kubectl("wait", "deployment", "--all", "--for=condition=Available", "--timeout=120s")
    # The application is ready only while SpiceDB grants its check.
    (web,) = [found for found in objects if found["kind"] == "Deployment" and found["metadata"]["name"] != "spicedb"]
    deployed = namespace.get("deployment", web["metadata"]["name"])
    assert deployed
    assert deployed["status"]["readyReplicas"] == 1
    namespace.kubectl("delete", "--filename", str(folder))


def test_postgres_example_runs_with_kubectl(namespace: Namespace, tmp_path: Path) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    example = ROOT / "examples" / "postgres"
    folder = tmp_path / "postgres"
    folder.mkdir()
    shutil.copy(ROOT / "examples" / "postgres.yaml", tmp_path)
    written(example / "main.py", folder / "dist")
    shell = Shell(namespace, folder)
    steps = [step for step in commands((example / "README.md").read_text()) if step.startswith("kubectl")]
    outputs = [shell.run(step) for step in steps]
    assert "successfully rolled out" in outputs[3]
    assert NEW_HEAD in outputs[4]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that contains only the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "venv" / "bin"


@pytest.mark.parametrize("delivery", ["helm", "kubectl"])
def test_command_line_installs_from_an_empty_folder_without_python_or_node(
    delivery: str, installed: Path, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    connect(namespace)
    program = str(installed / "cdk8s-spicedb")

    def command(*arguments: str) -> None:
        # An empty PATH: no node and no other Python.
        environment = {"PATH": "", "HOME": str(tmp_path)}
        subprocess.run([program, *arguments], cwd=tmp_path, env=environment, check=True)

    command("init")
    use_release(tmp_path)
    command("synth", "--delivery", delivery)
    dist = str(tmp_path / "dist")
    if delivery == "helm":
        arguments = ("--namespace", namespace.name, "--wait", "--timeout", "2m")
        run("helm", "upgrade", "--install", "spicedb", dist, *arguments)
        notes = run("helm", "get", "notes", "spicedb", "--namespace", namespace.name).stdout
        assert f"kubectl logs job/spicedb-migration --namespace {namespace.name}" in notes
    else:
        namespace.kubectl("apply", "--filename", dist)
        namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=120s")
    assert postgres_revision(namespace) == NEW_HEAD
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()
    assert len(namespace.servers()) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["dist", "spicedb.yaml"]


def test_cluster_accepts_the_schema_of_the_bindings() -> None:
    schema = str(ROOT / "imports" / "externalsecret.yaml")
    run("kubectl", "apply", "--dry-run=server", "--filename", schema)
