"""``releases``: what is known of SpiceDB's releases."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import known_releases
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.versions.history import history


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["releases", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_table_begins_with_the_newest_release(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys)
    assert lines[0] == "VERSION  MIGRATES THE DATABASE TO"
    assert lines[1].split() == [known_releases().newest, "-"]
    assert "v1.54.0  mysql: identifiers_case_sensitive" in lines
    assert "v1.53.0  postgres, cockroachdb, spanner: populate-schema-tables; mysql: populate_schema_tables" in lines
    assert "         Withdrawn: use v1.51.1 (GHSA-jf4f-rr2c-9m58)." in lines
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    assert "identifiers_case_sensitive (mysql): rebuilds the table of relationships" in text
    assert "Required stop on the way to v1.14.0 or later (postgres, in 4 roll-outs): transaction ids move" in text


def test_known_faults_are_named_with_each_release_and_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys)
    text = " ".join(" ".join(lines).split())
    assert "v1.57.0 - Known faults: spicedb-3431 (severe). v1.56.2 -" in text
    assert lines.count("KNOWN FAULTS") == 1
    assert text.count("if its schema has `use expiration`. v1.54.0 and later, before v1.57.1 with mysql: ") == 1
    assert "Helm v4.2.1 and later, before v4.2.2: use v4.2.2 or later, or an earlier one. Source: helm" in text
    on_postgres = " ".join(run(capsys, "--engine", "postgres"))
    assert "spicedb-3431" not in on_postgres
    assert "GHSA-jf7w-wx43-32gc (severe)" in on_postgres


def test_one_engine_has_the_head_of_each_release(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--engine", "postgres")
    assert lines[0].split() == ["VERSION", "MIGRATES", "HEAD"]
    assert "v1.53.0  yes       populate-schema-tables" in lines
    assert "v1.52.0  -         add-index-for-transaction-gc" in lines
    assert not any("mysql" in line for line in lines)


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads("\n".join(run(capsys, "--output", "json")))
    expected = [attrs.asdict(release) for release in history(known_releases())]
    assert found == json.loads(json.dumps(expected))
    assert set(found[0]) == {"version", "heads", "migrations", "stops", "cautions", "withdrawn", "advisories"}


@pytest.mark.parametrize(("arguments", "columns"), [((), 3), (("--engine", "mysql"), 4)])
def test_markdown_is_a_table(arguments: tuple[str, ...], columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--output", "markdown", *arguments)
    html = import_module("markdown").markdown("\n".join(lines), extensions=["tables"])
    engines = ["mysql"] if arguments else None
    assert html.count("<td") == columns * len(history(known_releases(), engines))
    assert "<code>identifiers_case_sensitive</code>" in html
    assert "<em>" not in html


def test_releases_of_a_file_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "releases.yaml"
    file.write_text("v1.99.0: {postgres: [add-something]}")
    assert run(capsys, "--releases", str(file))[1] == "v1.99.0  postgres: add-something"


def test_an_unknown_engine_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["releases", "--engine", "memory"])
    assert raised.value.code == 2
    assert "choose from cockroachdb, mysql, postgres, spanner" in capsys.readouterr().err
