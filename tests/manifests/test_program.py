"""What is rendered against the flags of released SpiceDB programs, which tools/release.py wrote down.

A misspelt argument stops SpiceDB, and a misspelt SPICEDB_* variable is ignored without a word.
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
    """The flags that a container gives to its program, as arguments and as variables."""
    arguments = [each for each in (*container["command"], *container["args"]) if each.startswith("-")]
    variables = [each["name"] for each in container["env"] if each["name"].startswith(PREFIX)]
    return {each.removeprefix("--").partition("=")[0] for each in arguments} | {
        each.removeprefix(PREFIX).lower().replace("_", "-") for each in variables
    }


def containers(found: Manifests) -> dict[str, Object]:
    """By command, the container that runs it."""
    pods = [found.pod("Deployment"), *(found.pod("Job", "migration") for _ in found.all("Job", "migration"))]
    return {container["command"][1]: container for pod in pods for container in pod["containers"]}


def test_a_release_before_the_new_schema_and_the_newest_have_their_flags_here() -> None:
    assert list(FLAGS) == ["v1.52.0", "v1.56.0"]
    assert known_releases().newest in FLAGS
    for found in FLAGS.values():
        assert {"log-level", "datastore-engine"} <= set(found["serve"]) & set(found["migrate"])


@pytest.mark.parametrize(("version", "props"), EXAMPLES)
def test_released_programs_have_every_flag_that_is_rendered(version: str, props: SpiceDBProps) -> None:
    found = containers(synth(props))
    assert set(found) == ({"serve", "migrate"} if props.migrates else {"serve"})
    for command, container in found.items():
        used = rendered(container)
        assert len(used) > 3
        assert used - set(FLAGS[version][command]) == set()


@pytest.mark.parametrize("version", FLAGS)
def test_full_props_render_flags_that_the_default_ones_do_not(version: str) -> None:
    plain, full = (
        containers(synth(props))
        for props in (SpiceDBProps(version=version, datastore=POSTGRES), full_props(POSTGRES, version))
    )
    assert {"http-enabled", "datastore-allowed-migrations", "datastore-migration-phase"} <= rendered(full["serve"])
    assert {"migration-timeout", "migration-backfill-batch-size"} <= rendered(full["migrate"])
    assert not {"http-enabled", "migration-timeout"} & (rendered(plain["serve"]) | rendered(plain["migrate"]))


@pytest.mark.parametrize("version", FLAGS)
def test_no_released_program_has_the_phase_that_the_warning_is_about(version: str) -> None:
    props = SpiceDBProps(
        version=version, datastore=POSTGRES, migration=MigrationProps(target_phase=MigrationPhase.WRITE)
    )
    with pytest.warns(SpiceDBWarning, match="no released SpiceDB"):
        used = rendered(containers(synth(props))["migrate"])
    assert used - set(FLAGS[version]["migrate"]) == {"phase"}
    assert "phase" not in FLAGS[version]["serve"]


@pytest.mark.parametrize("version", FLAGS)
@pytest.mark.parametrize("flag", known_releases().flags)
def test_the_release_table_knows_which_program_has_which_flag(version: str, flag: str) -> None:
    has = any(flag in flags for flags in FLAGS[version].values())
    assert has is known_releases().takes(flag, version)


def test_a_flag_that_does_not_exist_is_found_out() -> None:
    container = {
        "command": ["spicedb", "serve"],
        "args": ["--log-levle=info"],
        "env": [{"name": "SPICEDB_DATASTOR_ENGINE"}],
    }
    assert rendered(container) - set(FLAGS[known_releases().newest]["serve"]) == {"log-levle", "datastor-engine"}
