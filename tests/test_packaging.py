"""The contents and the metadata of the wheel."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

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


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def required(wheel: zipfile.ZipFile) -> tuple[set[str], set[str], set[str]]:
    """The packages that the wheel requires: always, and with the extras `live` and `data`."""
    lines = metadata(wheel).get_all("Requires-Dist", [])
    names = {line: re.split("[<>=; ]", line)[0] for line in lines}
    live, data = ({name for line, name in names.items() if f"extra == '{each}'" in line} for each in ("live", "data"))
    return set(names.values()) - live - data, live, data


def test_wheel_contains_only_the_package(wheel: zipfile.ZipFile) -> None:
    modules = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib").rglob("*.py")}
    data = {
        f"cdk8s_spicedb/{name}"
        for name in ("files/init.yaml", "py.typed", "versions/releases.json", "versions/flags.json")
    }
    scripts = {str(file.relative_to(ROOT / "lib")) for file in (ROOT / "lib").rglob("scripts/*.*")}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == modules | data | scripts


def test_wheel_requires_only_the_runtime_dependencies(wheel: zipfile.ZipFile) -> None:
    core, live, data = required(wheel)
    assert metadata(wheel)["Requires-Python"] == ">=3.10"
    assert core == {
        *("attrs", "annotated-types", "cattrs", "cdk8s", "cdk8s-plus-27", "constructs"),
        *("jsonpatch", "jsonpointer", "pyyaml", "shtab"),
    }
    assert live == {"cryptography", "httpx2", "prometheus-client", "rich"}
    assert data == {"authzed", "cramjam", "fastavro", "grpcio", "protobuf"}
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"


def imports(text: str) -> Iterator[str]:
    """The packages that a module imports, at any place, also for types only."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        yield from (name.split(".")[0] for name in names)


@functools.cache
def distributions() -> dict[str, set[str]]:
    """The installed distributions that bring each package, by their files. Python 3.10's own function omits most."""
    found: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            found.setdefault(file.parts[0].removesuffix(".py"), set()).add(distribution.name.lower().replace("_", "-"))
    return found


def undeclared(text: str, declared: set[str]) -> set[str]:
    """Imported packages, except Python's own, that no declared requirement brings by itself."""
    known = distributions()
    others = set(imports(text)) - sys.stdlib_module_names
    return {name for name in others if not declared & known[name]}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("import yaml, re\nfrom attrs import frozen\nfrom . import rich", set()),
        ("def f():\n    from rich.table import Table\n    import lightkube.core", {"rich", "lightkube"}),
    ],
)
def test_undeclared_imports_are_found(text: str, missing: set[str]) -> None:
    assert undeclared(text, {"attrs", "pyyaml"}) == missing


def test_what_a_module_imports_is_declared(wheel: zipfile.ZipFile) -> None:
    core, live, data = required(wheel)
    package = ROOT / "lib" / "cdk8s_spicedb"
    found: dict[Path, set[str]] = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).parts
        declared = core | (live if parts[0] in ("cli", "live") else set())
        if parts[:2] in (("live", "data"), ("live", "rehearsal"), ("cli", "backup.py")):
            declared |= data
        if missing := undeclared(path.read_text(), declared):
            found[path.relative_to(package)] = missing
    assert found == {}


def test_every_development_dependency_is_pinned() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    groups = text.split("[dependency-groups]")[1].split("\n[tool")[0]
    assert len(re.findall(r'"\S+"', groups)) - 1 == groups.count("==") > 20, "one is the name of a group"


def test_version_is_ready_to_be_tagged() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version, source = (re.findall(rf'^{name} = "(.*)"$', project, re.MULTILINE)[0] for name in ("version", "Source"))
    assert list(problems(f"v{version}", source)) == []
    assert len(list(problems("v9.9.9", source))) == 1
    assert len(list(problems(f"v{version}", "https://git.example.com/other"))) == 1


def test_metadata_names_every_supported_python_and_the_addresses(wheel: zipfile.ZipFile) -> None:
    classifiers = metadata(wheel).get_all("Classifier", [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} <= set(classifiers)
    urls = dict(line.split(", ") for line in metadata(wheel).get_all("Project-URL", []))
    assert {"Source", "Documentation", "Changelog", "Issues"} <= urls.keys()


def test_the_readme_has_no_relative_links(wheel: zipfile.ZipFile) -> None:
    """PyPI shows it without the repository."""
    text = str(metadata(wheel).get_payload())
    targets = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r"^\[[\w-]+\]: (.*)$", text, re.MULTILINE)]
    assert len(targets) > 20
    assert [target for target in targets if not target.startswith("https://")] == []
    assert "```mermaid" not in text, "PyPI draws none"
