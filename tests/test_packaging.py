"""The contents and the metadata of the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.parser import Parser

import pytest

from tests.programs import ROOT
from tools.tagged import problems


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("cdk8s_spicedb-*-py3-none-any.whl")
    return zipfile.ZipFile(file)


def test_wheel_contains_only_the_package(wheel: zipfile.ZipFile) -> None:
    modules = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib").rglob("*.py")}
    data = {f"cdk8s_spicedb/{name}" for name in ("files/init.yaml", "py.typed", "versions/releases.json")}
    scripts = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib").rglob("scripts/*.*")}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == modules | data | scripts


def test_wheel_requires_only_the_runtime_dependencies(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Requires-Python"] == ">=3.10"
    required = metadata.get_all("Requires-Dist", [])
    names = {line.split("<")[0].split(">")[0] for line in required if "extra ==" not in line}
    assert names == {"attrs", "annotated-types", "cdk8s", "cdk8s-plus-27", "constructs", "jsonpatch", "pyyaml"}
    extra = {line.split("<")[0].split(">")[0] for line in required if "extra == 'live'" in line}
    assert extra == {"cryptography", "lightkube", "prometheus-client", "rich"}
    assert metadata["License-Expression"] == "Apache-2.0"


def test_every_development_dependency_is_pinned() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    group = text.split("[dependency-groups]")[1].split("]")[0]
    assert group.count('",') == group.count("==") > 5


def test_version_is_ready_to_be_tagged() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version, source = (re.findall(rf'^{name} = "(.*)"$', project, re.MULTILINE)[0] for name in ("version", "Source"))
    assert list(problems(f"v{version}", source)) == []
    assert len(list(problems("v9.9.9", source))) == 1
    assert len(list(problems(f"v{version}", "https://git.example.com/other"))) == 1


def test_metadata_names_every_supported_python_and_the_addresses(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    metadata = Parser().parsestr(wheel.read(name).decode())
    classifiers = metadata.get_all("Classifier", [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} <= set(classifiers)
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert {"Source", "Documentation", "Changelog", "Issues"} <= urls.keys()
