"""Releases whose migrations cost what tests expect, so that a new measurement changes no test."""

from __future__ import annotations

from typing import Any

from cdk8s_spicedb import EngineReleases, ReleaseTable
from cdk8s_spicedb.versions import Cost


def cost(**fields: Any) -> Cost:
    """A cost, of an index on the relationships by default."""
    defaults = {
        "table": "relation_tuple",
        "work": "indexes",
        "lock": "SHARE UPDATE EXCLUSIVE",
        "seconds_per_million": 1,
        "waits": "none",
    }
    return Cost(**{**defaults, **fields})


ALTERS = cost(work="alters", lock="ACCESS EXCLUSIVE", seconds_per_million=0, waits="reads and writes wait")
COSTS = {
    "add-index": cost(),
    "add-column": ALTERS,
    "fill-column": cost(work="fills", lock="ROW EXCLUSIVE", seconds_per_million=100),
    "add-other-column": ALTERS,
    "index-transactions": cost(
        table="relation_tuple_transaction", lock="SHARE", seconds_per_million=0.4, waits="writes wait"
    ),
}
RELEASES = ReleaseTable(
    {"postgres": EngineReleases(("first", *COSTS, "last"), {"v1.1.0": "first", "v1.2.0": "last"}, costs=COSTS)}
)
"""v1.2.0 has all of these migrations, and one that takes no time."""
