"""An OCI registry on this machine, and charts in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from cdk8s_spicedb import SpiceDBProps, write_helm_chart
from tests.lab.cluster import run, wait

from .processes import accepts_connections, free_port, running

PLAIN_HTTP = "--plain-http"
"""Makes Helm talk to the registry without TLS."""


@frozen
class Registry:
    """A registry without TLS and without users."""

    address: str
    """URL of the folder that charts are pushed to."""

    def push(self, package: Path, program: str = "helm") -> str:
        """Pushes a packaged chart, with its provenance file if there is one. Returns Helm's output."""
        result = run(program, "push", str(package), self.address, PLAIN_HTTP)
        return result.stdout + result.stderr

    def push_chart(self, props: SpiceDBProps, version: str, folder: Path) -> None:
        """Writes, packages and pushes a chart."""
        self.push(package(props, version, folder))


def package(props: SpiceDBProps, version: str, folder: Path, *options: str, program: str = "helm") -> Path:
    """Writes and packages a chart. ``options`` are more options of ``helm package``."""
    chart = folder / f"chart-{version}"
    write_helm_chart(chart, props, version=version)
    run(program, "package", str(chart), f"--destination={folder}", *options)
    return folder / f"{props.name}-{version}.tgz"


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Runs a registry that keeps its data in a folder, until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    # JSON is also YAML.
    (folder / "config.yml").write_text(json.dumps(settings))
    env = {"OTEL_TRACES_EXPORTER": "none"}
    with running("registry", "serve", str(folder / "config.yml"), folder=folder, env=env):
        wait("the registry", lambda: accepts_connections(port))
        yield Registry(f"oci://127.0.0.1:{port}/charts")
