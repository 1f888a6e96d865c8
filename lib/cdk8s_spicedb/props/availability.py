"""How many servers there are, where they run, and how many may be away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from ..checks import Metadata, check, each, instance, one_of, optional, rule, show, text, whole_number
from ..errors import Problem

DEFAULT_REPLICAS = 2


def _share_check() -> Metadata:
    """A number of pods, or a percentage of them."""

    def accepts(value: object) -> bool:
        if isinstance(value, str):
            return value.endswith("%") and value[:-1].isdecimal() and int(value[:-1]) <= 100
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000

    schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^(100|\d{1,2})%$"}]}
    return check("a whole number, or a percentage such as '25%'", accepts, "write 1, or '25%'", schema=schema)


@frozen(kw_only=True)
class Autoscaling:
    """A HorizontalPodAutoscaler, which sets the number of servers by their load.

    It needs a metrics server in the cluster. A release that goes over to it from ``replicas`` has one server for the
    moment until the autoscaler first looks: Kubernetes takes the number that nobody gives any more for 1.
    """

    max_replicas: int = field(metadata=whole_number(1, 1000))
    """How many servers run at most. Required: the database has to take the connections of all."""
    min_replicas: int = field(default=DEFAULT_REPLICAS, metadata=whole_number(1, 1000))
    """How many servers run at least. Default: 2, so that one can go away without a lost request."""
    cpu_utilization: int | None = field(default=75, metadata=optional(whole_number(1, 1000, unit="percent")))
    """The CPU use at which there are to be more, in percent of what servers ask for. Default: 75: a server that starts
    needs a moment until it is of help."""
    memory_utilization: int | None = field(default=None, metadata=optional(whole_number(1, 1000, unit="percent")))
    """The same of memory. Default: none; caches fill what they are given and keep it, so memory tells little."""

    @rule("min_replicas", "max_replicas")
    def _least_within_most(self) -> Iterator[Problem]:
        if self.min_replicas > self.max_replicas:
            allowed = f"at most max_replicas, {self.max_replicas}"
            yield Problem("min_replicas", show(self.min_replicas), allowed, "lower it, or raise max_replicas")

    @rule("cpu_utilization", "memory_utilization")
    def _scales_by_something(self) -> Iterator[Problem]:
        if self.cpu_utilization is None and self.memory_utilization is None:
            allowed = "cpu_utilization, memory_utilization or both"
            yield Problem("cpu_utilization", "None", allowed, "give one, or leave autoscaling out")


@frozen(kw_only=True)
class TopologySpread:
    """Keeps servers apart, by a label of the nodes (``topologySpreadConstraints``)."""

    topology_key: str = field(
        metadata=text(
            r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?",
            "a label of nodes",
            "write it as 'topology.kubernetes.io/zone'",
            most=317,
        )
    )
    """The label of the nodes between whose values servers are spread, such as ``topology.kubernetes.io/zone``.
    Required."""
    max_skew: int = field(default=1, metadata=whole_number(1, 1000))
    """How many more servers one value may have than another. Default: 1, as even as can be."""
    when_unsatisfiable: str = field(default="ScheduleAnyway", metadata=one_of("ScheduleAnyway", "DoNotSchedule"))
    """What becomes of a server that fits nowhere: ``ScheduleAnyway`` or ``DoNotSchedule``. Default: ``ScheduleAnyway``,
    because a server in the wrong place is better than none."""


_SPREAD = (
    TopologySpread(topology_key="topology.kubernetes.io/zone"),
    TopologySpread(topology_key="kubernetes.io/hostname"),
)
"""Over zones and over nodes."""


@frozen(kw_only=True, slots=False)
class Availability:
    """What keeps enough servers up while nodes, zones and releases come and go."""

    replicas: int | None = field(default=None, metadata=optional(whole_number(1, 1000)))
    """How many servers run. Default: 2, so that one can go away without a lost request; 1 with the memory engine, whose
    servers would not see each other's data."""
    autoscaling: Autoscaling | None = field(
        default=None,
        metadata=optional(
            instance(Autoscaling, "Autoscaling(max_replicas=…)", "write autoscaling=Autoscaling(max_replicas=10)")
        ),
    )
    """Lets a HorizontalPodAutoscaler set the number of servers; then there is no ``replicas``. Default: none."""
    disruption_budget: int | None = field(default=1, metadata=optional(whole_number(1, 1000)))
    """How many servers may be away at once when nodes are drained (``maxUnavailable`` of a PodDisruptionBudget), where
    there is more than one. Default: 1. None: no PodDisruptionBudget."""
    max_surge: int | str = field(default=1, metadata=_share_check())
    """How many servers a roll-out may start beyond their number, or what percentage (``maxSurge``). Default: 1; each
    opens connections to the database as well."""
    max_unavailable: int | str = field(default=0, metadata=_share_check())
    """How many servers a roll-out may be short of, or what percentage (``maxUnavailable``). Default: 0, so that the
    others never carry more than they did before."""
    topology_spread: Sequence[TopologySpread] = field(
        default=_SPREAD,
        metadata=each(
            instance(
                TopologySpread,
                "a TopologySpread(topology_key=…)",
                "write TopologySpread(topology_key='topology.kubernetes.io/zone')",
            )
        ),
    )
    """How servers are kept apart, where there is more than one. Default: over zones and over nodes, as far as it can be
    done (``ScheduleAnyway``)."""

    @rule("replicas", "autoscaling")
    def _one_sets_the_number(self) -> Iterator[Problem]:
        if self.autoscaling and self.replicas is not None:
            yield Problem(
                "replicas",
                show(self.replicas),
                "nothing when autoscaling is given",
                "leave it out, and say it with autoscaling.min_replicas",
            )

    @rule("max_surge", "max_unavailable")
    def _a_roll_out_can_begin(self) -> Iterator[Problem]:
        if str(self.max_surge).rstrip("%") == "0" and str(self.max_unavailable).rstrip("%") == "0":
            yield Problem(
                "max_surge", show(self.max_surge), "more than 0 where max_unavailable is 0", "write max_surge=1"
            )
