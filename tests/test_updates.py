"""The example of automatic updates: Renovate finds the versions, and the workflow's commands exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdk8s_spicedb.cli import command_line
from cdk8s_spicedb.cli import main as cdk8s_spicedb
from cdk8s_spicedb.props.datastores import ENGINES
from cdk8s_spicedb.versions import known_releases
from tests.programs import ROOT

_EXAMPLE = ROOT / "examples" / "updates"
_CONFIG: dict[str, Any] = json.loads((_EXAMPLE / "renovate.json").read_text())
_WORKFLOW: Any = yaml.safe_load((_EXAMPLE / "upgrade-plan.yaml").read_text())
_JOB: dict[str, Any] = _WORKFLOW["jobs"]["plan"]
_SCRIPTS = {step["name"]: step["run"] for step in _JOB["steps"] if "name" in step}
_PYTHON = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*/main.py"))
_FILES = ["examples/updates/spicedb.yaml", "examples/environments/base.yaml", "examples/tenants/base.yaml"]


def found(path: str, text: str) -> list[str]:
    """The versions that Renovate finds in a file. A file's pattern stands between slashes."""
    return [
        match["currentValue"]
        for manager in _CONFIG["customManagers"]
        if any(re.search(pattern.strip("/"), path) for pattern in manager["managerFilePatterns"])
        for expression in manager["matchStrings"]
        for match in re.finditer(expression.replace("(?<", "(?P<"), text)
    ]


@pytest.mark.parametrize("path", [*_FILES, *_PYTHON, "main.py"])
def test_the_version_in_each_file_is_found(path: str) -> None:
    text = (ROOT / path).read_text()
    versions = re.findall(r"\bversion(?:=\"|: )(v[\d.]+)", text)
    assert versions
    # The name is the one that the configuration looks for.
    assert found("spicedb.yaml" if path.endswith(".yaml") else path, text) == versions


def test_the_version_of_a_new_file_is_found(tmp_path: Path) -> None:
    assert cdk8s_spicedb(["init", "--output", str(tmp_path / "spicedb.yaml")]) == 0
    assert found("apps/spicedb.yaml", (tmp_path / "spicedb.yaml").read_text()) == [known_releases().newest]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("spicedb.yaml", "# version: v1.56.0\nserver:\n  version: v1.2.3\n"),
        ("other.yaml", "version: v1.56.0"),
        ("main.py", 'write_helm_chart(folder, props, version="1.0.0")'),
        ("main.py", 'SpiceDBProps(version=VERSION, image="spicedb:v1.56.0")'),
    ],
)
def test_other_versions_are_not_found(path: str, text: str) -> None:
    assert found(path, text) == []


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_quotes_around_a_version_are_accepted(quote: str) -> None:
    assert found("spicedb.yaml", f"name: a\nversion: {quote}v1.56.0{quote} # newest\n") == ["v1.56.0"]


def test_each_manager_gives_all_that_renovate_needs() -> None:
    for manager in _CONFIG["customManagers"]:
        assert manager["customType"] == "regex"
        assert (manager["depNameTemplate"], manager["datasourceTemplate"]) == ("authzed/spicedb", "github-releases")
        assert all("(?<currentValue>" in expression for expression in manager["matchStrings"])
    (rule,) = _CONFIG["packageRules"]
    assert rule["matchPackageNames"] == ["authzed/spicedb"]


# ---------------------------------------------------------------- the workflow


def test_actions_are_pinned() -> None:
    text = (_EXAMPLE / "upgrade-plan.yaml").read_text()
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used)


def test_the_workflow_may_only_read_and_comment() -> None:
    assert _WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    # YAML 1.1 reads the key as true.
    assert _WORKFLOW[True] == {"pull_request": {"paths": [_JOB["env"]["FILE"]]}}
    # What comes from the pull request reaches a script only as a variable.
    assert not any("${{" in script for script in _SCRIPTS.values())


def test_the_commands_of_the_workflow_exist() -> None:
    lines = re.findall(r"cdk8s-spicedb (.*?) >", _SCRIPTS["Plan"])
    assert len(lines) == 1
    values = {"$ENGINE": _JOB["env"]["ENGINE"], "$FROM": "v1.52.0", "$TO": "v1.57.1"}
    options = command_line().parse_args([values.get(word, word) for word in shlex.split(lines[0])])
    assert (options.engine, options.current, options.target, options.output) == (
        _JOB["env"]["ENGINE"],
        "v1.52.0",
        "v1.57.1",
        "markdown",
    )
    assert _JOB["env"]["ENGINE"] in ENGINES


def run(script: str, folder: Path, **environment: str) -> None:
    """Runs a script of the workflow as GitHub does."""
    files = {name: str(folder / name) for name in ("GITHUB_ENV", "GITHUB_STEP_SUMMARY")}

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, **files, **_JOB["env"], "PATH": path, **environment}
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=env, check=True)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize("file", ["spicedb.yaml", "main.py"])
def test_the_scripts_compare_the_version_with_the_base_branch(file: str, tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        name = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *name, *arguments], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)

    text = (_EXAMPLE / file).read_text()
    git("init", "--quiet")
    for version in ("v1.52.0", "v1.57.1"):
        (tmp_path / file).write_text(text.replace("v1.57.1", version))
        git("add", file)
        git("commit", "--quiet", "--message", version)
    run(_SCRIPTS["Read both versions"], tmp_path, FILE=file)
    versions = dict(line.split("=") for line in (tmp_path / "GITHUB_ENV").read_text().splitlines())
    assert versions == {"FROM": "v1.52.0", "TO": "v1.57.1"}
    run(_SCRIPTS["Plan"], tmp_path, **versions)
    plan = (tmp_path / "plan.md").read_text()
    assert plan.startswith("### SpiceDB v1.52.0 → v1.57.1 on postgres\n")
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == plan
    run(_SCRIPTS["Plan"], tmp_path, FROM="v1.57.1", TO="v1.52.0")
    assert (tmp_path / "plan.md").read_text().startswith("### No plan from SpiceDB v1.57.1 to v1.52.0\n```text\n")


@pytest.mark.parametrize("earlier", ["", "42"])
def test_the_comment_is_written_once_and_then_changed(earlier: str, tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text("### A plan\n")
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >>calls\n[ "$2" = --paginate ] && echo {earlier}\ntrue\n')
    gh.chmod(0o755)

    settings = {"GITHUB_REPOSITORY": "me/authz", "NUMBER": "7", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run(_SCRIPTS["Comment"], tmp_path, **settings)
    last = (tmp_path / "calls").read_text().splitlines()[-1]
    place = "PATCH repos/me/authz/issues/comments/42" if earlier else "POST repos/me/authz/issues/7/comments"
    assert last == f"api --silent --method {place} --field body=@comment.md"
    assert (tmp_path / "comment.md").read_text() == "<!-- upgrade plan -->\n### A plan\n"


def test_the_readme_shows_a_comment_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--engine postgres --from v1.52.0 --to v1.57.1 --output markdown"
    assert cdk8s_spicedb(["plan", *arguments.split()]) == 0
    quoted = re.findall(r"^> ?(.*)$", (_EXAMPLE / "README.md").read_text(), re.MULTILINE)
    assert capsys.readouterr().out.startswith("\n".join(quoted) + "\n")
