"""Generates ``docs/reference/paths.md``, ten planned upgrades: ``make reference``"""

from __future__ import annotations

import contextlib
import io
import shlex
from collections import Counter
from functools import partial
from itertools import groupby

from cdk8s_spicedb.cli import main as cdk8s_spicedb
from cdk8s_spicedb.plans.planner import plan_upgrade
from cdk8s_spicedb.props.datastores import ENGINES
from cdk8s_spicedb.versions import ReleaseTable, known_releases
from tools.pages import NOTE, REFERENCE, table

PAGE = REFERENCE / "paths.md"
_OPENING = (
    NOTE
    + """\
# Ten planned upgrades

This page lists the releases of SpiceDB that an upgrade must not skip. Then it shows the output of `cdk8s-spicedb plan`
for ten upgrades that need more than a plain `helm upgrade`, or that show a common case. To plan your own, see
[plan an upgrade](../upgrade/plan.md).
"""
)
_OUTPUTS = """\
The column `ROLLBACK` says whether a `helm rollback` from the step works. It says `works` if servers of the step before
become ready on the schema that the step leaves. [Phases](../why/phases.md) explains the phases and modes.
"""
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
    sections = (_section(title, options) for title, options in PLANS.items())
    return "\n".join([_OPENING, _stops(known_releases()), _OUTPUTS, *sections])


def _stops(releases: ReleaseTable) -> str:
    """The releases that no upgrade to the newest one skips."""
    rows = [
        (f"`{engine}`", f"{found[0]} to {found[-1]}", _on_the_way(stops))
        for engine, known in releases.engines.items()
        for stops, group in groupby(known.heads, key=partial(_path, engine, releases.newest))
        if stops and (found := list(group))
    ]
    headings = ("Engine", "You run", f"Upgrade to, in this order, to reach {releases.newest}")
    return f"## Releases that you must not skip\n\n{table(headings, *rows)}"


def _path(engine: str, newest: str, current: str) -> tuple[str, ...]:
    return tuple(step.version for step in plan_upgrade(ENGINES[engine], current, newest).steps)


def _on_the_way(versions: tuple[str, ...]) -> str:
    counts = Counter(versions)
    return ", ".join(f"{version} ({count} roll-outs)" if count > 1 else version for version, count in counts.items())


def _section(title: str, options: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = cdk8s_spicedb(["plan", *shlex.split(options)])
    assert code == 0, options
    return f"## {title}\n\n```console\n$ cdk8s-spicedb plan {options}\n{printed.getvalue()}```\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), "utf-8")
