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
from ..cluster import JOB, POD, Cluster, Kind
from ..pods import container_of, created, job_state
from ..poll import poll
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
    """Runs a Job to its end and returns its log. Deletes everything afterwards, except a NetworkPolicy of the
    release."""
    (job,) = (each for each in manifests if each["kind"] == "Job")
    name = job["metadata"]["name"]
    cluster.delete(JOB, name)
    try:
        for manifest in manifests:
            cluster.apply(manifest)
        seen = _wait(cluster, name)
        log = job_log(cluster, seen, 100_000) if seen else ""
        if not allow_failure and (seen is None or not job_state(seen).succeeded):
            ended = seen is not None and (job_state(seen).failed or seen["status"].get("failed"))
            raise StepError(f"the Job {name} {'failed' if ended else 'took too long'}", log)
        return log
    finally:
        for manifest in (each for each in manifests if each["kind"] in ("Job", "ConfigMap")):
            cluster.delete(Kind.of(manifest), manifest["metadata"]["name"])


def _wait(cluster: Cluster, name: str) -> Manifest | None:
    # A Job that fails is retried. One failed pod says enough.
    def is_over(job: Manifest | None) -> bool:
        return job is not None and (not job_state(job).runs or bool(job.get("status", {}).get("failed")))

    return poll(lambda: cluster.get(JOB, name), until=is_over, seconds=_SECONDS, clock=cluster.clock)


def job_log(cluster: Cluster, job: Manifest, lines: int) -> str:
    """The last lines of the log of a Job's newest pod."""
    pods = cluster.find(POD, labels=f"batch.kubernetes.io/job-name={job['metadata']['name']}")
    if not pods:
        return ""
    pod = max(pods, key=created)
    return cluster.log(pod["metadata"]["name"], container_of(pod)["name"], tail=lines).strip()
