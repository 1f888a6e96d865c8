"""What a datastore can take: how many servers, and how many connections of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..checks import rule, show
from ..datastore.base import Datastore
from ..datastore.sql import SQLDatastore
from ..errors import Problem
from .server import ServerProps


class Capacity:
    """The rules between the servers and the datastore that they share."""

    __slots__ = ()

    if TYPE_CHECKING:
        datastore: Datastore
        server: ServerProps

        @property
        def most_replicas(self) -> int: ...

    @property
    def roll_out_replicas(self) -> int:
        """How many servers are connected to the datastore at most, in a roll-out: those there are to be, those beyond
        their number, and those which these replace and which are still draining."""
        surge = _of(self.server.max_surge, self.most_replicas)
        step = max(surge, 1) + _of(self.server.max_unavailable, self.most_replicas)
        return min(self.most_replicas + surge + step, 2 * self.most_replicas)

    @rule("datastore", "server")
    def _servers_share_data(self) -> Iterator[Problem]:
        most = self.datastore.most_replicas
        if most is None:
            return
        if self.server.replicas is not None and self.server.replicas > most:
            yield Problem(
                "server.replicas",
                show(self.server.replicas),
                f"at most {most} with the {self.datastore.engine} engine",
                "leave it out, or choose a datastore that servers can share",
            )
        if self.server.autoscaling and self.server.autoscaling.max_replicas > most:
            yield Problem(
                "server.autoscaling.max_replicas",
                show(self.server.autoscaling.max_replicas),
                f"at most {most} with the {self.datastore.engine} engine",
                "leave autoscaling out, or choose a datastore that servers can share",
            )
        for name in ("dispatch_enabled", "dispatch_tls"):
            if getattr(self.server, name):
                yield Problem(
                    f"server.{name}",
                    "True" if name == "dispatch_enabled" else "(set)",
                    f"nothing with the {self.datastore.engine} engine",
                    "leave it out: there is no other server to dispatch to",
                )

    @rule("datastore", "server")
    def _connections_suffice(self) -> Iterator[Problem]:
        if not isinstance(self.datastore, SQLDatastore) or self.datastore.max_connections is None:
            return
        servers, each, given = self.roll_out_replicas, self.datastore.connections(), self.datastore.max_connections
        if servers * each > given:
            yield Problem(
                "datastore.max_connections",
                show(given),
                f"at least {servers * each}: {each} connections of {servers} servers in a roll-out",
                f"give pools that open at most {given // servers} connections together, or raise it in the database",
            )


def _of(share: int | str, replicas: int) -> int:
    """A number of servers, or a percentage of them as Kubernetes rounds it when it starts more."""
    return share if isinstance(share, int) else -(-int(share.rstrip("%")) * replicas // 100)
