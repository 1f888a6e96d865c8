"""Measures another Helm chart of SpiceDB as ``commands.py`` measures this package's: install, upgrade, rollback.

Usage: python bench/rivals.py CHART VALUES. CHART is a folder or an address that Helm reads. VALUES is a file with its
values for two servers on PostgreSQL: the Secret ``rival`` has the URI of the database (``datastore-uri``) and the key
of clients (``preshared-key``). The release is set as ``image.tag``. The cluster has to be able to pull the chart's
images.
"""

from __future__ import annotations

import sys
from urllib.parse import quote

from bench.commands import helm, namespace
from bench.figures import keep, print_row, read
from tests.lab.cluster import Namespace
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER
from tests.lab.props import NEW, OLD

_URI = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{DATABASE}?sslmode=disable"
_LIMIT_SECONDS = 240


def timed(where: Namespace, *arguments: str) -> str:
    """How long Helm takes, or that the servers did not become ready."""
    try:
        return f"{helm(where, *arguments, limit_seconds=_LIMIT_SECONDS):.0f} s"
    except AssertionError:
        return f"not ready after {_LIMIT_SECONDS} s"


def main(chart: str, values: str) -> None:
    """Prints the times beside those of this package that were measured last, and keeps them."""
    told = ("--values", values)
    with namespace() as where:
        where.secret("rival", {"datastore-uri": _URI, "preshared-key": "a key"})
        found = {
            "install": timed(where, "install", "spicedb", chart, *told, f"--set=image.tag={OLD}"),
            "upgrade": timed(where, "upgrade", "spicedb", chart, *told, f"--set=image.tag={NEW}"),
            "rollback": timed(where, "rollback", "spicedb", "1"),
        }
    ours = {step: seconds for step, seconds, *_ in read()["helm"]}
    rows = [(step, ours[step], took) for step, took in found.items()]
    for row in rows:
        print_row(row)
    keep("rival", ("", "this package", chart), rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
