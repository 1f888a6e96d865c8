"""SpiceDB: servers, migration and clean-up as one construct."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from cdk8s import Chart
from constructs import Construct

from .checks import require, show
from .cleanup import Cleanup
from .errors import InvalidProps, Problem
from .labels import Component, selector_labels
from .migration import Migration
from .ports import GRPC, NUMBERS
from .props import SpiceDBProps
from .server import Server

_NAMES: WeakKeyDictionary[Chart, dict[str, str]] = WeakKeyDictionary()
"""By chart, the names that are taken, and the paths of those that have them."""


def _require_free_name(name: str, taken: dict[str, str]) -> None:
    if name in taken:
        allowed, fix = "a name that no other SpiceDB in the chart has", f"choose another; {taken[name]} has it"
        raise InvalidProps("SpiceDBProps", [Problem("name", show(name), allowed, fix)])


class SpiceDB(Construct):
    """One SpiceDB in a chart: its servers, its migration and its clean-up.

    Raises `InvalidProps` with every problem of the props before it adds anything. Several SpiceDBs in one chart,
    or in one namespace, need different names.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require(props)
        names = _NAMES.setdefault(Chart.of(scope), {})
        _require_free_name(props.name, names)
        super().__init__(scope, id)
        names[props.name] = self.node.path
        self.props = props
        """What it was made from."""
        self.migration = Migration(self, "migration", props) if props.migrates else None
        """The migration; None with the memory engine and where it is disabled."""
        self.server = Server(self, "server", props)
        """The servers."""
        self.cleanup = Cleanup(self, "cleanup", props) if props.cleans_up else None
        """The clean-up; None where there is no migration, where it is disabled, and where the delivery has no hooks."""

    @property
    def service_name(self) -> str:
        """The name of the Service."""
        return self.props.name

    @property
    def grpc_address(self) -> str:
        """Where clients in the cluster reach it: ``NAME:50051``, with the chart's namespace when it has one."""
        namespace = Chart.of(self).namespace
        return f"{self.service_name}{f'.{namespace}' if namespace else ''}:{NUMBERS[GRPC]}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels that select the servers' pods, for what an app points at them."""
        return selector_labels(self.props.name, Component.SERVER)
