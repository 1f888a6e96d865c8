"""What people commit to Git: the files that this package writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from cdk8s_spicedb import Delivery, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.files.folder import write_manifests
from tests.programs import contents


def manifests(props: SpiceDBProps, delivery: Delivery = Delivery.ARGOCD) -> Mapping[str, str]:
    """The manifests of a SpiceDB, by the names of their files. Only charts have tests."""
    return _files(lambda folder: write_manifests(folder, attrs.evolve(props, delivery=delivery, test=None)))


def chart(props: SpiceDBProps) -> Mapping[str, str]:
    """The Helm chart of a SpiceDB, by the names of its files."""
    return _files(lambda folder: write_helm_chart(folder, attrs.evolve(props, delivery=Delivery.HELM)))


def _files(write: Callable[[Path], None]) -> Mapping[str, str]:
    with TemporaryDirectory() as folder:
        write(Path(folder) / "written")
        return {name: text.decode() for name, text in contents(Path(folder) / "written").items()}
