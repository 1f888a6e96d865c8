"""Which cluster and namespace: as the options say, or else the file, and never something that only one of them says."""

from __future__ import annotations

import re
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
_NAME = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def connect(
    options: Any, destination: Destination | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Cluster:
    """The cluster and namespace of the options, or else of a file. Raises `SpiceDBError` if they differ."""
    of_file = destination or Destination()
    namespace = agreed(_NAMESPACE, options.namespace, of_file.namespace)
    return Cluster.connect(
        namespace=namespace if namespace is None else _valid(namespace),
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
    return _valid(agreed(_NAMESPACE, found if given else None, of_file) or found)


def _valid(namespace: str) -> str:
    """A namespace. Raises `SpiceDBError` if Kubernetes can have none of that name."""
    if STEM not in namespace and not _NAME.fullmatch(namespace):
        raise SpiceDBError(
            f"{namespace!r} cannot be the name of a namespace: use at most 63 lowercase letters, digits and '-', with "
            "a letter or digit at both ends"
        )
    return namespace
