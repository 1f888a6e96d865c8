"""Runs the commands of the README, the delivery page, and a written chart's README and NOTES.txt unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cdk8s_spicedb import CleanupProps, MigrationProps, write_helm_chart
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER, postgres_revision
from tests.lab.props import KEY, NEW_HEAD, OLD, on_postgres
from tests.lab.shell import Shell, commands
from tests.pages import section
from tests.programs import ROOT

from .test_examples import connect

_PLACEHOLDERS = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full"
_URI = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{DATABASE}?sslmode=disable"
_STEPS = ("kubectl create secret", "cdk8s-spicedb", "helm")


def _is_served(namespace: Namespace, key: str = KEY) -> bool:
    with relay(namespace) as address:
        client = Client(address, key)
        client.write()
        return client.check()


def test_first_commands_of_the_readme_work(namespace: Namespace, tmp_path: Path) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    shell = Shell(namespace, tmp_path)
    text = section(ROOT / "README.md", "## Start in 60 seconds")
    steps = commands(text.replace("$(openssl rand -hex 32)", KEY))
    assert [step.split()[0] for step in steps] == ["kubectl", "echo", "cdk8s-spicedb", "cdk8s-spicedb", "helm"]
    for step in steps:
        # There is no terminal to ask on.
        shell.run(f"{step} --yes" if step.startswith("cdk8s-spicedb install") else step)
        if step.startswith(("cdk8s-spicedb install", "helm")):
            assert _is_served(namespace)


def test_commands_without_python_work(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    shell = Shell(namespace, tmp_path)
    text = (ROOT / "docs" / "install" / "files.md").read_text().replace(_PLACEHOLDERS, _URI)
    text = text.replace("$(openssl rand -hex 32)", KEY)
    steps = [command for command in commands(text) if command.startswith(_STEPS)]
    assert [step.split()[0] for step in steps].count("helm") == 1
    for step in steps:
        # There is no terminal to ask on.
        shell.run(f"{step} --yes" if step.startswith("cdk8s-spicedb install") else step)
    assert postgres_revision(namespace) == NEW_HEAD
    assert _is_served(namespace)


def test_delivery_commands_work(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    connect(namespace)
    shell = Shell(namespace, tmp_path)
    shell.run("cdk8s-spicedb init")
    text = (ROOT / "docs" / "install" / "delivery.md").read_text()
    steps = commands(text)
    assert len(steps) == 11
    for step in steps:
        shell.run(step)
        if step.startswith("helm upgrade"):
            assert _is_served(namespace)
        if step.startswith("helm upgrade") and "--take-ownership" not in step:
            shell.run("helm uninstall spicedb --namespace authz --wait")
        if "--delivery argocd" in step:
            assert "argocd.argoproj.io/hook: PreSync" in (tmp_path / "manifests" / "spicedb.k8s.yaml").read_text()
    assert _is_served(namespace)


def test_commands_of_a_charts_readme_work(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    # The finished migration stays, as a failed one does, so that its commands have a Job to show.
    settings: Any = {"migration": MigrationProps(restart_policy="Never"), "cleanup": CleanupProps(enabled=False)}
    for version in (OLD, "v1.56.0"):
        write_helm_chart(tmp_path / "chart", on_postgres(version, **settings))
        readme = (tmp_path / "chart" / "README.md").read_text()
        shell = Shell(namespace, tmp_path / "chart")
        steps = [_filled(step, namespace) for step in commands(readme)]
        install = [step for step in steps if step.startswith(("helm install", "helm template", "helm get"))]
        for step in install if version == OLD else [step for step in steps if step not in install]:
            shell.run(step)
    assert f":{OLD}" not in namespace.servers()[0]["spec"]["containers"][0]["image"]
    assert postgres_revision(namespace) == NEW_HEAD


def test_commands_of_the_notes_work(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    settings: Any = {"migration": MigrationProps(restart_policy="Never"), "cleanup": CleanupProps(enabled=False)}
    write_helm_chart(tmp_path / "chart", on_postgres(**settings))
    shell = Shell(namespace, tmp_path)
    shell.run("helm install spicedb chart --namespace authz --wait --timeout 90s")
    notes = re.sub(r" \\\n +", " ", shell.run("helm get notes spicedb --namespace authz"))
    steps = re.findall(r"^  ((?:kubectl|helm) .*)$", notes, re.MULTILINE)
    assert len(steps) > 10
    for step in (_filled(step, namespace).replace("CHART", "chart") for step in steps):
        if step.startswith("kubectl port-forward"):
            assert "Forwarding from" in shell.run(f"timeout 5 {step}", fails=True)
        else:
            shell.run(step)
    assert postgres_revision(namespace) == NEW_HEAD
    assert _is_served(namespace)


def _filled(command: str, namespace: Namespace) -> str:
    """A command with its placeholders filled in."""
    command = command.replace("targetMigration=REVISION", f"targetMigration={NEW_HEAD}").replace(" REVISION", " 1")
    return command.replace("NAMESPACE", namespace.name)
