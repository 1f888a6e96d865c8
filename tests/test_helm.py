"""Helm itself takes what is rendered."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import helm_python
import pytest
import yaml

from cdk8s_spicedb import SpiceDBProps
from tests.programs import ROOT
from tests.synth import Object, matrix, synth

_MATRIX = matrix()


def _chart(folder: Path, objects: list[Object]) -> Path:
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "spicedb", "version": "1.0.0"}))
    (folder / "templates" / "spicedb.yaml").write_text(yaml.safe_dump_all(objects))
    return folder


def _rendered(folder: Path) -> list[Object]:
    with helm_python.Chart.load(str(folder)) as chart:
        texts = chart.render({}, name="release", namespace="authz").values()
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def _findings(folder: Path) -> list[str]:
    """What ``helm lint --strict`` finds, its hints (1) left out."""
    report = helm_python.lint(str(folder), strict=True)
    errors: list[str] = report["errors"]
    return errors + [message["error"] for message in report["messages"] if message["severity"] > 1]


@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
@pytest.mark.parametrize("props", _MATRIX.values(), ids=list(_MATRIX))
def test_helm_renders_what_was_synthesized(props: SpiceDBProps, tmp_path: Path) -> None:
    objects = synth(props).objects
    assert _rendered(_chart(tmp_path, objects)) == objects


@pytest.mark.parametrize("name", ["postgres-uri-default", "memory"])
def test_helm_finds_nothing_to_complain_about(name: str, tmp_path: Path) -> None:
    assert _findings(_chart(tmp_path, synth(_MATRIX[name]).objects)) == []


def test_helm_would_complain_about_a_broken_object(tmp_path: Path) -> None:
    objects = synth(_MATRIX["memory"]).objects
    objects[0]["metadata"]["name"] = "Not A Name"
    assert _findings(_chart(tmp_path, objects)) != []


def test_the_cdk8s_cli_makes_a_chart_of_main(tmp_path: Path) -> None:
    folder = tmp_path / "chart"
    command = [
        "cdk8s",
        "synth",
        "--check-upgrade=false",
        "--format=helm",
        "--chart-version=1.0.0",
        f"--output={folder}",
    ]
    # The CLI names a chart after the folder that it runs in, which has to be a name that Helm takes.
    work = tmp_path / "authz"
    work.mkdir()
    for file in ("main.py", "cdk8s.yaml"):
        (work / file).write_bytes((ROOT / file).read_bytes())
    done = subprocess.run(command, cwd=work, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _findings(folder) == []
    synthesized = list(yaml.safe_load_all((ROOT / "dist" / "spicedb.k8s.yaml").read_text()))
    assert _rendered(folder) == synthesized
    hooks = [found["metadata"]["name"] for found in synthesized if "helm.sh/hook" in str(found["metadata"])]
    assert hooks == ["spicedb-migration", "spicedb-migration-cleanup"]
