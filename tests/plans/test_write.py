"""Written upgrades and charts, checked with Helm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import helm_python as helm
import pytest

from cdk8s_spicedb import (
    Delivery,
    InvalidProps,
    Memory,
    MySQL,
    PostgreSQL,
    ServerProps,
    SpiceDBError,
    SpiceDBProps,
    plan_upgrade,
    write_helm_chart,
    write_upgrade,
)
from cdk8s_spicedb.files.folder import write_manifests
from cdk8s_spicedb.helm.upgrade import runbook, step_names
from tests import fast_yaml
from tests.charts import rendered, same, without_chart_labels
from tests.synth import POSTGRES, synth

CHART = (
    ".helmignore",
    "Chart.yaml",
    "README.md",
    "templates/NOTES.txt",
    "templates/_helpers.tpl",
    "templates/cleanup.yaml",
    "templates/extra.yaml",
    "templates/migration.yaml",
    "templates/server.yaml",
    "values.schema.json",
    "values.yaml",
)
PLAN = plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0", schema_mode="read-legacy-write-both")
PROPS = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upgrade") / "steps"
    write_upgrade(folder, PROPS, PLAN)
    return folder


def tree(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_each_step_has_a_folder_next_to_a_readme(written: Path) -> None:
    files = [f"{name}/{file}" for name in step_names(PLAN) for file in CHART]
    assert sorted(tree(written)) == sorted([*files, "README.md"])
    assert (written / "README.md").read_text() == runbook(PLAN, PROPS)


@pytest.mark.parametrize("number", range(len(PLAN.steps)))
def test_each_step_is_a_valid_chart_of_its_props(written: Path, number: int) -> None:
    step, folder = PLAN.steps[number], written / step_names(PLAN)[number]
    metadata = fast_yaml.load((folder / "Chart.yaml").read_text())
    # The number of the step is what `helm history` shows.
    assert (metadata["version"], metadata["appVersion"]) == (f"{number + 1}.0.0", step.version)
    report = helm.lint(folder, strict=True, namespace="authz", kube_version="v1.30.0")
    assert report["errors"] == []
    assert same(without_chart_labels(rendered(folder)), synth(PROPS.at(step)).objects)


def test_helm_does_not_render_templates_in_props(tmp_path: Path) -> None:
    text = 'a {{ .Values.b }} {{- "c" }} }} {{{{ {{/* d */}}'
    props = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, annotations={"example.com/note": text})
    write_upgrade(tmp_path / "steps", props, plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0"))
    objects = rendered(tmp_path / "steps" / "1-v1.56.0")
    assert len(objects) == 11
    for manifest in objects:
        assert manifest["metadata"]["annotations"]["example.com/note"] == text


def test_writing_again_replaces_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    write_upgrade(folder, PROPS, PLAN)
    write_upgrade(str(folder), PROPS, plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0"))
    assert sorted(entry.name for entry in folder.iterdir()) == ["1-v1.56.0", "README.md"]


def test_a_folder_with_foreign_files_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print()")
    with pytest.raises(SpiceDBError, match=r"main\.py"):
        write_upgrade(tmp_path, PROPS, PLAN)
    assert tree(tmp_path) == {"main.py": "print()"}


@pytest.mark.parametrize(
    ("props", "expected"),
    [
        (SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(replicas=0)), "server.replicas"),
        (SpiceDBProps(version="v1.56.0", datastore=POSTGRES, image="x/y:prod"), "image"),
        (SpiceDBProps(version="v1.56.0", datastore=None), "datastore"),  # type: ignore[arg-type]
        (SpiceDBProps(version="v1.56.0", datastore=MySQL(uri=POSTGRES.uri)), "postgres, as in the plan"),
    ],
)
def test_nothing_is_written_if_the_props_are_invalid(props: SpiceDBProps, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match=expected):
        write_upgrade(tmp_path / "steps", props, PLAN)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_without_steps_writes_only_a_readme(tmp_path: Path) -> None:
    write_upgrade(tmp_path / "steps", PROPS, plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0"))
    assert list(tree(tmp_path / "steps")) == ["README.md"]


def test_foreign_files_in_an_upgrade_are_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(SpiceDBError, match=r"README\.md"):
        write_upgrade(tmp_path, PROPS, PLAN)
    assert tree(tmp_path) == {"README.md": "# Mine"}
    folder = tmp_path / "steps"
    write_upgrade(folder, PROPS, PLAN)
    (folder / step_names(PLAN)[0] / "mine.yaml").write_text("mine")
    with pytest.raises(SpiceDBError, match=r"mine\.yaml"):
        write_upgrade(folder, PROPS, PLAN)
    assert (folder / step_names(PLAN)[0] / "mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("mode", "planned"), [("read-new-write-new", None), ("read-new-write-new", "read-new-write-both")]
)
def test_a_mode_that_the_plan_does_not_reach_is_rejected(mode: Any, planned: str | None, tmp_path: Path) -> None:
    props = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(schema_mode=mode))
    with pytest.raises(InvalidProps, match=r"server\.schema_mode = 'read-new-write-new'"):
        write_upgrade(tmp_path / "steps", props, plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode=planned))
    write_upgrade(tmp_path / "steps", props, plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode=mode))
    assert len(list((tmp_path / "steps").glob("*-v*"))) == 4


def test_a_chart_has_all_files_and_its_metadata(tmp_path: Path) -> None:
    write_helm_chart(tmp_path / "chart", PROPS, version="1.2.3", name="authz")
    assert sorted(tree(tmp_path / "chart")) == sorted(CHART)
    metadata = fast_yaml.load((tmp_path / "chart" / "Chart.yaml").read_text())
    assert (metadata["name"], metadata["version"], metadata["appVersion"]) == ("authz", "1.2.3", "v1.56.0")


def test_a_chart_is_replaced_unless_another_program_wrote_it(tmp_path: Path) -> None:
    folder = tmp_path / "chart"
    write_helm_chart(folder, SpiceDBProps(version="v1.56.0", datastore=POSTGRES))
    write_helm_chart(str(folder), SpiceDBProps(version="v1.56.0", datastore=Memory()))
    assert "templates/migration.yaml" not in tree(folder)
    (folder / "Chart.yaml").write_text("name: mine")
    with pytest.raises(SpiceDBError, match=r"Chart\.yaml"):
        write_helm_chart(folder, PROPS)


@pytest.mark.parametrize(
    ("props", "options", "expected"),
    [
        (attrs.evolve(PROPS, delivery=Delivery.ARGOCD), {}, "delivery = 'argocd'"),
        (attrs.evolve(PROPS, name="Bad"), {}, "name = 'Bad'"),
        (PROPS, {"version": "1.2"}, "version = '1.2'"),
        (PROPS, {"name": "Not A Name"}, "name = 'Not A Name'"),
    ],
)
def test_a_chart_rejects_invalid_props_and_options(
    props: SpiceDBProps, options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidProps, match=expected):
        write_helm_chart(tmp_path / "chart", props, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_rejects_other_deliveries(tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match="a chart is for Helm"):
        write_upgrade(tmp_path / "steps", attrs.evolve(PROPS, delivery=Delivery.KUBECTL), PLAN)


@pytest.mark.parametrize("delivery", Delivery)
def test_manifests_equal_those_of_the_constructs(delivery: Delivery, tmp_path: Path) -> None:
    props = attrs.evolve(PROPS, delivery=delivery)
    write_manifests(tmp_path / "dist", props)
    (text,) = tree(tmp_path / "dist").values()
    assert list(fast_yaml.load_all(text)) == synth(props).objects


def test_no_manifests_are_written_if_the_props_are_invalid(tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match="Bad"):
        write_manifests(tmp_path / "dist", attrs.evolve(PROPS, name="Bad"))
    assert list(tmp_path.iterdir()) == []
