"""A chart that contains one SpiceDB."""

from __future__ import annotations

from collections.abc import Mapping

from cdk8s import Chart
from constructs import Construct

from ..props import SpiceDBProps, require
from .spicedb import SpiceDB


class SpiceDBChart(Chart):
    """A cdk8s chart that contains one SpiceDB. It becomes one file of manifests, named after ``id``.

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
        """Adds ``namespace`` and ``labels`` to every object. The namespace defaults to the one you install into."""
        require(props)
        super().__init__(scope, id, namespace=namespace, labels=labels)
        self._checked = props
        self.spicedb = SpiceDB(self, "spicedb", props)
        """The SpiceDB."""
