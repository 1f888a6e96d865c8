"""Asks a changed SpiceDB schema before it is written: two servers with the data in memory, in pods of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from attrs import evolve
from authzed.api.v1 import Relationship

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...manifests.trial import TRIAL, trial_manifest
from ...props import SpiceDBProps
from ...props.flags import PRESHARED_KEY, variable_name
from ..cluster import Cluster
from ..pods import container_of, ended, status_of
from ..runs import owned, run_pods
from .backup import copy
from .change import SchemaChange, Use, change, uses
from .compare import compare
from .file import Scratch, reading
from .part import write_sample
from .questions import looked_up, questions
from .reach import reaching, reaching_pod
from .restore import batches
from .schema import definitions, names, same
from .server import Server

_SECONDS = 60


def judge_schema(cluster: Cluster, props: SpiceDBProps, text: str, *, size: int) -> SchemaChange | None:
    """What a new schema changes of the SpiceDB that runs. None: it is the same.

    Reads all live relationships. Asks about ``size`` of them, and all on which they depend, in two servers in pods that
    run for a moment. Raises `SpiceDBError` if the servers do not start, such as for a schema that the release rejects.
    """
    with reaching(cluster, props.name) as live:
        old, _ = live.schema()
        if not old or same(old, text):
            return None
        with Scratch.create() as whole, Scratch.create() as part:
            copy(live, whole)
            with reading(whole) as (_, relationships):
                found = change(old, text, relationships)
            write_sample(whole, part, size)
            with reading(part) as (_, relationships):
                some = list(relationships)
    pods = owned(cluster, props.name, [trial_manifest(props, schema) for schema in (old, text)])
    with run_pods(cluster, pods, done=_is_done, seconds=_SECONDS) as seen, ExitStack() as stack:
        servers = []
        for pod, now in zip(pods, seen, strict=True):
            if not isinstance(now, dict) or not status_of(now, TRIAL).get("ready"):
                raise SpiceDBError("a server that should try the schema did not start; `check` says why")
            servers.append(stack.enter_context(reaching_pod(cluster, pod["metadata"]["name"], _key(pod))))
        for server, schema in zip(servers, (old, text), strict=True):
            _load(server, some, uses(definitions(schema)))
        asked = questions(some, old, size, looked_up(servers[0], some, old))
        known = names(definitions(text))
        common = [each for each in asked if each.group in known]
        return evolve(found, answers=compare(servers[0], servers[1], common))


def _is_done(pod: Manifest) -> bool:
    status = status_of(pod, TRIAL)
    return bool(status.get("ready")) or ended(status) is not None


def _key(pod: Manifest) -> str:
    variables = container_of(pod)["env"]
    return str(next(each["value"] for each in variables if each["name"] == variable_name(PRESHARED_KEY)))


def _load(server: Server, relationships: Sequence[Relationship], allowed: set[Use]) -> None:
    for batch in batches(each for each in relationships if Use.of(each) in allowed):
        server.touch(batch)
