"""Generates ``docs/reference/durations.md``, how long migrations take: ``make reference``"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.figures import read
from cdk8s_spicedb import known_releases
from cdk8s_spicedb.versions import EngineReleases, Waits, version_order
from tools.figures import filled
from tools.pages import NOTE, REFERENCE

PAGE = REFERENCE / "durations.md"
_TITLES = {"postgres": "PostgreSQL", "mysql": "MySQL"}
_OPENING = (
    NOTE
    + """\
# How long migrations take

`cdk8s-spicedb plan --relationships 10M` and `cdk8s-spicedb check` estimate the time of each migration from the rates on
this page. `plan` uses the number of relationships that you give, and assumes that there are at most as many
transactions. `check` asks your database for the number of rows. Both add up the times of each step, and compare the sum
with the deadline of the migration. For what to do, see [Migrate a large
database](../upgrade/migrations.md#migrate-a-large-database).

**Set the deadline to at least 3 times the estimate.** The time depends on the disks, the memory and the load of your
database. On our test machine, `identifiers_case_sensitive` took 33.9 s instead of 18.8 s while other programs used the
disks.

## How the rates were found

`bench/migrations.py` fills a database with 2,000,000 relationships, written in transactions of 10. Then it runs each
migration with SpiceDB itself, on PostgreSQL 15 and MariaDB 10.11 with 2 CPUs. The times are about proportional to the
number of rows, except those of `backfill-xid-add-indices`: it takes 40 seconds per million
rows in a table of 200,000 rows, and 105 in a table of 2,000,000. [Large databases](large.md) shows times for other
sizes, and how to measure your own.

<!-- figures: estimates -->
<!-- end -->

### The batches of a backfill

`backfill_batch_size` sets how many rows `backfill-xid-add-indices` writes in one batch. Keep the default of 1000:
larger batches are not faster.

<!-- figures: batches -->
<!-- end -->

## Rates

If a migration is not in the tables, its time does not depend on the number of relationships. The columns mean:

| Column | Meaning |
| --- | --- |
| Since | First release of SpiceDB with this migration. |
| Work | What the migration does to the table. |
| Rate | Seconds for one million rows of the table. `-` means less than a second for a table of any size. |
| Lock | Lock on the table, in the words of the database. |
| Waits | Whose requests wait until the migration is done. |

| Work | Meaning |
| --- | --- |
| indexes | Builds an index. |
| rewrites | Copies all rows to a new table. |
| fills | Writes values to new columns in all rows, in batches. |
| alters | Changes columns or constraints. PostgreSQL checks a new constraint against all rows. |

Before you migrate, end long transactions. `cdk8s-spicedb check` finds them. A migration with ACCESS EXCLUSIVE, and any
migration on MySQL, waits for all transactions that use the table, and new requests wait behind the migration. So even a
short lock can block requests for a long time. A migration with SHARE UPDATE EXCLUSIVE also waits for older
transactions, but no request waits for the migration.

We derived the locks from the SQL statements in SpiceDB's source code and the documentation of
[PostgreSQL](https://www.postgresql.org/docs/current/explicit-locking.html) and
[MySQL](https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html).
"""
)


def page() -> str:
    """The page, Markdown."""
    engines = known_releases().engines
    opening = filled(_OPENING, read())
    return "\n".join([opening, *(line for name, title in _TITLES.items() for line in _engine(title, engines[name]))])


def _engine(title: str, engine: EngineReleases) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| Migration | Since | Work | Rate | Lock | Waits | Source |\n| --- | --- | --- | --- | --- | --- | --- |"
    revisions = [revision for revision in engine.revisions if revision in engine.costs]
    sources = list(dict.fromkeys(engine.costs[revision].source for revision in revisions))
    for revision in revisions:
        cost = engine.costs[revision]
        cells = (
            f"`{revision}`",
            _since(engine, revision),
            f"{cost.work.value} `{cost.table}`",
            f"{cost.seconds_per_million:g}" if cost.seconds_per_million else "-",
            cost.lock,
            "nobody" if cost.waits is Waits.NOBODY else cost.waits.value,
            str(sources.index(cost.source) + 1),
        )
        yield f"| {' | '.join(cells)} |"
    yield "\nSources:\n"
    yield from (f"{number}. {_as_text(source)}" for number, source in enumerate(sources, 1))
    yield ""


def _since(engine: EngineReleases, revision: str) -> str:
    """The first release with a migration."""
    position = engine.revisions.index(revision)
    return min(
        (version for version, head in engine.heads.items() if engine.revisions.index(head) >= position),
        key=version_order,
    )


def _as_text(source: str) -> str:
    """A source as a sentence, with the names of files as code."""
    sentence = re.sub(r"(?<![\w`])((?:bench|internal)/[\w./]+\w)", r"`\1`", source)
    return f"{sentence[0].upper()}{sentence[1:]}."


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
