"""Validates all objects against the schemas of the oldest and the newest supported Kubernetes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache

import kubernetes_validate
import pytest

from cdk8s_spicedb import SpiceDBProps
from tests.crds import is_custom, validate_custom
from tests.synth import Object, matrix, synth

VERSIONS = ("1.30", "1.37")
MATRIX = matrix()


@cache
def _validate(text: str, version: str) -> None:
    assert kubernetes_validate.validate(json.loads(text), version, strict=True) == version


def validate(found: Object, version: str) -> None:
    """Validates strictly: unknown fields fail. Equal objects are validated only once."""
    _validate(json.dumps(found, sort_keys=True), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
def test_every_object_matches_the_schemas(props: SpiceDBProps, version: str) -> None:
    objects = synth(props, namespace="identity").objects
    assert objects
    for found in objects:
        validate_custom(found) if is_custom(found) else validate(found, version)


def _unknown_field(deployment: Object) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}


def _wrong_type(deployment: Object) -> None:
    deployment["spec"]["replicas"] = "2"


def _missing_field(deployment: Object) -> None:
    del deployment["spec"]["selector"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("broken", [_unknown_field, _wrong_type, _missing_field])
def test_the_schemas_reject_a_broken_object(broken: Callable[[Object], None], version: str) -> None:
    deployment = copy.deepcopy(synth(MATRIX["postgres-uri-default"]).one("Deployment"))
    broken(deployment)
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment, version)
