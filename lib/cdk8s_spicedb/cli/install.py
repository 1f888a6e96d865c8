"""``cdk8s-spicedb install``: installs a SpiceDB, and says how to reach it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..live.check.check import CheckOptions, CheckReport
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..live.install.address import Address, address_of
from ..live.install.install import InstallOptions, install
from ..live.install.preflight import InstallPreflight, plan_install
from ..live.upgrade.outcome import CheckFailedError, State
from ..props import SpiceDBProps
from ..text import count
from .check import chosen, lines
from .destination import connect
from .display import Display
from .exits import NO
from .files import read_release
from .options import require_yes
from .output import DATA, DRY_RUN, as_data, say, say_after, say_error, show, styled, tell

if TYPE_CHECKING:
    from rich.text import Text


def run(options: argparse.Namespace) -> int:
    """Checks, says what is installed, asks, and installs."""
    props, destination = read_release(options)
    cluster = connect(options, destination)
    checks = None if options.no_check else chosen(options)
    if options.dry_run:
        return _preview(options, cluster, props, checks)
    return _install(options, cluster, props, InstallOptions(check=checks, create_namespace=options.create_namespace))


def _preview(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, checks: CheckOptions | None) -> int:
    """Says what an install would do."""
    try:
        found = plan_install(cluster, props, check=checks)
    except CheckFailedError as error:
        return _refuse(options, error.report)
    return tell(options, found, lambda: map(styled, [*_intention(options, cluster, props, found), DRY_RUN]))


def _refuse(options: argparse.Namespace, report: CheckReport) -> int:
    """Says what the check found that is not ok."""
    if options.output not in DATA:
        show(lines(report, options, but=Level.OK))
    elif options.dry_run:
        say(as_data(report, options.output))
    say_error("error: the check failed. Nothing was installed. Fix the failures, then run the same command again.")
    return NO


def _install(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, how: InstallOptions) -> int:
    require_yes(options)
    with Display(quiet=options.output in DATA) as display:
        outcome = install(
            cluster,
            props,
            options=how,
            confirm=lambda found: display.confirms(
                _intention(options, cluster, props, found), "Install?", yes=options.yes
            ),
            report=display.report,
        )
        if isinstance(outcome.error, CheckFailedError):
            display.stop()
            return _refuse(options, outcome.error.report)
        display.end(outcome, options)
    if outcome.state is State.DONE:
        found = address_of(cluster, props)
        text = as_data(found, options.output) if options.output in DATA else "\n".join(_reached(cluster, props, found))
        say_after(text)
    return outcome.exit_code


def _intention(
    options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, preflight: InstallPreflight
) -> Iterator[str | Text]:
    """What the check found that is not ok, and what the install does."""
    if preflight.check is not None:
        yield from lines(preflight.check, options, but=Level.OK)
    servers = "servers that scale by load" if props.server.autoscaling else count(props.max_replicas, "server")
    what = f"SpiceDB {props.version} on {props.datastore.engine}, {servers}, with {props.delivery.value}"
    yield f"{props.name} in {cluster.namespace}, {cluster.place}: install {what}."
    if preflight.since:
        yield f"  Continues the unfinished install that began at {preflight.since}."
    yield f"  Creates {', '.join(preflight.creates)}."
    if props.migrates:
        yield "  A Job first creates or migrates SpiceDB's tables in the database."
    if not props.datastore.migrates:
        yield "  The servers keep all relationships only in memory: when a server restarts, they are lost."
    if preflight.secrets:
        yield f"  Reads the Secrets that you made: {', '.join(preflight.secrets)}."


def _reached(cluster: Cluster, props: SpiceDBProps, found: Address) -> Iterator[str]:
    """How to reach the SpiceDB, and what to do next."""
    insecure = "" if found.tls else " --insecure"
    yield f"Address in the cluster: {found.address} (gRPC{' with TLS' if found.tls else ', without TLS'})"
    yield f"API key: in the Secret {found.secret}, under the key {found.key}"
    yield "To connect from this machine:"
    yield f"  {found.forward}"
    yield f'  zed context set {props.name} {found.local} "$({found.key_command})"{insecure}'
    yield f"To see what runs: cdk8s-spicedb status {props.name} {cluster.options()}"
