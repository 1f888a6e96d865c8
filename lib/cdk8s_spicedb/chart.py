"""A chart with one SpiceDB, for those who want nothing else in it."""

from __future__ import annotations

from collections.abc import Mapping

from cdk8s import Chart
from constructs import Construct

from .checks import require
from .props import SpiceDBProps
from .spicedb import SpiceDB


class SpiceDBChart(Chart):
    """One SpiceDB in a cdk8s chart of its own: one file of manifests, named after ``id``.

    Raises `InvalidProps` with every problem of the props before it adds anything.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        props: SpiceDBProps,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """``namespace`` and ``labels`` are put on every object; without a namespace it is the one installed into."""
        require(props)
        super().__init__(scope, id, namespace=namespace, labels=labels)
        self._checked = props
        self.spicedb = SpiceDB(self, "spicedb", props)
        """The SpiceDB."""
