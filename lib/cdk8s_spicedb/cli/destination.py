"""Which cluster and namespace: as the options say, or else the file, and never something that only one of them says."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import SpiceDBError
from ..files.read import Destination
from ..live.cluster import PATIENCE_SECONDS, Cluster
from ..live.poll import InterruptibleClock
from .options import STEM
from .output import say_error
from .signals import STOPPED

_CONTEXT, _NAMESPACE = "context", "namespace"
_PACKAGE, _START = __name__.partition(".")[0], time.time()


def connect(
    options: Any, destination: Destination | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Cluster:
    """The cluster and namespace of the options, or else of a file. Raises `SpiceDBError` if they differ."""
    of_file = destination or Destination()
    if options.verbose:
        _log()
    return Cluster.connect(
        namespace=_agreed(_NAMESPACE, options.namespace, of_file.namespace),
        context=_agreed(_CONTEXT, options.context, of_file.context),
        kubeconfig=options.kubeconfig,
        patience_seconds=patience_seconds,
        clock=InterruptibleClock(STOPPED),
    )


class _Handler(logging.Handler):
    """Writes what is logged to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        say_error(f"{record.created - _START:7.2f} s  {record.getMessage()}")


def _log() -> None:
    """Says what is asked of the cluster, and which programs are started."""
    logger = logging.getLogger(_PACKAGE)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [_Handler()]


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
    return _agreed(_NAMESPACE, found if given else None, of_file) or found


def _agreed(name: str, option: str | None, of_file: str | None) -> str | None:
    """What an option or a file says. Raises `SpiceDBError` if they differ."""
    if option and of_file and option != of_file:
        raise SpiceDBError(
            f"--{name} is {option}, but the file belongs to the {name} {of_file}; correct one of them, or leave out "
            f"--{name}"
        )
    return option or of_file
