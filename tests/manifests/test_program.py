"""Compares the rendered flags with those of released SpiceDB programs, which tools/release.py recorded.

SpiceDB stops at a misspelled argument, but silently ignores a misspelled SPICEDB_* variable.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk8s_spicedb import MigrationPhase, MigrationProps, SpiceDBProps, SpiceDBWarning, known_releases
from tests.synth import POSTGRES, Manifests, Object, full_props, matrix, synth

FLAGS: dict[str, dict[str, list[str]]] = {
    file.stem: json.loads(file.read_text("utf-8"))
    for file in sorted((Path(__file__).parent.parent / "flags").glob("*.json"))
}
EXAMPLES = [
    pytest.param(version, props, id=f"{version}-{name}") for version in FLAGS for name, props in matrix(version).items()
]
PREFIX = "SPICEDB_"


def rendered(container: Object) -> set[str]:
    """The flags that a container sets, as arguments and as variables."""
    arguments = [arg for arg in (*container["command"], *container["args"]) if arg.startswith("-")]
    variables = [variable["name"] for variable in container["env"] if variable["name"].startswith(PREFIX)]
    return {arg.removeprefix("--").partition("=")[0] for arg in arguments} | {
        variable.removeprefix(PREFIX).lower().replace("_", "-") for variable in variables
    }


def containers(found: Manifests) -> dict[str, Object]:
    """The containers, by the command that they run."""
    pods = [found.pod("Deployment"), *(found.pod("Job", "migration") for _ in found.all("Job", "migration"))]
    return {container["command"][1]: container for pod in pods for container in pod["containers"]}


def test_the_flags_of_the_newest_and_of_an_older_release_are_recorded() -> None:
    assert list(FLAGS) == ["v1.52.0", "v1.56.2", "v1.57.1"]
    assert known_releases().newest in FLAGS
    for found in FLAGS.values():
        assert {"log-level", "datastore-engine"} <= set(found["serve"]) & set(found["migrate"])


@pytest.mark.parametrize(("version", "props"), EXAMPLES)
def test_released_programs_have_every_rendered_flag(version: str, props: SpiceDBProps) -> None:
    found = containers(synth(props))
    assert set(found) == ({"serve", "migrate"} if props.migrates else {"serve"})
    for command, container in found.items():
        used = rendered(container)
        assert len(used) > 3
        assert used - set(FLAGS[version][command]) == set()


@pytest.mark.parametrize("version", FLAGS)
def test_full_props_render_more_flags_than_the_defaults(version: str) -> None:
    plain, full = (
        containers(synth(props))
        for props in (SpiceDBProps(version=version, datastore=POSTGRES), full_props(POSTGRES, version))
    )
    assert {"http-enabled", "datastore-allowed-migrations", "datastore-migration-phase"} <= rendered(full["serve"])
    assert {"migration-timeout", "migration-backfill-batch-size"} <= rendered(full["migrate"])
    assert not {"http-enabled", "migration-timeout"} & (rendered(plain["serve"]) | rendered(plain["migrate"]))


@pytest.mark.parametrize("version", FLAGS)
def test_no_released_program_has_the_phase_flag(version: str) -> None:
    props = SpiceDBProps(
        version=version, datastore=POSTGRES, migration=MigrationProps(target_phase=MigrationPhase.WRITE)
    )
    with pytest.warns(SpiceDBWarning, match="no released SpiceDB"):
        used = rendered(containers(synth(props))["migrate"])
    assert used - set(FLAGS[version]["migrate"]) == {"phase"}
    assert "phase" not in FLAGS[version]["serve"]


@pytest.mark.parametrize("version", FLAGS)
@pytest.mark.parametrize("flag", known_releases().flags)
def test_the_release_table_matches_the_recorded_flags(version: str, flag: str) -> None:
    has = any(flag in flags for flags in FLAGS[version].values())
    assert has is known_releases().takes(flag, version)


def test_an_unknown_flag_is_detected() -> None:
    container = {
        "command": ["spicedb", "serve"],
        "args": ["--log-levle=info"],
        "env": [{"name": "SPICEDB_DATASTOR_ENGINE"}],
    }
    assert rendered(container) - set(FLAGS[known_releases().newest]["serve"]) == {"log-levle", "datastor-engine"}
