"""The public functions and classes of a live release."""

from __future__ import annotations

import inspect

import attrs

from cdk8s_spicedb import live
from cdk8s_spicedb.files.schema import field_texts


def test_every_public_name_is_there_and_explained() -> None:
    assert live.__all__ == sorted(live.__all__)
    for name in live.__all__:
        value = getattr(live, name)
        assert inspect.getdoc(value), name
        if attrs.has(value) and name != "Cluster":
            documented = field_texts(value)
            assert {each.name for each in attrs.fields(value)} <= {*documented}, name


def test_functions_get_the_cluster() -> None:
    for name in live.__all__:
        value = getattr(live, name)
        if inspect.isfunction(value):
            first = "members" if name.endswith("_fleet") else "cluster"
            assert next(iter(inspect.signature(value).parameters)) == first, name
