"""Reads the SpiceDB schema, and writes it again unchanged, with Jobs in the cluster: no key leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import asdict, evolve

from ...delivery import Delivery
from ...manifests.jobs import schema_manifests, schema_read_manifests
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ...props.jobs import ClientProps, SchemaProps
from ..cluster import Cluster
from ..runs import run_job
from .deliver import StepError

_SECONDS = 120


def write_schema_again(cluster: Cluster, props: SpiceDBProps, notify: Callable[[str], None]) -> None:
    """Reads the schema and writes it, so that it is in all tables that the servers write. Raises `StepError`."""
    # Without hooks, Jobs have names of their own, and no program of the release deletes them.
    props = evolve(props, delivery=Delivery.KUBECTL)
    client = _client(props)
    notify("reading the SpiceDB schema")
    log = _run(cluster, schema_read_manifests(props, client), allow_failure=True)
    text = schema_in(log)
    if text is None:
        if "no schema has been defined" not in log.lower():
            raise StepError("cannot read the SpiceDB schema", log)
        notify("there is no SpiceDB schema yet")
        return
    notify("writing the SpiceDB schema again")
    settings = {name: value for name, value in asdict(client, recurse=False).items() if name != "text"}
    _run(cluster, [_renamed(each) for each in schema_manifests(props, SchemaProps(**settings, text=text))])


def _client(props: SpiceDBProps) -> ClientProps:
    """The settings of the release's own clients of the servers: image, and TLS."""
    return props.schema or props.test or ClientProps()


def schema_in(log: str) -> str | None:
    """The schema in the log of ``zed schema read``. None if there is none. The log's own lines are JSON."""
    lines = [line for line in log.splitlines() if not line.startswith('{"level"')]
    text = "\n".join(lines).strip()
    return text if "definition" in text or "caveat" in text else None


def _renamed(manifest: Manifest) -> Any:
    """The ConfigMap with another name, and the Job that reads it: the release may have one for its own schema."""
    if manifest["kind"] == "ConfigMap":
        return _replaced(manifest, manifest["metadata"]["name"])
    if manifest["kind"] == "Job":
        (volume,) = (each for each in manifest["spec"]["template"]["spec"]["volumes"] if "configMap" in each)
        return _replaced(manifest, volume["configMap"]["name"])
    return manifest


def _replaced(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: each if key == "labels" else _replaced(each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, name) for each in value]
    return f"{name}-again" if value == name else value


def _run(cluster: Cluster, manifests: list[Manifest], *, allow_failure: bool = False) -> str:
    """Runs a Job to its end and returns its log."""
    (name,) = (each["metadata"]["name"] for each in manifests if each["kind"] == "Job")
    ended, log = run_job(cluster, manifests, seconds=_SECONDS)
    if not ended.succeeded and not allow_failure:
        raise StepError(f"the Job {name} {'failed' if ended.failed else 'took too long'}", log)
    return log
