"""Every object is one that Kubernetes takes, the oldest and the newest supported."""

from __future__ import annotations

import kubernetes_validate
import pytest

from cdk8s_spicedb import SpiceDBProps
from tests.synth import matrix, synth

_MATRIX = matrix()


@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("props", _MATRIX.values(), ids=list(_MATRIX))
def test_kubernetes_takes_every_object(props: SpiceDBProps, version: str) -> None:
    for found in synth(props).objects:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_a_misspelt_field_would_be_found(version: str) -> None:
    deployment = synth(next(iter(_MATRIX.values()))).one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleeep"] = {"seconds": 5}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, version, strict=True)
