"""Reads the SpiceDB schema, and writes it again unchanged, with Jobs in the cluster: no key leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, fields

from ...delivery import Delivery
from ...manifests.jobs import schema_manifests, schema_read_manifests
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ...props.jobs import ClientProps, SchemaProps
from ..cluster import Cluster
from ..runs import owned, run_job
from ..schema import client_of, says_none, schema_in
from .deliver import StepError

_SECONDS = 120


def write_schema_again(cluster: Cluster, props: SpiceDBProps, notify: Callable[[str], None]) -> None:
    """Reads the schema and writes it, so that it is in all tables that the servers write. Raises `StepError`."""
    # Without hooks, Jobs have names of their own, and no program of the release deletes them.
    props = evolve(props, delivery=Delivery.KUBECTL)
    client = client_of(props)
    notify("reading the SpiceDB schema")
    text = _read(cluster, props, client)
    if text is None:
        notify("there is no SpiceDB schema yet")
        return
    notify("writing the SpiceDB schema again")
    settings = {each.name: getattr(client, each.name) for each in fields(ClientProps)}
    manifests = [_renamed(each) for each in schema_manifests(props, SchemaProps(**settings, text=text))]
    state, log = run_job(cluster, owned(cluster, props.name, manifests), seconds=_SECONDS)
    if not state.succeeded:
        raise StepError(f"the Job that writes the SpiceDB schema {state.ending(_SECONDS)}", log)


def _read(cluster: Cluster, props: SpiceDBProps, client: ClientProps) -> str | None:
    """The SpiceDB schema. None if there is none. Raises `StepError` if it is not certain that all of it was read."""
    manifests = owned(cluster, props.name, schema_read_manifests(props, client))
    state, log = run_job(cluster, manifests, seconds=_SECONDS, whole=lambda log: schema_in(log) is not None)
    if state.failed and says_none(log):
        return None
    if not state.succeeded:
        raise StepError(f"cannot read the SpiceDB schema: the Job that reads it {state.ending(_SECONDS)}", log)
    text = schema_in(log)
    if text is None:
        raise StepError("cannot read the SpiceDB schema: the log of the Job that reads it is not complete", log)
    return text


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
