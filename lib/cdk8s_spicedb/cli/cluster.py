"""What commands on a live cluster have in common: options, connection and output."""

from __future__ import annotations

import argparse
import json
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import SpiceDBError

if TYPE_CHECKING:
    from rich.console import Console

    from ..live.cluster import Cluster

_EXTRA = "this command needs more libraries; install them with: pip install 'cdk8s-spicedb[live]'"


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Adds ``--namespace``, ``--context`` and ``--output``."""
    text = "namespace of the release; defaults to the one of the kubeconfig's context"
    parser.add_argument("-n", "--namespace", metavar="NAME", help=text)
    text = "context of the kubeconfig; defaults to the current one"
    parser.add_argument("--context", metavar="NAME", help=text)
    text = "format; defaults to text. The documentation has the schema of the JSON"
    parser.add_argument("--output", choices=("text", "json"), default="text", help=text)


def connect(options: argparse.Namespace, patience_seconds: float = 0) -> Cluster:
    """The cluster and namespace of the options. Raises `SpiceDBError` if the extra ``live`` is not installed."""
    try:
        from ..live.cluster import Cluster
    except ModuleNotFoundError:
        raise SpiceDBError(_EXTRA) from None
    return Cluster.connect(namespace=options.namespace, context=options.context, patience_seconds=patience_seconds)


def console() -> Console:
    """Writes to standard output: with colors on a terminal, as plain lines elsewhere."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False) if _is_terminal() else Console(highlight=False, width=1000)


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def as_json(value: Any) -> str:
    """Attrs objects as JSON, with the names of their fields."""
    return json.dumps(attrs.asdict(value, value_serializer=_plain), indent=2)


def _plain(_: type, __: Any, value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
