"""``synth --each``: many SpiceDBs from one base, in one call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdk8s_spicedb.cli import main
from tests import fast_yaml
from tests.programs import contents, stamps

BASE = "delivery: kubectl\ndatastore: {engine: postgres, uri: {name: spicedb, key: uri}}\nserver: {replicas: 2}\n"
ARGUMENTS = ("synth", "-f", "base.yaml", "--each")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base and the files of three tenants, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "tenants").mkdir()
    for name in ("acme", "globex", "initech"):
        (tmp_path / "tenants" / f"{name}.yaml").write_text(f"name: {name}\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main([*ARGUMENTS, *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_each_file_has_a_folder(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "tenants" / "acme.yaml").write_text("name: acme\nserver: {replicas: 5}")
    code, out, err = run(capsys, "tenants/acme.yaml", "tenants/globex.yaml", "tenants/initech.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("Wrote dist: 3 folders; acme, globex, initech changed.\n")
    assert "For acme, with these keys: acme (preshared-key), spicedb (uri)." in out
    assert "Next, for each folder, such as acme: kubectl apply --filename dist/acme" in out
    found = contents(folder / "dist")
    assert set(found) == {f"{name}/{name}.k8s.yaml" for name in ("acme", "globex", "initech")}
    (deployment,) = (
        each for each in fast_yaml.load_all(found["acme/acme.k8s.yaml"]) if each and each["kind"] == "Deployment"
    )
    assert deployment["spec"]["replicas"] == 5


def test_a_pattern_is_expanded(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert run(capsys, "tenants/*.yaml")[1].startswith("Wrote dist: 3 folders")
    assert run(capsys, "*/[ag]*.yaml")[1].startswith(
        "Wrote dist: 2 folders; nothing changed.\nRemoved initech, which no file describes any longer.\n"
    )


def test_the_option_can_be_repeated(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    out = run(capsys, "tenants/acme.yaml", "--each", "tenants/globex.yaml")[1]
    assert out.startswith("Wrote dist: 2 folders; acme, globex changed.\n")


def test_folders_can_be_charts(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("metadata.yaml").write_text("maintainers: [{name: platform}]")
    options = ("--delivery", "helm", "--chart-version", "2.0.0", "--chart-metadata", "metadata.yaml", "-o", "charts")
    code, out, _ = run(capsys, "tenants/*.yaml", *options)
    assert code == 0
    assert "such as acme: helm upgrade --install acme charts/acme --wait" in out
    chart = fast_yaml.load((folder / "charts" / "globex" / "Chart.yaml").read_text())
    assert (chart["name"], chart["version"]) == ("globex", "2.0.0")
    assert chart["maintainers"] == [{"name": "platform"}]
    assert main(["synth", "-f", "base.yaml", "-f", "tenants/acme.yaml", "--delivery", "helm", "-o", "one"]) == 0
    one, each = contents(folder / "one"), contents(folder / "charts" / "acme")
    assert {path for path in one if one[path] != each[path]} == {"Chart.yaml"}


def test_without_a_base_each_file_stands_alone(folder: Path) -> None:
    (folder / "tenants" / "acme.yaml").write_text(f"name: acme\n{BASE}")
    assert main(["synth", "--each", "tenants/acme.yaml"]) == 0


@pytest.mark.parametrize("delivery", ["helm", "argocd", "kubectl"])
def test_only_what_changed_is_written(delivery: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    run(capsys, "tenants/*.yaml", "--delivery", delivery)
    before = stamps(folder / "dist")
    assert "3 folders; nothing changed." in run(capsys, "tenants/*.yaml", "--delivery", delivery)[1]
    assert stamps(folder / "dist") == before
    (folder / "tenants" / "globex.yaml").write_text("name: globex\nserver: {replicas: 3}")
    assert "3 folders; globex changed." in run(capsys, "tenants/*.yaml", "--delivery", delivery)[1]
    after = stamps(folder / "dist")
    assert after.keys() == before.keys()
    assert {path.split("/")[0] for path in after if after[path] != before[path]} == {"globex"}


def test_a_patch_that_fits_nothing_is_an_error_about_its_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    patch = "patches: [{kind: Secret, operations: [{op: remove, path: /data}]}]"
    (folder / "tenants" / "globex.yaml").write_text(f"name: globex\n{patch}")
    code, _, err = run(capsys, "tenants/*.yaml")
    assert code == 1
    assert "globex.patches[0] = Secret (any)" in err
    assert not (folder / "dist").exists()


def test_nothing_is_written_if_one_file_is_wrong(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    run(capsys, "tenants/*.yaml")
    before = contents(folder / "dist")
    (folder / "base.yaml").write_text(f"{BASE}labels: {{team: identity}}")
    (folder / "tenants" / "globex.yaml").write_text("name: globex\nserver: {replica: 3}\n")
    (folder / "tenants" / "initech.yaml").write_text("name: Initech")
    code, out, err = run(capsys, "tenants/*.yaml")
    assert (code, out) == (1, "")
    assert "1 problem in base.yaml and tenants/globex.yaml:\n  server.replica (tenants/globex.yaml, line 2)" in err
    assert "  name (tenants/initech.yaml, line 1) = 'Initech'" in err
    assert contents(folder / "dist") == before


def test_only_the_first_files_with_problems_are_printed(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "base.yaml").write_text("server: {replicas: 2}")
    for number in range(5):
        (folder / "tenants" / f"t{number}.yaml").write_text("")
    _, _, err = run(capsys, "tenants/*.yaml")
    assert err.count("datastore = (missing)") == 5
    assert err.endswith("\n3 more files have problems\n")


def test_files_that_cannot_be_read_are_printed_with_the_others(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "tenants" / "acme.yaml").write_text("name: [")
    (folder / "tenants" / "globex.yaml").write_text("name: Globex")
    _, _, err = run(capsys, "tenants/*.yaml", "missing.yaml")
    assert [name for name in ("tenants/acme.yaml", "'Globex'", "cannot read missing.yaml") if name not in err] == []


def test_warnings_are_printed_once(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "base.yaml").write_text(f"version: v9.0.0\n{BASE}")
    for number in range(4):
        (folder / "tenants" / f"t{number}.yaml").write_text("")
    _, _, err = run(capsys, "tenants/*.yaml")
    assert err.count("warning") == 1
    assert err.startswith("warning: acme, globex, initech, t0, t1 and 2 more: v9.0.0 is not among the releases")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-"], "--each cannot read standard input"),
        (["no/*.yaml"], "cannot read no/*.yaml: no file has such a name"),
        (["no.yaml"], "cannot read no.yaml: No such file or directory"),
        (["tenants/acme.yaml", "acme.yml"], "tenants/acme.yaml and acme.yml both have the name acme"),
        (["tenants/acme.yaml", "--chart-version", "1"], "cdk8s-spicedb synth:\n  --chart-version = '1'"),
        (["tenants/acme.yaml", "-o", "tenants"], "it contains acme.yaml, which this program did not write"),
    ],
)
def test_what_cannot_be_written_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "acme.yml").write_text("")
    before = contents(folder)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert contents(folder) == before


def test_forty_folders_take_two_seconds_of_a_processor(folder: Path) -> None:
    for number in range(37):
        (folder / "tenants" / f"tenant-{number}.yaml").write_text(f"name: tenant-{number}\n")
    program = [sys.executable, "-m", "cdk8s_spicedb", *ARGUMENTS, "tenants/*.yaml", "--delivery", "helm"]
    before = os.times()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    assert len(list((folder / "dist").iterdir())) == 40
    used = after.children_user - before.children_user + after.children_system - before.children_system
    assert used < 2
