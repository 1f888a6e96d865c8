"""Migration and Cleanup without a SpiceDB around them."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import Cleanup, CleanupProps, InvalidProps, Migration, MigrationProps, SpiceDBProps
from tests.synth import POSTGRES, chart, manifests


def _props(**values: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **values})


@pytest.mark.parametrize("kind", [Migration, Cleanup])
def test_a_construct_of_its_own_renders_its_job(kind: Any) -> None:
    target = chart()
    kind(target, "alone", _props())
    assert manifests(target).kinds.count("Job") == 1


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        (Migration, {"migration": MigrationProps(enabled=False)}, "migration.enabled"),
        (Cleanup, {"migration": MigrationProps(enabled=False)}, "migration.enabled"),
        (Cleanup, {"cleanup": CleanupProps(enabled=False)}, "cleanup.enabled"),
    ],
)
def test_a_disabled_construct_is_refused_and_adds_nothing(kind: Any, values: dict[str, Any], field: str) -> None:
    target = chart()
    with pytest.raises(InvalidProps) as caught:
        kind(target, "alone", _props(**values))
    assert [problem.field for problem in caught.value.problems] == [field]
    assert target.node.children == []
