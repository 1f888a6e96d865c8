"""Generates ``docs/reference/migrations.md``, how long migrations take: ``make reference``"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cdk8s_spicedb import known_releases
from cdk8s_spicedb.releases.cost import Waits
from cdk8s_spicedb.releases.engine import EngineReleases

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "migrations.md"
_TITLES = {"postgres": "PostgreSQL", "mysql": "MySQL"}
_OPENING = """\
# How long migrations take

`cdk8s-spicedb check` estimates the time of each coming migration from the number of rows in your database and the rates
on this page. It compares the sum of the migrations of each Job with `active_deadline_seconds`.

`make reference` generates this page from `releases/releases.json`, which has the source of each rate.

## How the rates were found

The benchmark `bench/migrations.py` fills a database with 2,000,000 relationships, written in transactions of 10. Then
it runs each migration with the real SpiceDB program, on PostgreSQL 15 and MariaDB 10.11 with 2 CPUs. The times of
200,000 and 2,000,000 relationships were compared: all are about proportional to the rows, except
`backfill-xid-add-indices`, which takes 40 seconds per million at 200,000 rows and 105 seconds at 2,000,000.

With 2,000,000 relationships, the estimates compare with the measured times like this:

| Engine | Migration | Estimated | Measured |
| --- | --- | --- | --- |
| PostgreSQL | `add-watch-api-index-to-relation-tuple-table` | 2.0 s | 1.2 s |
| PostgreSQL | `add-expiration-cleanup-index` | 0.6 s | 0.3 s |
| PostgreSQL | `add-index-for-transaction-gc` | 0.2 s | 0.2 s |
| MariaDB | `extend_object_id` | 20 s | 17 s |
| MariaDB | `add_expiration_to_relation_tuple` | 1.9 s | 2.2 s |
| MariaDB | `identifiers_case_sensitive` | 11.6 s | 18.8 s |

On your database, the times differ with its disks, its memory and its load. While other programs used the disks of the
test machine, `add-watch-api-index-to-relation-tuple-table` took 7.8 s, and `identifiers_case_sensitive` took 33.9 s. So
set the time limit to at least 3 times the estimate.

To measure it yourself, on a cluster that `KUBECONFIG` names:

    python bench/migrations.py postgres 2000000
    python bench/migrations.py mysql 2000000

## Rates

A migration that is not in the tables does not depend on the number of relationships. "Waits" says what your clients
notice while the migration runs.
"""


def page() -> str:
    """The page, Markdown."""
    engines = known_releases().engines
    return "\n".join([_OPENING, *(line for name, title in _TITLES.items() for line in _engine(title, engines[name]))])


def _engine(title: str, engine: EngineReleases) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| Migration | Table | Seconds per million rows | Waits |\n| --- | --- | --- | --- |"
    for revision in engine.revisions:
        if revision in engine.costs:
            cost = engine.costs[revision]
            rate = f"{cost.seconds_per_million:g}" if cost.seconds_per_million else "less than 0.1"
            waits = "nobody" if cost.waits is Waits.NOBODY else cost.waits.value
            yield f"| `{revision}` | `{cost.table}` | {rate} | {waits} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
