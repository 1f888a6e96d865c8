"""The examples with several files: their commands work, and Python says the same."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from collections.abc import Mapping
from glob import glob
from pathlib import Path

import pytest

from cdk8s_spicedb import SpiceDBProps
from cdk8s_spicedb.cli import command_line, main
from cdk8s_spicedb.files.read import document, merge, props_of, read_props
from cdk8s_spicedb.manifests import release_manifests
from tests.programs import ROOT, contents

_ENVIRONMENTS, _TENANTS = ROOT / "examples" / "environments", ROOT / "examples" / "tenants"
_ON_A_CLUSTER = ("check", "diff", "upgrade")


def merged(*paths: Path) -> SpiceDBProps:
    """The props of two files."""
    base, later = (document(path.read_text(), path.name) for path in paths)
    return props_of(merge(base, later))


def module(folder: Path) -> Mapping[str, object]:
    """The variables of an example in Python."""
    return runpy.run_path(str(folder / "main.py"))


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_environments_are_the_same_in_files_and_in_python(name: str) -> None:
    environments = module(_ENVIRONMENTS)["ENVIRONMENTS"]
    assert isinstance(environments, dict)
    assert merged(_ENVIRONMENTS / "base.yaml", _ENVIRONMENTS / f"{name}.yaml") == environments[name]


def test_tenants_are_the_same_in_files_and_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = module(_TENANTS)
    tenants, tenant = found["TENANTS"], found["tenant"]
    assert isinstance(tenants, dict)
    assert callable(tenant)
    for name, server in tenants.items():
        props = merged(_TENANTS / "base.yaml", _TENANTS / "tenants" / f"{name}.yaml")
        assert release_manifests(props) == release_manifests(tenant(name, server))


def test_cockroachdb_is_the_same_in_a_file_and_in_python() -> None:
    example = ROOT / "examples" / "cockroachdb"
    props = read_props((example / "spicedb.yaml").read_text(), "spicedb.yaml")
    assert props == module(example)["PROPS"]


def test_every_tenant_has_its_own_name() -> None:
    files = sorted((_TENANTS / "tenants").iterdir())
    assert len(files) == 40
    assert [merged(_TENANTS / "base.yaml", file).name for file in files] == [file.stem for file in files]


@pytest.mark.parametrize(("example", "count"), [(_ENVIRONMENTS, 2), (_TENANTS, 1)], ids=lambda value: str(value)[-9:])
def test_commands_of_the_readme_run(example: Path, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(example, tmp_path / "example", ignore=shutil.ignore_patterns("dist"))
    monkeypatch.chdir(folder)
    lines = re.findall(r"^    cdk8s-spicedb (.*)$", (example / "README.md").read_text(), re.MULTILINE)
    written = 0
    for line in lines:
        words = [path for word in shlex.split(line) for path in (sorted(glob(word)) if "*" in word else [word])]
        if words[0] in _ON_A_CLUSTER:
            options = vars(command_line().parse_args(words))
            given = len(options["file"]), len(options.get("each") or ())
            assert given == ((1, 40) if "--each" in words else (2, 0))
        else:
            shutil.rmtree(folder / "dist", ignore_errors=True)
            assert main(words) == 0
            written += 1
    assert written == count
    expected = 40 if example is _TENANTS else 3
    assert len({path.split("/")[0] for path in contents(folder / "dist")}) == expected
