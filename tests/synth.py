"""Manifests of SpiceDBs, as values."""

from __future__ import annotations

from typing import Any

import cdk8s
from attrs import frozen

from cdk8s_spicedb import SpiceDB, SpiceDBProps


@frozen
class Manifests:
    objects: list[dict[str, Any]]


def synth(*props: SpiceDBProps, namespace: str | None = None) -> Manifests:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart", namespace=namespace)
    for each in props:
        SpiceDB(chart, each.name, each)
    return Manifests(cdk8s.Testing.synth(chart))
