"""Peers of NetworkPolicies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...errors import Problem
from ..annotations import rule
from ..network import NetworkPeer


@rule(NetworkPeer)
def either_pods_or_addresses(
    pods: Mapping[str, str] | None, namespaces: Mapping[str, str] | None, cidr: str | None
) -> Iterator[Problem]:
    if (pods is not None or namespaces is not None) is (cidr is not None):
        allowed = "pods, namespaces or both, or cidr alone"
        yield Problem("cidr", repr(cidr), allowed, "set labels of pods, or a block of addresses")
