"""Writes the plans of ``docs/reference/upgrades.md`` anew: ``make reference``"""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from cdk8s_spicedb.cli import main as cdk8s_spicedb

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "upgrades.md"
_OPENING = """\
# Upgrades that tell the most

What `cdk8s-spicedb plan` prints for the upgrades in which there is most to know. `make reference` writes this page.

`ROLLBACK` says whether servers of the step before turn ready on what the step leaves behind, as a `helm rollback` needs
them to. [Phases](../explanation/phases.md) says what the phases and modes are.
"""
PLANS = {
    "PostgreSQL, from before transaction ids changed": "--engine postgres --from v1.13.0 --to v1.56.0",
    "Servers that must understand each other": "--engine postgres --from v1.35.3 --to v1.56.0",
    "One step, and a rollback that turns ready": "--engine postgres --from v1.52.0 --to v1.56.0",
    "To the unified schema, mode by mode": (
        "--engine postgres --from v1.52.0 --to v1.56.0 --schema-mode read-new-write-new"
    ),
    "A release that was withdrawn": "--engine postgres --from v1.48.0 --to v1.50.0",
    "Spanner, to change streams": "--engine spanner --from v1.21.0 --to v1.56.0",
    "Spanner, to one change stream": "--engine spanner --from v1.26.0 --to v1.30.0",
    "CockroachDB, without its table of statistics": "--engine cockroachdb --from v1.29.5 --to v1.56.0",
    "MySQL, with a table that is rebuilt": "--engine mysql --from v1.52.0 --to v1.56.0",
    "MySQL, with a table that is rebuilt twice": "--engine mysql --from v1.19.1 --to v1.56.0",
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
