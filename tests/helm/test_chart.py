"""What is rendered, in the hands of Helm itself: it lints, renders and sorts out the hooks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest

from cdk8s_spicedb import SpiceDBProps
from tests import fast_yaml
from tests.charts import write_chart
from tests.programs import ROOT, cdk8s_cli
from tests.synth import Object, matrix, synth

MATRIX = matrix()
EXAMPLES = pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
NAMESPACE = "identity"
# A dry run asks no cluster, but Helm wants to know which one it would have been.
NO_CLUSTER = """
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
"""


def parse(text: str) -> list[Object]:
    return [found for found in fast_yaml.load_all(text) if found]


def rendered(folder: Path) -> list[Object]:
    with helm.Chart.load(folder) as chart:
        return [found for text in chart.render(name="release", namespace=NAMESPACE).values() for found in parse(text)]


def installed(folder: Path) -> list[Object]:
    """What an install would apply as part of the release: everything but the hooks."""
    with helm.Config(namespace=NAMESPACE, storage_driver="memory", kubeconfig_content=NO_CLUSTER) as config:
        release: dict[str, Any] = dict(config.install(folder, "release", namespace=NAMESPACE, dry_run="client"))
    return parse(release["manifest"])


def ids(objects: Iterable[Object]) -> list[tuple[str, str]]:
    return sorted((found["kind"], found["metadata"]["name"]) for found in objects)


def is_hook(found: Object) -> bool:
    return "helm.sh/hook" in found["metadata"].get("annotations", {})


@EXAMPLES
def test_helm_finds_nothing_to_complain_of(props: SpiceDBProps, tmp_path: Path) -> None:
    folder = write_chart(tmp_path / "spicedb", synth(props).objects)
    report = helm.lint(folder, strict=True, namespace=NAMESPACE, kube_version="v1.30.0")
    assert report["total_charts_linted"] == 1
    assert report["messages"] == []
    assert report["errors"] == []


@EXAMPLES
def test_helm_renders_what_was_synthesized(props: SpiceDBProps, tmp_path: Path) -> None:
    objects = synth(props).objects
    assert rendered(write_chart(tmp_path / "spicedb", objects)) == objects


@EXAMPLES
def test_helm_takes_the_jobs_for_hooks_and_the_rest_for_the_release(props: SpiceDBProps, tmp_path: Path) -> None:
    objects = synth(props).objects
    hooks = [found for found in objects if is_hook(found)]
    release = installed(write_chart(tmp_path / "spicedb", objects))
    assert ids(release) == ids(found for found in objects if found not in hooks)
    jobs = [found["metadata"]["name"] for found in hooks if found["kind"] == "Job"]
    wanted = {
        "migration": props.migrates,
        "schema": props.schema,
        "migration-cleanup": props.migrates,
        "test": props.test,
    }
    assert jobs == [f"{props.name}-{suffix}" for suffix, there in wanted.items() if there]


def test_helm_finds_a_broken_chart_out(tmp_path: Path) -> None:
    folder = write_chart(tmp_path / "spicedb", [{"kind": "Service", "metadata": {"name": "Not A Name"}}])
    assert helm.lint(folder, strict=True)["errors"]


@pytest.fixture(scope="module")
def cli_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart that the cdk8s CLI makes of main.py."""
    cli, env = cdk8s_cli()
    folder = tmp_path_factory.mktemp("cli") / "chart"
    options = ["--format", "helm", "--chart-version", "1.0.0", "--output", str(folder)]
    done = subprocess.run(
        [cli, "synth", *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_cdk8s_cli_makes_a_chart_that_helm_finds_sound(cli_chart: Path) -> None:
    report = helm.lint(cli_chart, strict=True, namespace=NAMESPACE, kube_version="v1.30.0")
    assert report["errors"] == []
    # The CLI writes neither an icon nor values, which Helm only recommends.
    recommended = {"icon is recommended", "file does not exist"}
    assert {message["error"] for message in report["messages"]} <= recommended
    with helm.Chart.load(cli_chart) as chart:
        assert chart.version == "1.0.0"
        assert chart.name == ROOT.name


def test_the_cdk8s_cli_makes_a_chart_of_what_is_in_dist(cli_chart: Path) -> None:
    committed = parse((ROOT / "dist" / "spicedb.k8s.yaml").read_text("utf-8"))
    assert rendered(cli_chart) == committed
    assert ids(installed(cli_chart)) == ids(found for found in committed if not is_hook(found))
