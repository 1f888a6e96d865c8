"""``cdk8s-spicedb install``: installs a SpiceDB, and says how to reach it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..live.check.check import CheckOptions
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..live.install.address import Address, address_of
from ..live.install.install import InstallOptions, InstallPreflight, install
from ..live.upgrade.outcome import CheckFailedError, State
from ..props import SpiceDBProps
from ..text import count
from .check import lines
from .destination import connect
from .display import Display
from .files import read_release
from .options import require_yes
from .output import as_json, say_after, say_error

if TYPE_CHECKING:
    from rich.text import Text

_REFUSED = "Nothing was installed. Fix the failures, then run the same command again."


def run(options: argparse.Namespace) -> int:
    """Checks, says what is installed, asks, and installs."""
    props, destination = read_release(options)
    cluster, quiet = connect(options, destination), options.output == "json"
    if not options.dry_run:
        require_yes(options)
    previewed = False

    def confirm(preflight: InstallPreflight) -> bool:
        nonlocal previewed
        previewed = options.dry_run
        intention = _intention(cluster, props, preflight)
        if not options.dry_run:
            return display.confirms(intention, "Install?", yes=options.yes)
        if quiet:
            say_after(as_json(preflight))
        display.line(*intention, "Nothing was installed: this was a dry run.")
        return False

    with Display(quiet=quiet) as display:
        outcome = install(cluster, props, options=_chosen(options), confirm=confirm, report=display.report)
        if isinstance(outcome.error, CheckFailedError):
            display.stop()
            display.line(*lines(outcome.error.report, but=Level.OK))
            say_error(_REFUSED)
        else:
            display.end(outcome)
    if previewed and outcome.error is None:
        return State.DONE.exit_code
    if outcome.state is State.DONE:
        found = address_of(cluster, props)
        say_after(as_json(found) if quiet else "\n".join(_reached(cluster, props, found)))
    return outcome.state.exit_code


def _chosen(options: argparse.Namespace) -> InstallOptions:
    checks = CheckOptions(
        database=not options.no_database,
        database_image=options.database_image,
        pull_images=not options.no_pull,
        schema=not options.no_schema,
    )
    check = None if options.no_check else checks
    # A dry run changes nothing, so that it also creates no namespace.
    return InstallOptions(check=check, create_namespace=options.create_namespace and not options.dry_run)


def _intention(cluster: Cluster, props: SpiceDBProps, preflight: InstallPreflight) -> Iterator[str | Text]:
    """What the check found that is not ok, and what the install does."""
    if preflight.check is not None:
        yield from lines(preflight.check, but=Level.OK)
    servers = "servers that scale by load" if props.server.autoscaling else count(props.max_replicas, "server")
    what = f"SpiceDB {props.version} on {props.datastore.engine}, {servers}, with {props.delivery.value}"
    yield f"{props.name} in {cluster.namespace}, {cluster.place}: install {what}."
    if preflight.since:
        yield f"  Continues the install that began at {preflight.since} and is not finished."
    yield f"  Creates {', '.join(preflight.creates)}."
    if props.migrates:
        yield "  A Job first creates or migrates SpiceDB's tables in the database."
    if not props.datastore.migrates:
        yield "  The servers have all relationships only in their memory: they are lost when a server restarts."
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
