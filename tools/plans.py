"""Generates ``docs/reference/paths.md``, ten planned upgrades: ``make reference``"""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from cdk8s_spicedb.cli import main as cdk8s_spicedb
from tools.pages import NOTE

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "paths.md"
_OPENING = (
    NOTE
    + """\
# Ten planned upgrades

This is the output of `cdk8s-spicedb plan` for ten upgrades that need more than a plain `helm upgrade`, or that show a
common case. To plan your own, see [plan an upgrade](../upgrade/plan.md).

The column `ROLLBACK` says whether a `helm rollback` from the step works. It says `works` if servers of the step before
become ready on the schema that the step leaves. [Phases](../why/phases.md) explains the phases and modes.
"""
)
PLANS = {
    "PostgreSQL, from before the change of transaction ids": "--engine postgres --from v1.13.0 --to v1.57.1",
    "PostgreSQL, with stops for requests between servers": "--engine postgres --from v1.35.3 --to v1.57.1",
    "PostgreSQL, in one step, with a working rollback": "--engine postgres --from v1.52.0 --to v1.57.1",
    "PostgreSQL, to the unified schema, mode by mode": (
        "--engine postgres --from v1.52.0 --to v1.57.1 --schema-mode read-new-write-new"
    ),
    "PostgreSQL, from a withdrawn release": "--engine postgres --from v1.48.0 --to v1.50.0",
    "Spanner, to change streams": "--engine spanner --from v1.21.0 --to v1.57.1",
    "Spanner, to one combined change stream": "--engine spanner --from v1.26.0 --to v1.30.0",
    "CockroachDB, to a schema without the table of statistics": "--engine cockroachdb --from v1.29.5 --to v1.57.1",
    "MySQL, with one rebuild of a large table": "--engine mysql --from v1.52.0 --to v1.57.1 --relationships 10M",
    "MySQL, with two rebuilds of a table": "--engine mysql --from v1.19.1 --to v1.57.1",
}


def page() -> str:
    """The page, Markdown."""
    return "\n".join([_OPENING, *(_section(title, options) for title, options in PLANS.items())])


def _section(title: str, options: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = cdk8s_spicedb(["plan", *shlex.split(options)])
    assert code == 0, options
    return f"## {title}\n\n```console\n$ cdk8s-spicedb plan {options}\n{printed.getvalue()}```\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), "utf-8")
