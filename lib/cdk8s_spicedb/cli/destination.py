"""Which cluster and namespace: as the options say, or else the file, and never something that only one of them says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import SpiceDBError
from ..files.read import Destination
from ..live.cluster import PATIENCE_SECONDS, Cluster
from ..live.poll import InterruptibleClock
from .options import STEM, agreed
from .signals import STOPPED

_CONTEXT, _NAMESPACE = "context", "namespace"


def connect(
    options: Any, destination: Destination | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Cluster:
    """The cluster and namespace of the options, or else of a file. Raises `SpiceDBError` if they differ."""
    of_file = destination or Destination()
    return Cluster.connect(
        namespace=agreed(_NAMESPACE, options.namespace, of_file.namespace),
        context=agreed(_CONTEXT, options.context, of_file.context),
        kubeconfig=options.kubeconfig,
        patience_seconds=patience_seconds,
        clock=InterruptibleClock(STOPPED),
    )


def connect_each(options: Any, destinations: Mapping[str, Destination]) -> dict[str, Cluster]:
    """The cluster and namespace of each file. Raises `SpiceDBError` if the files name several contexts."""
    contexts = sorted({each.context for each in destinations.values() if each.context})
    if len(contexts) > 1:
        raise SpiceDBError(f"the files belong to the contexts {', '.join(contexts)}; use one context at a time")
    cluster = connect(options, Destination(context=contexts[0] if contexts else None))
    given = options.namespace is not None
    return {
        name: evolve(cluster, namespace=_namespace(cluster.namespace.replace(STEM, name), given, each.namespace))
        for name, each in destinations.items()
    }


def _namespace(found: str, given: bool, of_file: str | None) -> str:
    return agreed(_NAMESPACE, found if given else None, of_file) or found
