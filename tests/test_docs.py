"""The documentation: its code runs, its errors are current, and its links work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from cdk8s_spicedb import InvalidProps, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.cli import command_line, main
from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.props import require
from tests import fast_yaml
from tests.pages import BY_HAND, PAGES, blocks
from tests.programs import ROOT
from tools.figures import TABLE

_ON_A_CLUSTER = (
    *("install", "uninstall", "status", "check", "diff", "upgrade", "rollback"),
    *("backup", "restore", "compare", "rehearse"),
)
"""Commands that the cluster tests run. Here, only their options are checked."""
_INSTALL = ROOT / "docs" / "install"
_SITE = "https://cdk8s-spicedb.github.io/cdk8s-spicedb/"
_REPOSITORY = "cdk8s-spicedb/cdk8s-spicedb"
_OF_REPOSITORY = rf"https://(?:github\.com/{_REPOSITORY}/blob|raw\.githubusercontent\.com/{_REPOSITORY})/main/(.*)"


def _command_lines(page: Path) -> list[str]:
    """The cdk8s-spicedb commands of a page, without pipes and redirections."""
    text = re.sub(r" \\\n +", " ", page.read_text())
    return re.findall(r"^(?: {4}| {8}|\$ )cdk8s-spicedb ([^>|\n]*)", text, re.MULTILINE)


# The tests of the examples run theirs.
_WITH_COMMANDS = [page for page in PAGES if "examples" not in page.parts and _command_lines(page)]

# Each block has variables of its own.
_RUN = """
import sys
for name, code in zip(sys.argv[1::2], sys.argv[2::2]):
    exec(compile(code, name, "exec"), {"__name__": "__main__"})
"""
_CODE = {
    page: [word for number, block in enumerate(found, 1) for word in (f"{page.name}, block {number}", block)]
    for page in PAGES
    if (found := blocks("python", page))
}


@pytest.mark.parametrize("page", _CODE, ids=lambda page: page.stem)
def test_code_runs(page: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", _RUN, *_CODE[page]]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_readme_example_uses_the_datastore_of_main() -> None:
    assert 'datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))' in blocks("python", ROOT / "README.md")[0]
    assert 'datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))' in (ROOT / "main.py").read_text()


@pytest.mark.parametrize("page", _WITH_COMMANDS, ids=lambda page: page.name)
def test_command_lines_run(
    page: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = _command_lines(page)
    if any("--releases releases.yaml" in line for line in lines):
        (releases,) = (block for block in blocks("yaml", page) if block.startswith("v"))
        (tmp_path / "releases.yaml").write_text(releases)
    if any("--chart-metadata metadata.yaml" in line for line in lines):
        (metadata,) = (block for block in blocks("yaml", page) if block.startswith("icon: "))
        (tmp_path / "metadata.yaml").write_text(metadata)
    if not any(line.startswith("init") for line in lines):
        lines.insert(0, "init")  # the page expects an existing spicedb.yaml
    for line in lines:
        words = shlex.split(line, comments=True)
        # There may be no program to learn from. A plan asks the cluster what runs, unless --from says it.
        asks = words[0] == "plan" and "--from" not in words
        if words[0] in (*_ON_A_CLUSTER, "learn") or asks or "--run" in words:
            command_line().parse_args(words)
        else:
            assert main(words) == 0
            assert capsys.readouterr().out


def test_first_pages_contain_synth_commands() -> None:
    tutorial = ROOT / "docs" / "get-started" / "first.md"
    for page in (ROOT / "README.md", tutorial, _INSTALL / "files.md", _INSTALL / "delivery.md"):
        assert any(line.startswith("synth") for line in _command_lines(page))


def test_outputs_on_the_install_page_are_current(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = r"^    cdk8s-spicedb (\w+)\n\nThe output is similar to:\n\n```console\n(.*?)^```"
    outputs = re.findall(shown, (_INSTALL / "files.md").read_text(), re.MULTILINE | re.DOTALL)
    assert [command for command, _ in outputs] == ["init", "synth"]
    for command, output in outputs:
        assert main([command]) == 0
        assert capsys.readouterr().out == output


def test_documented_error_of_props_is_current() -> None:
    database = PostgreSQL(host="db", port=99999, database="d", user="u", password=SecretKey("s", "k"))
    with pytest.raises(InvalidProps) as raised:
        require(SpiceDBProps(datastore=database, server=ServerProps(replicas=0)))
    assert blocks("text", _INSTALL / "python.md")[0] == f"cdk8s_spicedb.errors.InvalidProps: {raised.value}\n"


def test_documented_error_of_a_file_is_current() -> None:
    text = "datastore: {engine: memory}" + "\n" * 10 + "server:\n  replica: 3\n\nmigration:\n  targetPhase: writ\n"
    with pytest.raises(InvalidProps) as raised:
        read_props(text, "spicedb.yaml")
    documented = blocks("text", _INSTALL / "files.md")[0].splitlines()
    assert len(documented) == 7
    for line, actual in zip(documented, str(raised.value).splitlines(), strict=True):
        assert actual.startswith(line.removesuffix("…")), "a shortened line must end with …"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_page_is_listed() -> None:
    page = ROOT / "docs" / "index.md"
    linked = {(page.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())}
    assert [page.name for page in ROOT.glob("docs/*/*.md") if page not in linked] == []


def _anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    return {slugify(heading, "-") for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)}


def test_links_of_the_readme_exist() -> None:
    """They are absolute, because PyPI shows the README without the repository."""
    linked = []
    for target in re.findall(r"(?:\]\(|\]: )(https://[^\s)]+)", (ROOT / "README.md").read_text()):
        path, _, anchor = target.partition("#")
        if path.startswith(_SITE):
            page = path.removeprefix(_SITE).strip("/")
            file = ROOT / (f"{page}.md" if page else "docs/index.md")
        elif found := re.fullmatch(_OF_REPOSITORY, path):
            file = ROOT / found[1]
        else:
            continue
        assert file.is_file(), target
        assert not anchor or anchor in _anchors(file), target
        linked.append(file)
    sections = {folder for folder in (ROOT / "docs").iterdir() if folder.is_dir()}
    assert sections <= {file.parent for file in linked}, "a section of the documentation has no link"
    assert ROOT / "docs" / "index.md" in linked


def test_each_page_has_a_name_of_its_own() -> None:
    """Names that differ only in their folder or an s at the end are easy to confuse."""
    names = [page.stem.removesuffix("s") for page in ROOT.glob("docs/**/*.md")]
    assert sorted(names) == sorted(set(names))


def test_pages_by_hand_are_short_enough_to_read() -> None:
    """Empty lines do not count, and neither does what `make reference` writes: whole pages, and tables of figures."""
    pages = [page for page in BY_HAND if ROOT / "docs" in page.parents]
    by_hand = [line for page in pages for line in TABLE.sub("", page.read_text()).splitlines() if line.strip()]
    assert len(by_hand) <= 4500


def test_every_policy_exception_has_a_reason() -> None:
    settings = fast_yaml.load((ROOT / ".checkov.yaml").read_text())
    exceptions = [*settings["skip-check"], *re.findall(r"--ignore-test ([a-z-]+)", (ROOT / "Makefile").read_text())]
    rows = re.findall(
        r"^\| (?:checkov|kube-score) `.*", (ROOT / "docs/reference/policies.md").read_text(), re.MULTILINE
    )
    assert sorted(re.findall(r"(?:checkov|kube-score) `([\w-]+)`", "".join(rows))) == sorted(exceptions)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = re.findall(r"(?:`|^    )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    assert set(used) <= set(targets)


def test_every_make_target_has_a_description() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    described = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets == described
