"""The public functions and classes of a live release."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import cdk8s_spicedb
from cdk8s_spicedb import live
from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.live import data, rehearsal


@pytest.mark.parametrize("module", [live, data, rehearsal], ids=lambda module: module.__name__)
def test_every_public_name_is_there_and_explained(module: ModuleType) -> None:
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        assert inspect.getdoc(value), name
        assert not inspect.ismodule(value), "a module took the place of a function"
        if attrs.has(value) and name != "Cluster":
            documented = field_texts(value)
            public = {each.name for each in attrs.fields(value) if not each.name.startswith("_")}
            assert public <= {*documented}, name


def test_functions_get_the_cluster() -> None:
    for name in live.__all__:
        value = getattr(live, name)
        if inspect.isfunction(value):
            first = "members" if name.endswith("_fleet") else "cluster"
            assert next(iter(inspect.signature(value).parameters)) == first, name


# ---------------------------------------------------------------- one home for each fact


PACKAGE = Path(cdk8s_spicedb.__file__).parent


def nodes(folder: str = "", *, but: tuple[str, ...]) -> Iterator[tuple[str, ast.AST]]:
    """All that is written in the modules of a folder, by the path of the module, but not in these modules."""
    found = {path.relative_to(PACKAGE).as_posix(): path for path in (PACKAGE / folder).rglob("*.py")}
    assert {*but} <= {*found}, "these modules are elsewhere"
    for name in found.keys() - {*but}:
        yield from (
            (f"{name}:{getattr(node, 'lineno', '')}", node) for node in ast.walk(ast.parse(found[name].read_text()))
        )


@pytest.mark.parametrize("field", ["conditions", "containerStatuses"])
def test_only_judgements_read_the_status_of_objects(field: str) -> None:
    homes = ("live/pods.py", "live/workload.py")
    places = [
        place for place, node in nodes("live", but=homes) if isinstance(node, ast.Constant) and node.value == field
    ]
    assert places == []


def test_only_the_clock_knows_the_time_and_waits() -> None:
    """A fake clock then is enough for every test. The queue of a fleet only wakes up to notice Ctrl-C."""
    places = [
        place
        for place, node in nodes("live", but=("live/poll.py", "live/fleet/waves.py"))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.sleep", "time.monotonic", "time.time")
    ]
    assert places == []


def test_only_the_client_knows_the_status_of_answers() -> None:
    """Elsewhere, errors are kinds: `NotFound`, `Forbidden`, `Conflict` and `Unreachable`."""
    places = [
        place
        for place, node in nodes(but=("live/cluster.py", "live/http.py"))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "error.status"
    ]
    assert places == []
