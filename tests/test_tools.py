"""The tools of this project's makers."""

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
import yaml

from cdk8s_spicedb import SpiceDBError, known_releases
from cdk8s_spicedb.releases import read_releases
from tests.programs import ROOT
from tools import configuration, objects, plans, reference, release

_PRODUCTION = ROOT / "tests" / "snapshots" / "production" / "spicedb.k8s.yaml"
DATA: dict[str, Any] = json.loads(release.DATA.read_text())
Registered = Mapping[str, list[str]]
KNOWN: Registered = {engine: list(known["revisions"]) for engine, known in DATA["engines"].items()}
REGISTER = {
    "postgres": "if err := DatabaseMigrations.Register({new},\n\t{old},\n\t\tnoTx) ; err != nil {{",
    "cockroachdb": "err := CRDBMigrations.Register({new}, {old}, up, noAtomicMigration)",
    "mysql": "\tmustRegisterMigration({new}, {old}, noNonatomicMigration,",
    "spanner": "if err := SpannerMigrations.Register({new}, {old}, func(ctx) error {{",
}


def write_checkout(folder: Path, revisions: Registered) -> Path:
    """Source with migrations, as far as the tool reads it."""
    for engine, name in release.FOLDERS.items():
        migrations = folder / "internal" / "datastore" / name / "migrations"
        migrations.mkdir(parents=True)
        before = ""
        for number, revision in enumerate(revisions[engine]):
            form = REGISTER[engine].format(new=json.dumps(revision), old=json.dumps(before))
            if engine == "postgres" and "index-for" in revision:
                form = f'registerIndexMigration(\n\tschema.Index,\n\t"{revision}",\n\t"{before}",\n)'
            # Files do not lie in the order of the migrations.
            (migrations / f"zz_migration.{99 - number}.go").write_text(form)
            before = revision
        (migrations / "zz_test.go").write_text('DatabaseMigrations.Register("from-a-test", "head")')
    return folder


def write_script(file: Path, text: str) -> Path:
    """A program in shell."""
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Makes git say which tag a checkout is at; there need be no git here."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return lambda name: write_script(programs / "git", f'[ "$3" = describe ] && echo {name}')


def write_program(folder: Path, version: str, heads: Mapping[str, str]) -> Path:
    """A program that answers what the tool asks."""
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
    """The files that the tool writes, elsewhere."""
    data, flags = tmp_path / "releases.json", tmp_path / "flags"
    data.write_text(release.DATA.read_text())
    flags.mkdir()
    monkeypatch.setattr(release, "DATA", data)
    monkeypatch.setattr(release, "FLAGS", flags)
    return data, flags


def test_the_data_is_written_as_the_tool_writes_it() -> None:
    assert release.text(DATA) + "\n" == release.DATA.read_text()
    assert json.loads(release.text(DATA)) == DATA


def test_a_checkout_of_a_known_release_changes_nothing(
    tmp_path: Path, files: tuple[Path, Path], tag: Callable[[str], object]
) -> None:
    tag("v1.56.0")
    checkout = write_checkout(tmp_path / "source", KNOWN)
    release.main([str(checkout)])
    assert files[0].read_text() == (ROOT / "lib" / "cdk8s_spicedb" / "releases" / "releases.json").read_text()
    assert list(files[1].iterdir()) == []


def test_a_checkout_adds_its_migrations(tmp_path: Path, files: tuple[Path, Path], tag: Callable[[str], object]) -> None:
    tag("v1.57.0")
    revisions = {**KNOWN, "postgres": [*KNOWN["postgres"], "add-a", "add-b"]}
    release.main([str(write_checkout(tmp_path / "source", revisions))])
    table = read_releases(json.loads(files[0].read_text()))
    assert table.newest == "v1.57.0"
    assert table.revisions("postgres", "v1.57.0")[-3:] == ("populate-schema-tables", "add-a", "add-b")
    assert table.revisions("mysql", "v1.57.0") == known_releases().revisions("mysql", "v1.56.0")
    assert table.allowed_migrations("postgres", "v1.56.0") == ("add-b",)


def test_a_program_adds_its_heads_and_flags(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()} | {"spanner": "add-c"}
    release.main([str(write_program(tmp_path, "v1.57.0", heads))])
    table = read_releases(json.loads(files[0].read_text()))
    assert table.revisions("spanner", "v1.57.0")[-1] == "add-c"
    assert table.revisions("postgres", "v1.57.0")[-1] == "populate-schema-tables"
    flags = json.loads((files[1] / "v1.57.0.json").read_text())
    assert flags == {"migrate": ["help", "migration-timeout"], "serve": ["grpc-addr"]}


def test_a_flag_that_the_help_leaves_out_is_found_by_asking(tmp_path: Path, files: tuple[Path, Path]) -> None:
    earlier = {"migrate": ["help"], "serve": ["grpc-addr", "hidden", "removed"]}
    (files[1] / "v1.56.0.json").write_text(json.dumps(earlier))
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()}
    release.main([str(write_program(tmp_path, "v1.57.0", heads))])
    flags = json.loads((files[1] / "v1.57.0.json").read_text())
    assert flags == {"migrate": ["help", "migration-timeout"], "serve": ["grpc-addr", "hidden"]}


@pytest.mark.parametrize(
    ("name", "revisions", "message"),
    [
        ("v1.57.0", {**KNOWN, "mysql": ["other", *KNOWN["mysql"]]}, "mysql: the release's migrations are not those"),
        ("nightly", KNOWN, "nightly, which is no release"),
    ],
)
def test_nothing_is_written_of_what_does_not_fit(
    tmp_path: Path,
    files: tuple[Path, Path],
    tag: Callable[[str], object],
    name: str,
    revisions: Registered,
    message: str,
) -> None:
    tag(name)
    before = files[0].read_text()
    with pytest.raises(SystemExit, match=message):
        release.main([str(write_checkout(tmp_path / "source", revisions))])
    assert files[0].read_text() == before


def test_a_head_that_goes_back_is_not_sound(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[0] for engine, revisions in KNOWN.items()}
    with pytest.raises(SpiceDBError, match="a later release has an earlier head"):
        release.main([str(write_program(tmp_path, "v1.57.0", heads))])


def test_migrations_that_do_not_follow_one_another_are_refused(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "source", KNOWN)
    (checkout / "internal/datastore/spanner/migrations/x.go").write_text('X.Register("lost", "nowhere")')
    with pytest.raises(SystemExit, match=r"cannot put the migrations in order.*lost"):
        release.checkout_revisions(checkout, "spanner")


def test_a_migration_of_a_new_form_is_not_overlooked(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "source", KNOWN)
    migrations = checkout / "internal/datastore/spanner/migrations"
    (migrations / "zz_migration.0000.go").write_text('registerStreamMigration(x, "new", "populate-schema-tables")')
    with pytest.raises(SystemExit, match="is there a new form"):
        release.checkout_revisions(checkout, "spanner")


def test_a_program_that_says_otherwise_is_not_believed(tmp_path: Path, files: tuple[Path, Path]) -> None:
    heads = {engine: revisions[-1] for engine, revisions in KNOWN.items()} | {"spanner": "add-c"}
    with pytest.raises(SystemExit, match=r"the head of v1\.56\.0 is populate-schema-tables already, and now add-c"):
        release.main([str(write_program(tmp_path, "v1.56.0", heads))])
    with pytest.raises(SystemExit, match="does not say its version"):
        release.main([str(write_program(tmp_path, "v1.57.0+dirty", heads))])


def test_it_says_how_it_is_used() -> None:
    with pytest.raises(SystemExit, match="CHECKOUT_OR_PROGRAM"):
        release.main([])


@pytest.mark.parametrize("tool", [reference, configuration, objects, plans])
def test_the_reference_is_as_the_code_is(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert tool.PAGE.read_text() == tool.page(), "run: make reference"
    assert "``" not in tool.page().replace("```", "")


def test_every_prop_is_in_the_reference() -> None:
    page = reference.page()
    assert "## ServerProps" in page
    assert "| `log_level` (`logLevel`) |" in page


def test_flags_fields_and_values_are_found_by_their_names() -> None:
    page = configuration.page()
    assert "| `--log-level` | `log_level` | MigrationProps, ServerProps |" in page
    assert "| `activeDeadlineSeconds` | `active_deadline_seconds` |" in page
    assert "| `migrations.logLevel` |" in page


def test_every_object_is_in_the_reference() -> None:
    page = objects.page()
    assert "| Deployment | `spicedb` | with the release | always |" in page
    assert "| Job | `spicedb-migration` | before the release | by default (`migration.enabled`) |" in page
    assert "| Ingress | `spicedb` | with the release | with `server.ingress` |" in page
    said = set(re.findall(r"^\| (\w+) \| `", page, re.MULTILINE))
    there = {found["kind"] for found in yaml.safe_load_all(_PRODUCTION.read_text())}
    assert there <= said


def test_ten_plans_are_shown() -> None:
    assert len(plans.PLANS) == 10
