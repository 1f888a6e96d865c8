"""Everything that is said to SpiceDB is something that the released programs know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk8s_spicedb import MigrationPhase, MigrationProps, SpiceDBProps
from tests.synth import POSTGRES, Object, matrix, synth

_KNOWN: dict[str, dict[str, list[str]]] = {
    file.stem: json.loads(file.read_text()) for file in Path(__file__).parent.glob("flags/*.json")
}
_CASES = [
    pytest.param(version, props, id=f"{version}-{name}")
    for version in sorted(_KNOWN)
    for name, props in matrix(version).items()
]


def _unknown(container: Object, version: str) -> set[str]:
    """The flags, given as arguments or as variables, that the container's program does not have."""
    known = set(_KNOWN[version][container["command"][1]])
    arguments = [*container["command"][2:], *container["args"]]
    flags = {argument[2:].partition("=")[0] for argument in arguments if argument.startswith("--")}
    variables = {variable["name"] for variable in container["env"] if variable["name"].startswith("SPICEDB_")}
    named = {f"SPICEDB_{flag.replace('-', '_').upper()}" for flag in known}
    return (flags - known) | (variables - named)


@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
@pytest.mark.parametrize(("version", "props"), _CASES)
def test_the_released_programs_know_every_flag_and_variable(version: str, props: SpiceDBProps) -> None:
    rendered = synth(props)
    assert _unknown(rendered.container("Deployment"), version) == set()
    if props.migrates:
        assert _unknown(rendered.container("Job", "migration"), version) == set()


@pytest.mark.parametrize("version", sorted(_KNOWN))
def test_no_released_program_knows_a_phase(version: str) -> None:
    props = SpiceDBProps(
        version=version, datastore=POSTGRES, migration=MigrationProps(target_phase=MigrationPhase.WRITE)
    )
    with pytest.warns(match="migrate --phase"):
        container = synth(props).container("Job", "migration")
    assert _unknown(container, version) == {"phase"}


def test_releases_between_which_a_migration_lies_are_known() -> None:
    assert {"v1.52.0", "v1.56.0"} <= set(_KNOWN)
