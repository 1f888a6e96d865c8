"""Flux' postBuild.substitute replaces variables in every manifest. It must find none in what this package writes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cdk8s_spicedb import Dashboard, Delivery, Monitoring, MySQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.manifests import release_manifests
from tests.programs import ROOT
from tests.synth import ENGINES, full_props, matrix

_KEYS: Any = {part: SecretKey("conn", part) for part in ("host", "port", "user", "database", "password")}
PARTS = MySQL(**_KEYS)
PROPS = {
    **matrix(),
    "parts in Secrets": SpiceDBProps(datastore=PARTS, monitoring=Monitoring(dashboard=Dashboard())),
    **{f"full {name}": full_props(datastore) for name, datastore in ENGINES.items()},
}


def substituted(text: str) -> str:
    """A text as Flux changes it: ``${NAME}`` becomes a value, ``${NAME:=value}`` too, and ``$$`` becomes ``$``."""
    return re.sub(r"\$\$|\$\{[^}]*\}", lambda found: "$" if found[0] == "$$" else "", text)


@pytest.mark.parametrize("text", ["${NAME}", "a ${NAME:=b} c", "$$(NAME)", "$${NAME}"])
def test_a_variable_is_found(text: str) -> None:
    assert substituted(text) != text


@pytest.mark.parametrize("text", ["$NAME", "$(NAME)", "$datasource", "cost: 5$"])
def test_what_is_no_variable_stays(text: str) -> None:
    assert substituted(text) == text


@pytest.mark.parametrize("props", PROPS.values(), ids=PROPS)
@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
def test_no_object_changes(props: SpiceDBProps) -> None:
    for manifest in release_manifests(props):
        text = json.dumps(manifest)
        assert substituted(text) == text


def test_no_file_of_the_examples_changes() -> None:
    files = [*(ROOT / "dist").rglob("*.yaml"), *(ROOT / "tests" / "snapshots").rglob("*.*")]
    assert len(files) > 10
    for file in files:
        text = file.read_text("utf-8")
        assert substituted(text) == text, file


def test_deliveries_do_not_differ() -> None:
    assert {
        each for each in Delivery if "${" in json.dumps(release_manifests(SpiceDBProps(datastore=PARTS, delivery=each)))
    } == set()
