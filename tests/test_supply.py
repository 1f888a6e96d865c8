"""What builds and publishes the package: nothing in it can change under its name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import ROOT

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
LISTS = sorted((ROOT / "tools").glob("*.txt"))
RELEASE: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
PROJECT = (ROOT / "pyproject.toml").read_text()
GROUPS = PROJECT.split("[dependency-groups]")[1].split("\n[tool")[0]


def steps(job: str, name: str) -> list[Any]:
    """The values that the steps of a job have for a name."""
    return [step[name] for step in RELEASE[job]["steps"] if name in step]


def needed(job: str) -> set[str]:
    """The jobs that a job waits for, also through others."""
    found = RELEASE[job].get("needs", [])
    names = {found} if isinstance(found, str) else set(found)
    return names.union(*map(needed, names))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_named_by_commit_and_jobs_end(file: Path) -> None:
    text = file.read_text()
    actions = re.findall(r"^ +(?:- )?uses: (.*)$", text, re.MULTILINE)
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60, name
        assert "${{" not in "".join(step.get("run", "") for step in job["steps"]), name


def test_the_job_that_builds_installs_only_hatchling() -> None:
    assert [line.split()[:2] for line in steps("build", "run")] == [["python3", "tools/tagged.py"], ["make", "wheel"]]
    assert "--require-hashes --only-binary :all: --requirement" in makefile()
    assert re.search(r"^\t\.wheel/bin/python \$\(INSTALL\) tools/wheel\.txt\n\t@touch", makefile(), re.MULTILINE)
    assert re.search(r"^wheel: \.wheel/ready .*\n\t@rm.*\n\t\.wheel/bin/python -m hatchling", makefile(), re.MULTILINE)


def test_what_was_built_is_tested_and_attested_before_it_is_published() -> None:
    assert needed("publish") == {"build", "test", "attest"}
    assert needed("attest") == {"build", "test"}
    for job in ("test", "attest", "publish"):
        downloads = [step["with"] for step in RELEASE[job]["steps"] if "download-artifact" in step.get("uses", "")]
        assert downloads[0]["artifact-ids"] == "${{ needs.build.outputs.dist }}"
        assert all("artifact-ids" in each for each in downloads), "a name can be given to other files later"
    assert RELEASE["build"]["permissions"] == RELEASE["test"]["permissions"] == {"contents": "read"}
    for job in ("attest", "publish"):
        assert not steps(job, "run")


def test_the_job_that_publishes_the_site_runs_nothing_of_the_repository() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "docs.yml").read_text())["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert [step["run"] for step in jobs["build"]["steps"] if "run" in step] == ["make docs"]
    assert [step["uses"].partition("@")[0] for step in jobs["publish"]["steps"]] == ["actions/deploy-pages"]


def makefile() -> str:
    return (ROOT / "Makefile").read_text()


def test_every_file_that_make_installs_has_a_hash() -> None:
    installs = re.findall(r"^\t(\S+) (?:-m pip install|\$\(INSTALL\)) (.*)$", makefile(), re.MULTILINE)
    lists = {arguments for _, arguments in installs if arguments.startswith("tools/")}
    assert lists == {f"tools/{each.name}" for each in LISTS} == {f"tools/{each}.txt" for each in groups()}
    # The package itself.
    rest = {(program, arguments) for program, arguments in installs if arguments not in lists}
    assert rest == {(".venv/bin/python", "--quiet --no-deps --no-build-isolation --editable .")}
    assert re.findall(r"npm \w+", makefile()) == ["npm ci"]


def groups() -> dict[str, list[str]]:
    """The requirements of each group of tools, without those of other groups that it includes."""
    found = re.findall(r"^(\w+) = \[(.*?)\]$", GROUPS, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r'"([^"]*==[^"]*)"', text) for name, text in found}


@pytest.mark.parametrize("name", ["wheel", "package", "policies", "dev"])
def test_lists_have_a_version_and_hashes_of_every_package(name: str) -> None:
    text = (ROOT / "tools" / f"{name}.txt").read_text().replace("\\\n", "")
    versions = {}
    for line in text.splitlines():
        package, *hashes = line.split(" --hash=")
        found = re.fullmatch(r"([\w.-]+)(?:\[[\w, -]+\])?==([\w.]+)( ; .*)?", package.strip())
        assert found is not None, line
        versions[found[1].replace("_", "-").lower()] = found[2]
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", each) for each in hashes), line
    for requirement in groups()[name]:
        package, _, version = requirement.partition("==")
        assert versions[package] == version
    if name == "dev":
        runtime = re.findall(r'^ {4}"([a-z0-9-]+)[<>]', PROJECT, re.MULTILINE)
        assert len(runtime) > 10
        assert set(runtime) <= versions.keys()


def test_the_wheel_is_built_with_the_version_that_the_package_names() -> None:
    (built_with,) = re.findall(r'^requires = \["(.*)"\]$', PROJECT, re.MULTILINE)
    assert groups()["wheel"] == [built_with]


def test_npm_runs_no_scripts_and_checks_every_package() -> None:
    assert "ignore-scripts=true" in (ROOT / ".npmrc").read_text().splitlines()
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert len(packages) > 100
    for path, package in packages.items():
        assert "hasInstallScript" not in package, path
        assert not path or package.get("inBundle") or package["integrity"].startswith("sha512-"), path
