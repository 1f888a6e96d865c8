"""Known faults of the release, and of the Helm that applies it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from ...delivery import Delivery
from ...errors import SpiceDBError
from ...props import SpiceDBProps
from ...props.advisories import advisories_of
from ...versions import Severity, by_weight, is_version
from ..cluster import Cluster
from ..programs import run
from .finding import Finding

_SUBJECT = "Known faults"


def advisory_findings(cluster: Cluster, props: SpiceDBProps) -> Iterator[Finding]:
    """What is known to be wrong with the release, as far as it concerns the props, and with the Helm on ``PATH``."""
    found = advisories_of(props)
    outstanding, others = by_weight(found)
    for each in outstanding:
        fix = f"{each.fix}; or accept it in the file: acceptAdvisories: [{each.advisory.id}]"
        severe = each.certain and each.advisory.severity is Severity.SEVERE
        yield (Finding.failure if severe else Finding.warning)(_SUBJECT, each.text, fix)
    if others:
        text = f"those of {props.version} that depend on your schema or your requests: {', '.join(others)}"
        yield Finding.warning(_SUBJECT, text, "see what they are with `cdk8s-spicedb releases`")
    if not found:
        accepted = " that is not accepted" if props.accept_advisories else ""
        yield Finding.ok(_SUBJECT, f"none{accepted} is known of {props.version} with these settings")
    yield from _helm_findings(cluster, props)


def _helm_findings(cluster: Cluster, props: SpiceDBProps) -> Iterator[Finding]:
    version = helm_version(cluster) if props.delivery is Delivery.HELM else None
    for each in props.releases.advisories:
        accepted = set(props.accept_advisories).intersection(each.names)
        if version and not accepted and each.affects(version, "helm"):
            text = f"Helm {version} on this machine: {each.id} ({each.severity.value}): {each.what}"
            yield Finding.warning(_SUBJECT, text, each.fix)


def helm_version(cluster: Cluster) -> str | None:
    """The version of the Helm on ``PATH``. None if there is none, or if it does not say."""
    if shutil.which("helm") is None:
        return None
    try:
        ended = run(["helm", "version", "--template", "{{.Version}}"], cluster)
    except SpiceDBError:
        return None
    version = ended.stdout.strip()
    return version if ended.ok and is_version(version) else None
