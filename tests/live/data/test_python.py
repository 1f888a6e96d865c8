"""The examples in the documentation of the functions that copy, compare and ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.check.test_probe import Program
from tests.live.data.test_reach import forwarding
from tests.live.installed import props, secret
from tests.pages import blocks
from tests.programs import ROOT
from tests.spicedbserver import KEY, SpiceDBServer

from .conftest import SCHEMA, connect

MOVE, REJECTED = blocks("python", ROOT / "docs" / "operate" / "backup.md")


def functions(code: str) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "example"}
    exec(code, found)
    return found


def test_a_spicedb_is_moved(spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path) -> None:
    move = functions(MOVE)["move"]
    assert move(connect(spicedb), connect(empty), tmp_path / "it.zedbackup") == []
    assert empty.texts() == spicedb.texts()


def test_a_program_is_asked_about_a_schema(
    spicedb: SpiceDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarding(spicedb, tmp_path, monkeypatch)
    program = Program(rejects="no")
    secret(program.api, "spicedb", {"preshared-key": KEY})
    assert functions(REJECTED)["rejected_schema"](program.api.cluster(), "spicedb", props()) == "no"
    assert any(SCHEMA.split()[1] in str(each.body) for each in program.api.asked("create", "pods"))
