"""What an install begins with: what is there already, the check, and what would be created."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ...delivery import Applier, Delivery
from ...errors import SpiceDBError
from ...manifests import release_manifests
from ...props import SpiceDBProps, secret_keys
from ..check.check import CheckOptions, CheckReport, check_planned, namespace_finding
from ..check.finding import Finding, Level
from ..check.plan import Planned
from ..cluster import Cluster
from ..instance import Observed
from ..observe import observe
from ..target import require_same_delivery
from ..unfinished import Unfinished, read_unfinished
from ..upgrade.outcome import CheckFailedError
from .remains import titles

APPLIERS = {Delivery.HELM: Applier.HELM, Delivery.KUBECTL: Applier.KUBECTL}
"""The programs that can install."""


@frozen(kw_only=True)
class InstallPreflight:
    """An install, before it changes anything."""

    creates: Sequence[str]
    """The objects that it creates, by kind and name."""
    secrets: Sequence[str]
    """The Secrets that the release reads, which you have made."""
    check: CheckReport | None
    """What the check found. None: nothing was checked."""
    since: str | None = None
    """Start time of the unfinished install that this one continues. None: there is none."""


@frozen
class Beginning:
    """What an install finds."""

    seen: Observed
    """What is there."""
    unfinished: Unfinished | None
    """The install that it continues. None: there is none."""


def plan_install(cluster: Cluster, props: SpiceDBProps, *, check: CheckOptions | None) -> InstallPreflight:
    """What an install would do. It changes nothing. ``check`` is what is checked. None: only that the namespace exists.

    Raises `CheckFailedError` if the check fails, and another `SpiceDBError` for any other reason for which `install`
    refuses.
    """
    require_installable(cluster, props)
    return preflight(cluster, props, beginning(cluster, props), check)


def require_installable(cluster: Cluster, props: SpiceDBProps) -> None:
    """Raises `SpiceDBError` if Argo CD installs this SpiceDB, and `CheckFailedError` if there is no namespace for
    it."""
    if props.delivery not in APPLIERS:
        raise SpiceDBError(_BY_COMMIT)
    finding = namespace_finding(cluster)
    if finding.level is Level.FAILURE:
        raise CheckFailedError(CheckReport(findings=(finding,), plan=None))


_BY_COMMIT = (
    "the file has delivery: argocd, so Argo CD installs this SpiceDB: write its files with `cdk8s-spicedb synth`, and "
    "commit them to the repository of an Argo CD Application"
)


def beginning(cluster: Cluster, props: SpiceDBProps) -> Beginning:
    """What is there. Raises `SpiceDBError` if it is a SpiceDB of this name, unless its install is not finished."""
    seen, found = observe(cluster, props.name, helm=True), read_unfinished(cluster, props.name)
    place, running = f"in the namespace {cluster.namespace}", seen.running
    if found is not None and found.delivery is not props.delivery:
        raise SpiceDBError(
            f"an install of {props.name} with delivery: {found.delivery.value} is not finished {place}, and the file "
            f"has delivery: {props.delivery.value}; finish it first, or remove it: "
            f"cdk8s-spicedb uninstall {props.name} {cluster.options()}"
        )
    if running is not None and found is None:
        to_do = "to change it, use `cdk8s-spicedb upgrade`; to install another one"
        if not running.ours:
            to_do = "it was not made by cdk8s-spicedb; to install another SpiceDB"
        by = running.applier.of(running.applied_as)
        raise SpiceDBError(
            f"the Deployment {running.name} exists already {place} ({by}); {to_do}, set another name in the file"
        )
    if running is not None:
        require_same_delivery(props, running)
    return Beginning(seen, found)


def preflight(
    cluster: Cluster, props: SpiceDBProps, begins: Beginning, options: CheckOptions | None
) -> InstallPreflight:
    """Checks. Raises `CheckFailedError`."""
    found, report = begins.unfinished, None
    if options is not None:
        report = check_planned(cluster, props, options, begins.seen, _planned(props, found))
        if not report.ok:
            raise CheckFailedError(report)
    return InstallPreflight(
        creates=titles(release_manifests(props)),
        secrets=tuple(dict.fromkeys(str(key.name) for key in secret_keys(props))),
        check=report,
        since=found.started if found else None,
    )


def _planned(props: SpiceDBProps, found: Unfinished | None) -> Planned:
    """What the check has to know of an install."""
    text = f"install {props.version}: "
    text += f"continues the unfinished install that began at {found.started}" if found else "nothing runs yet"
    return Planned(findings=(Finding.ok("Plan", text),), installs=True, interrupted=found is not None)
