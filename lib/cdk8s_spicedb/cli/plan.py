"""``cdk8s-spicedb plan``: prints the steps of an upgrade."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from ..delivery import Delivery
from ..errors import InvalidProps, SpiceDBError
from ..plans.plan import UpgradePlan
from ..plans.planner import plan_upgrade
from ..plans.tables import markdown, table
from ..plans.words import WAY_BACK
from ..props import SpiceDBProps
from ..props.datastores import ENGINES, Datastore
from ..versions import Concern, ReleaseTable, by_weight, concerns
from ..versions.engine import version_order
from .options import again, agreed, by_option, releases
from .output import BAD, BUSY, DATA, GOOD, Stream, as_data, say, show, styled

if TYPE_CHECKING:
    from ..files.read import Destination
    from ..live.instance import Running

_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
    "relationships": "--relationships",
}
"""The option for each parameter of `plan_upgrade`."""
_STYLES: dict[bool | None, str] = {True: GOOD, False: BAD, None: BUSY}


@frozen(kw_only=True)
class PlanReport(UpgradePlan):
    """The steps from one release to another, and what is known to be wrong with the last one."""

    advisories: Sequence[Concern] = ()
    """Known faults of the target that concern its engine, or that may, the most severe first."""


@frozen
class _Asked:
    """What is planned."""

    datastore: Datastore | type[Datastore]
    arguments: dict[str, Any]
    """The parameters of `plan_upgrade`."""
    props: SpiceDBProps | None = None
    """What the file says. None: there is none."""
    by_commit: bool = False
    """Whether Argo CD or Flux applies the release."""


def run(options: argparse.Namespace) -> int:
    """Prints the plan, in the chosen format."""
    known = releases(options)
    asked = _of_file(options, known) if options.file else _of_options(options, known)
    try:
        plan = plan_upgrade(asked.datastore, releases=known, **asked.arguments)
    except InvalidProps as error:
        raise by_option(error, "plan", _OPTIONS) from None
    report = with_advisories(plan, known)
    if options.output in DATA:
        say(as_data(report, options.output))
    elif options.output == "markdown":
        say("\n".join([markdown(plan), *(f"\n> [!WARNING]\n> {each}" for each in _faults(report))]))
    else:
        _show([*_lines(report, plan), *([] if asked.props is None else ["", _next(options, report, asked)])])
    return 0


def _of_options(options: argparse.Namespace, known: ReleaseTable) -> _Asked:
    """What the options alone say."""
    missing = [f"--{name}" for name, value in (("engine", options.engine), ("from", options.current)) if not value]
    if missing:
        options.usage(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} required without --file")
    for name in ("namespace", "context", "kubeconfig"):
        if getattr(options, name) is not None:
            options.usage(f"--{name} needs --file")
    arguments = {name: getattr(options, name) for name in _OPTIONS}
    if not options.target and _is_later(options.current, known.newest):
        raise SpiceDBError(
            f"{options.current} is later than {known.newest}, the newest release that this package knows; set the "
            "target with --to, and add --releases with a file that `cdk8s-spicedb learn` writes"
        )
    return _Asked(ENGINES[options.engine], {**arguments, "target": options.target or known.newest})


def _is_later(version: str, newest: str) -> bool:
    """Whether a release is later than the newest known one. False for a text that is no version."""
    with suppress(ValueError):
        return version_order(version) > version_order(newest)
    return False


def _of_file(options: argparse.Namespace, known: ReleaseTable) -> _Asked:
    """The options, or else the file. What runs now comes from the cluster, unless the options say it."""
    from .files import read_release  # Without a file, nothing of YAML is loaded.

    options.name = None
    props, destination = read_release(options)
    if options.engine not in (None, props.datastore.engine):
        raise SpiceDBError(
            f"--engine is {options.engine}, but the file has {props.datastore.engine}; leave out --engine"
        )
    for place in ("namespace", "context"):
        agreed(place, getattr(options, place), getattr(destination, place))
    found = {name: getattr(options, name) for name in _OPTIONS}
    by_commit = props.delivery is Delivery.ARGOCD
    if found["current"] is None:
        running = _running(options, props, destination)
        by_commit = running.applier.applies_commits
        found["current"] = running.version
        found["current_schema_mode"] = found["current_schema_mode"] or running.schema_mode
    found["target"] = found["target"] or props.version
    found["schema_mode"] = found["schema_mode"] or props.server.schema_mode
    return _Asked(props.datastore, found, props, by_commit)


def _running(options: argparse.Namespace, props: SpiceDBProps, destination: Destination) -> Running:
    from ..live.instance import require_running  # A plan with --from needs no client of a cluster.
    from .destination import connect

    found = require_running(connect(options, destination), props.name)
    if found.version is None:
        raise SpiceDBError(f"the image of {props.name} does not say which release runs; name it with --from")
    return found


def _lines(report: PlanReport, plan: UpgradePlan) -> Iterator[str]:
    width = shutil.get_terminal_size((100, 0)).columns
    yield from table(plan, width=width).split("\n")
    for each in _faults(report):
        yield ""
        yield from textwrap.wrap(f"Warning: {each}", width, subsequent_indent="  ", break_on_hyphens=False)


def _next(options: argparse.Namespace, report: PlanReport, asked: _Asked) -> str:
    if not report.steps:
        return f"Next: see which settings the file changes: {again(options, 'diff')}"
    more = ("--write", "FOLDER") if asked.by_commit else ()
    return f"Next: {again(options, 'upgrade', *more)}"


def _show(lines: Sequence[str]) -> None:
    """Prints the lines. On a terminal, the color of a step shows whether a rollback works."""
    try:
        if Stream().isatty():
            show(styled(line, style=_style(line)) for line in lines)
            return
    except ModuleNotFoundError:
        pass
    say("\n".join(lines))


def _style(line: str) -> str:
    step = line[:1].isdecimal()
    return next((_STYLES[key] for key, text in WAY_BACK.items() if step and line.endswith(f" {text}")), "")


def with_advisories(plan: UpgradePlan, known: ReleaseTable) -> PlanReport:
    """A plan with the known faults of its target."""
    fields: dict[str, Any] = attrs.asdict(plan, recurse=False)
    return PlanReport(**fields, advisories=concerns(known.advisories, plan.target, plan.engine, {}))


def _faults(report: PlanReport) -> Iterator[str]:
    """What is wrong with the target: what stands out by itself, and the others in one sentence."""
    outstanding, others = by_weight(report.advisories)
    for each in outstanding:
        yield f"{report.target} has a known fault. {each.text}. {each.fix[0].upper()}{each.fix[1:]}."
    if others:
        more = "more " if outstanding else ""
        yield f"{report.target} has {more}known faults, which `cdk8s-spicedb releases` explains: {', '.join(others)}."
