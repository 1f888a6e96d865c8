"""What Helm keeps of a release, in Secrets of the namespace."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Sequence
from typing import Any

import yaml
from attrs import frozen

from ...errors import SpiceDBError
from ...manifests.manifest import Manifest
from ..cluster import SECRET, Cluster

# Several times faster, but not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@frozen(kw_only=True)
class HelmRelease:
    """A revision of a Helm release."""

    release: str
    """Name of the release."""
    revision: int
    """Number of the revision."""
    status: str
    """Helm's word for its state, such as ``deployed``, ``failed`` or ``pending-upgrade``."""
    created: str
    """Time at which Helm began it (ISO 8601)."""
    secret: str
    """Name of the Secret in which Helm keeps it."""


def helm_releases(cluster: Cluster, release: str) -> list[HelmRelease]:
    """The revisions of a release, oldest first. Reads no Secret's data. Empty if Helm keeps them elsewhere."""
    found = []
    for secret in cluster.find_metadata(SECRET, labels=f"owner=helm,name={release}"):
        metadata = secret["metadata"]
        found.append(
            HelmRelease(
                release=release,
                revision=int(metadata["labels"]["version"]),
                status=metadata["labels"]["status"],
                created=metadata["creationTimestamp"],
                secret=metadata["name"],
            )
        )
    return sorted(found, key=lambda each: each.revision)


def deployed(releases: list[HelmRelease]) -> HelmRelease | None:
    """The revision that Helm compares the next one with: the deployed one, or else the last one."""
    of_state = [each for each in releases if each.status == "deployed"]
    return max(of_state or releases, key=lambda each: each.revision, default=None)


@frozen
class Stored:
    """The content of a revision."""

    manifests: Sequence[Manifest]
    """Its objects, without hooks."""
    values: Sequence[str]
    """Names of the values that somebody set for it, above the chart's defaults."""


def read_stored(cluster: Cluster, release: HelmRelease) -> Stored:
    """The content of a revision. Reads the data of Helm's own Secret."""
    secret = cluster.get(SECRET, release.secret)
    if secret is None:
        raise SpiceDBError(f"Helm's Secret {release.secret} is gone")
    try:
        content = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        stored = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        found = list(yaml.load_all(stored["manifest"], _LOADER))
    except (KeyError, ValueError, OSError, EOFError, binascii.Error, yaml.YAMLError):
        raise SpiceDBError(f"cannot read the manifests in Helm's Secret {release.secret}") from None
    return Stored(tuple(each for each in found if each), tuple(sorted(stored.get("config") or ())))
