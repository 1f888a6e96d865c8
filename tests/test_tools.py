"""The development tools in tools/."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import figures as measured
from cdk8s_spicedb import SpiceDBError, known_releases
from cdk8s_spicedb.versions import read_releases
from tests import fast_yaml
from tests.pages import BY_HAND, is_generated
from tests.programs import ROOT
from tools import advisories, cli, costs, figures, functions, objects, output, plans, release

_PRODUCTION = ROOT / "tests" / "snapshots" / "production" / "spicedb.k8s.yaml"
DATA: dict[str, Any] = json.loads(release.DATA.read_text())
Revisions = Mapping[str, list[str]]
KNOWN: Revisions = {engine: list(known["revisions"]) for engine, known in DATA["engines"].items()}
REGISTRATIONS = {
    "postgres": "if err := DatabaseMigrations.Register({new},\n\t{old},\n\t\tnoTx) ; err != nil {{",
    "cockroachdb": "err := CRDBMigrations.Register({new}, {old}, up, noAtomicMigration)",
    "mysql": "\tmustRegisterMigration({new}, {old}, noNonatomicMigration,",
    "spanner": "if err := SpannerMigrations.Register({new}, {old}, func(ctx) error {{",
}


def write_checkout(folder: Path, revisions: Revisions) -> Path:
    """Writes the files of a checkout that the tool reads."""
    for engine, name in release.FOLDERS.items():
        migrations = folder / "internal" / "datastore" / name / "migrations"
        migrations.mkdir(parents=True)
        previous = ""
        for number, revision in enumerate(revisions[engine]):
            source = REGISTRATIONS[engine].format(new=json.dumps(revision), old=json.dumps(previous))
            if engine == "postgres" and "index-for" in revision:
                source = f'registerIndexMigration(\n\tschema.Index,\n\t"{revision}",\n\t"{previous}",\n)'
            # The order of the files is not the order of the migrations.
            (migrations / f"zz_migration.{99 - number}.go").write_text(source)
            previous = revision
        (migrations / "zz_test.go").write_text('DatabaseMigrations.Register("from-a-test", "head")')
    return folder


def write_script(file: Path, text: str) -> Path:
    """Writes a shell script."""
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Replaces git with a script that prints a tag. The test needs no git."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return lambda name: write_script(programs / "git", f'[ "$3" = describe ] && echo {name}')


def write_program(folder: Path, version: str, heads: Mapping[str, str]) -> Path:
    """Writes a program with the output that the tool reads."""
    cases = "\n".join(
        f'  "datastore head --datastore-engine {engine}") echo {head};;' for engine, head in heads.items()
    )
    return write_script(
        folder / "spicedb",
        f'case "$*" in\n  version) echo "spicedb {version}";;\n{cases}\n'
        '  "migrate --help") printf "Flags:\\n  -h, --help   help\\n      --migration-timeout duration   1h\\n";;\n'
        '  "serve --help") printf "Flags:\\n      --grpc-addr string   x\\n";;\n'
        '  "serve --removed= --help") echo "unknown flag: --removed" >&2; exit 1;;\n  *) exit 1;;\nesac',
    )


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Lets the tool write to a temporary folder."""
    data, flags = tmp_path / "releases.json", tmp_path / "flags"
    data.write_text(release.DATA.read_text())
    flags.mkdir()
    monkeypatch.setattr(release, "DATA", data)
    monkeypatch.setattr(release, "FLAGS", flags)
    return data, flags


def test_releases_file_has_the_format_of_the_tool() -> None:
    assert release.text(DATA) + "\n" == release.DATA.read_text()
    assert json.loads(release.text(DATA)) == DATA


def test_checkout_of_a_known_release_changes_nothing(
    tmp_path: Path, files: tuple[Path, Path], tag: Callable[[str], object]
) -> None:
    tag("v1.56.0")
    checkout = write_checkout(tmp_path / "source", KNOWN)
    release.main([str(checkout)])
    assert files[0].read_text() == (ROOT / "lib" / "cdk8s_spicedb" / "versions" / "releases.json").read_text()
    assert list(files[1].iterdir()) == []


def test_checkout_adds_its_migrations(tmp_path: Path, files: tuple[Path, Path], tag: Callable[[str], object]) -> None:
    tag("v1.97.0")
    revisions = {**KNOWN, "postgres": [*KNOWN["postgres"], "add-a", "add-b"]}
    release.main([str(write_checkout(tmp_path / "source", revisions))])
    table = read_releases(json.loads(files[0].read_text()))
    assert table.newest == "v1.97.0"
    assert table.revisions("postgres", "v1.97.0")[-3:] == ("populate-schema-tables", "add-a", "add-b")
    assert table.revisions("mysql", "v1.97.0") == known_releases().revisions("mysql", "v1.56.0")
    assert table.allowed_migrations("postgres", "v1.56.0") == ("add-b",)


def test_program_adds_its_heads_and_flags(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()} | {"spanner": "add-c"}
    release.main([str(write_program(tmp_path, "v1.97.0", heads))])
    table = read_releases(json.loads(files[0].read_text()))
    assert table.revisions("spanner", "v1.97.0")[-1] == "add-c"
    assert table.revisions("postgres", "v1.97.0")[-1] == "populate-schema-tables"
    flags = json.loads((files[1] / "v1.97.0.json").read_text())
    assert flags == {"migrate": ["help", "migration-timeout"], "serve": ["grpc-addr"]}


def test_the_newest_of_several_releases_with_the_same_flags_is_kept(tmp_path: Path, files: tuple[Path, Path]) -> None:
    flags = {"migrate": ["help", "migration-timeout"], "serve": ["grpc-addr"]}
    for version, found in {"v1.55.0": {**flags, "serve": []}, "v1.56.0": flags, "v1.98.0": flags}.items():
        (files[1] / f"{version}.json").write_text(json.dumps(found, indent=2) + "\n")
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()}
    release.main([str(write_program(tmp_path, "v1.97.0", heads))])
    assert sorted(file.stem for file in files[1].iterdir()) == ["v1.55.0", "v1.97.0", "v1.98.0"]


def test_a_version_is_downloaded_and_built(
    tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_checkout(tmp_path / "spicedb@v1.97.0", KNOWN)
    (folder / "CHANGELOG.md").write_text("## [1.56.9] - 2026-11-01 [YANKED]\n## [1.50.0] - 2026-03-19 [YANKED]\n")
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()}
    write_program(tmp_path, "v1.97.0", heads)
    go = f'''case "$1 $2" in
  "mod download") [ "$4" = github.com/authzed/spicedb@v1.97.0 ] && echo \'{{"Dir": "{folder}"}}\';;
  "install github.com/authzed/spicedb/cmd/spicedb@v1.97.0") cp {tmp_path}/spicedb "$GOBIN/spicedb";;
  *) exit 1;;
esac'''
    (tmp_path / "bin").mkdir()
    write_script(tmp_path / "bin" / "go", go)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    release.main(["v1.97.0"])
    assert read_releases(json.loads(files[0].read_text())).newest == "v1.97.0"
    assert (files[1] / "v1.97.0.json").exists()
    assert "The changelog marks v1.56.9 as withdrawn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo "go: requires go >= 1.99" >&2; exit 1', "go mod download -json .* failed:\ngo: requires go >= 1.99"),
        ('[ "$GOTOOLCHAIN" = auto ] || exit 0; echo "no such release"; exit 1', "no such release\nInstall the Go"),
    ],
)
def test_a_failure_of_go_is_a_clear_error(
    script: str, message: str, tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_script(tmp_path / "go", script)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    with pytest.raises(SystemExit, match=message):
        release.main(["v1.97.0"])


def test_a_missing_go_is_a_clear_error(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        SystemExit, match=r"There is no program go\. Install the Go that the release needs, or pass a checkout"
    ):
        release.main(["v1.97.0"])


def test_hidden_flags_are_found(tmp_path: Path, files: tuple[Path, Path]) -> None:
    earlier = {"migrate": ["help"], "serve": ["grpc-addr", "hidden", "removed"]}
    (files[1] / "v1.56.0.json").write_text(json.dumps(earlier))
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()}
    release.main([str(write_program(tmp_path, "v1.97.0", heads))])
    flags = json.loads((files[1] / "v1.97.0.json").read_text())
    assert flags == {"migrate": ["help", "migration-timeout"], "serve": ["grpc-addr", "hidden"]}


@pytest.mark.parametrize(
    ("name", "revisions", "message"),
    [
        ("v1.97.0", {**KNOWN, "mysql": ["other", *KNOWN["mysql"]]}, "mysql: the release's migrations are not those"),
        ("nightly", KNOWN, "nightly, which is no release"),
    ],
)
def test_invalid_release_is_not_written(
    tmp_path: Path,
    files: tuple[Path, Path],
    tag: Callable[[str], object],
    name: str,
    revisions: Revisions,
    message: str,
) -> None:
    tag(name)
    before = files[0].read_text()
    with pytest.raises(SystemExit, match=message):
        release.main([str(write_checkout(tmp_path / "source", revisions))])
    assert files[0].read_text() == before


def test_later_release_with_an_earlier_head_is_rejected(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[0] for engine, revisions in KNOWN.items()}
    with pytest.raises(SpiceDBError, match="a later release has an earlier head"):
        release.main([str(write_program(tmp_path, "v1.97.0", heads))])


def test_migrations_without_an_order_are_rejected(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "source", KNOWN)
    (checkout / "internal/datastore/spanner/migrations/x.go").write_text('X.Register("lost", "nowhere")')
    with pytest.raises(SystemExit, match=r"cannot put the migrations in order.*lost"):
        release.checkout_revisions(checkout, "spanner")


def test_migration_in_an_unknown_form_is_rejected(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "source", KNOWN)
    migrations = checkout / "internal/datastore/spanner/migrations"
    (migrations / "zz_migration.0000.go").write_text('registerStreamMigration(x, "new", "populate-schema-tables")')
    with pytest.raises(SystemExit, match="is there a new form"):
        release.checkout_revisions(checkout, "spanner")


def test_program_with_another_head_or_an_invalid_version_is_rejected(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()} | {"spanner": "add-c"}
    with pytest.raises(SystemExit, match=r"the head of v1\.56\.0 is populate-schema-tables already, and now add-c"):
        release.main([str(write_program(tmp_path, "v1.56.0", heads))])
    with pytest.raises(SpiceDBError, match="does not say its version"):
        release.main([str(write_program(tmp_path, "v1.97.0+dirty", heads))])


def test_missing_arguments_show_the_usage() -> None:
    with pytest.raises(SystemExit, match="VERSION"):
        release.main([])


@pytest.mark.parametrize("tool", [objects, plans, output, functions, cli, costs, advisories])
def test_reference_pages_are_up_to_date(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert tool.PAGE.read_text() == tool.page(), "run: make reference"
    assert is_generated(tool.PAGE)
    assert "``" not in tool.page().replace("```", "")


def test_objects_page_contains_every_object() -> None:
    page = objects.page()
    assert "| Deployment | `spicedb` | with the release | always |" in page
    assert "| Job | `spicedb-migration` | before the release | by default (`migration.enabled`) |" in page
    assert "| Ingress | `spicedb` | with the release | with `server.ingress` |" in page
    documented = set(re.findall(r"^\| (\w+) \| `", page, re.MULTILINE))
    rendered = {found["kind"] for found in fast_yaml.load_all(_PRODUCTION.read_text())}
    assert rendered <= documented


def test_page_of_functions_has_every_public_name() -> None:
    page = functions.page()
    for path, found in functions.exported().items():
        name = path.rpartition(".")[2]
        as_class = rf'### Class {name}$|\| (?:\[|<a id="class-\w+"></a>)`{name}`'
        as_function = rf"### {name}\n\n```py\n{name}\("
        pattern = as_class if isinstance(found, type) else as_function
        assert re.search(f"^(?:{pattern})", page, re.MULTILINE), path
    headings = re.findall(r"^##+ (.*)", page, re.MULTILINE)
    assert len({heading.lower() for heading in headings}) == len(headings), "an anchor would not be unique"


def test_upgrades_page_has_ten_plans() -> None:
    assert len(plans.PLANS) == 10


@pytest.mark.parametrize("page", figures.PAGES, ids=lambda page: page.stem)
def test_tables_have_the_figures_of_the_last_measurement(page: Path) -> None:
    text = page.read_text()
    assert text == figures.filled(text, measured.read()), "run: make reference"


def test_tables_of_measurements_are_not_written_by_hand() -> None:
    """A row with two figures that were measured is in bench/figures.json, or on a page that comes from the code."""
    figure = r"\d(?:[\d.,% ]|to|of|and|ms|s|MiB)*"
    row = re.compile(rf"^\|.*\| (?:{figure}) \| (?:{figure}) \|", re.MULTILINE)
    pages = [page for page in BY_HAND if ROOT / "docs" in page.parents]
    by_hand = {page.name: row.findall(figures.TABLE.sub("", page.read_text())) for page in pages}
    assert {page: rows for page, rows in by_hand.items() if rows} == {}
    assert len(row.findall("".join(page.read_text() for page in figures.PAGES))) > 50


def test_every_figure_is_on_a_page() -> None:
    names = [name for page in figures.PAGES for _, name, _ in figures.TABLE.findall(page.read_text())]
    assert sorted(names) == sorted(measured.read())


def test_a_measurement_replaces_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "figures.json"
    data.write_text(measured.DATA.read_text())
    monkeypatch.setattr(measured, "DATA", data)
    measured.keep("commands", ("", "seconds"), [("`diff`", "0.9 s"), ("`status`", "")])
    assert measured.read() == {**before(), "commands": [["", "seconds"], ["`diff`", "0.9 s"], ["`status`", ""]]}
    page = "text\n<!-- figures: commands -->\nold\n<!-- end -->\nend\n"
    table = "| | seconds |\n| --- | --- |\n| `diff` | 0.9 s |\n| `status` | |\n"
    assert figures.filled(page, measured.read()) == f"text\n<!-- figures: commands -->\n\n{table}\n<!-- end -->\nend\n"
    with pytest.raises(ValueError, match="commands: each row needs 2 cells"):
        measured.keep("commands", ("", "seconds"), [("`diff`",)])


def before() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads((ROOT / "bench" / "figures.json").read_text())
    return tables


def test_figures_have_the_format_of_the_writer() -> None:
    assert measured.text(measured.read()) == measured.DATA.read_text()
