"""Generates ``docs/reference/advisories.md``, the known faults of SpiceDB's releases: ``make reference``"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cdk8s_spicedb import known_releases
from cdk8s_spicedb.versions import CONDITIONS, Advisory, Severity

from .pages import NOTE, REFERENCE, in_cell

PAGE = REFERENCE / "advisories.md"
_OPENING = (
    NOTE
    + """\
# Known faults of releases

This page lists the releases of SpiceDB, and of Helm, that are known to be wrong. `cdk8s-spicedb releases` prints the
same. The commands tell you only what concerns your configuration: its release, its engine, its settings, and the text
of its schema if the file has one (`schema.text`).

| Command | What it does |
| --- | --- |
| `synth`, also `cdk8s synth` | warns |
| `check`, and `upgrade` before it begins | fails if a `severe` fault concerns the file. Warns about the others |
| `status` | names the faults of the release that runs |
| `plan` | names the faults of the target. It knows only the engine |
| `init` | names the faults of the newest release, if there are any |

To accept a fault, name it in the file: `acceptAdvisories: [GHSA-jf7w-wx43-32gc]`. In Python:
`SpiceDBProps(accept_advisories=["GHSA-jf7w-wx43-32gc"])`. Then you get no warning, and `check` does not fail. A name
that this package does not know is an error.

To add a fault that this package does not know, write it to the file of `--releases`, or in Python, pass
`SpiceDBProps(releases=known_releases().with_advisories([Advisory(…)]))`:

```yaml
advisories:
  - id: our-42
    severity: moderate
    releases: [{from: v1.57.0, before: v1.57.1}]
    engines: [postgres]
    when: [read-replicas]
    what: reads from our replica fail
    source: our wiki
```

Leave out `from` for all earlier releases, `before` if no release mends the fault, `engines` for all engines, and
`when` if no other condition matters.

| Severity | Meaning |
| --- | --- |
"""
)


def page() -> str:
    """The page, Markdown."""
    return _OPENING + "\n".join([*_severities(), "", *_conditions(), "", *_table()]) + "\n"


def _severities() -> Iterator[str]:
    source = Path(__file__).parent.parent / "lib" / "cdk8s_spicedb" / "versions" / "advisories.py"
    for each in Severity:
        found = re.search(rf'^    {each.name} = .*\n    """(.*)"""', source.read_text("utf-8"), re.MULTILINE)
        assert found is not None, each
        yield f"| `{each.value}` | {in_cell(found[1])} |"


def _conditions() -> Iterator[str]:
    yield "| Condition | It concerns a configuration |\n| --- | --- |"
    yield from (f"| `{name}` | {in_cell(text)} |" for name, text in CONDITIONS.items())


def _table() -> Iterator[str]:
    yield "## The faults\n"
    yield "| Fault | Severity | Releases | Concerns | What to do |"
    yield f"|{' --- |' * 5}"
    yield from map(_row, known_releases().advisories)


def _row(advisory: Advisory) -> str:
    program = "Helm " if advisory.program == "helm" else ""
    withdrawn = f"; withdrawn: {', '.join(advisory.withdrawn)}" if advisory.withdrawn else ""
    concerns = " and ".join([*map("`{}`".format, advisory.engines)]) or "all engines"
    conditions = f", {' and '.join(CONDITIONS[name] for name in advisory.when)}" if advisory.when else ""
    cells = (
        f"**{' '.join(advisory.names)}**: {advisory.what}. Source: {advisory.source}.",
        advisory.severity.value,
        f"{program}{' and '.join(map(str, advisory.releases))}{withdrawn}",
        "everybody" if advisory.program == "helm" else f"{concerns}{conditions}",
        advisory.fix,
    )
    return f"| {' | '.join(map(in_cell, cells))} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
