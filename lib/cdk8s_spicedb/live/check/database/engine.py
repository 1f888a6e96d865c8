"""What the check of each engine has in common."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import ClassVar

import attrs

from ....labels import INSTANCE, Component
from ....manifests.objects import Manifest, Objects
from ....manifests.pods import pod_template
from ....props import SpiceDBProps
from ....props.datastores.base import Datastore
from ....props.pod import combined
from ....props.secrets import EnvVar, container_env
from ...apierror import ClusterError
from ...cluster import EVENT, Cluster
from ...pods import Waiting, ended, status_of, unscheduled, waiting
from ...poll import poll
from ...runs import owned, run_pods
from ..finding import Finding
from .findings import DATABASE, connection_findings, estimate_findings, uri_findings
from .question import DatabaseReport, Fact, Facts, Question

PATIENCE_SECONDS = 10
"""Age from which an open transaction is worth a finding."""
LONGEST_SECONDS = 60
"""Time for the whole pod. Most of it is for the node to pull the image."""
_CONTAINER, _TMP = "check", "check-tmp"


class EngineCheck(ABC):
    """The check of one engine: what its client asks, and what the answers mean."""

    image: ClassVar[str]
    """Image of its client."""
    script: ClassVar[str]
    """File of ``scripts/`` that connects."""
    sql: ClassVar[str]
    """File of ``scripts/`` with what it asks."""
    tls: ClassVar[str] = "datastore.sslmode"
    """Setting of TLS."""
    dollar: ClassVar[str] = "write %24 instead of $ in the URI"
    """What to do about a $ in the URI."""
    tables: ClassVar[Sequence[str]] = ()
    """Tables of SpiceDB, without prefix."""

    def pod(self, props: SpiceDBProps, image: str | None) -> Manifest:
        """The pod with its client."""
        sql = self.fill(script(self.sql), props.datastore).replace("{patience}", str(PATIENCE_SECONDS))
        return client_pod(props, image or self.image, self.script, sql)

    def fill(self, sql: str, datastore: Datastore) -> str:
        """SQL with the names of the tables."""
        prefix = self.prefix(datastore)
        tables = ", ".join(f"'{prefix}{table}'" for table in self.tables)
        return sql.replace("{tables}", tables).replace("{prefix}", prefix)

    def prefix(self, datastore: Datastore) -> str:
        """The prefix of the tables."""
        return ""

    def report(self, facts: Facts, question: Question) -> DatabaseReport:
        """The findings of all facts."""
        failed = [*connection_findings(facts, question, self.tls)]
        if "server" not in facts:
            text = f"{question.place} answers, but not to the queries of this check"
            nothing = Finding.failure(DATABASE, text, "try another client image with --database-image")
            return DatabaseReport(findings=failed or [nothing])
        revision, version = facts.one("revision").get("revision") or None, facts.one("server").get("version")
        version = str(version) if version else None
        rows, sizes, pending = self.rows(facts, question), self.sizes(facts, question), question.pending(revision)
        estimates = question.releases.estimate(revision, pending[-1], rows) if pending else ()
        found = [
            *failed,
            Finding.ok(DATABASE, f"{question.place} answers"),
            *uri_findings(facts, question, self.dollar),
            *self.findings(facts, question, revision),
            *estimate_findings(question, revision, estimates, sizes),
        ]
        return DatabaseReport(
            findings=found,
            revision=revision,
            server_version=version,
            pending=pending,
            rows=rows,
            estimates=estimates,
            repairable=self.can_repair(facts),
        )

    @abstractmethod
    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        """The findings of the engine, from what a client that connected learned."""

    def can_repair(self, facts: Facts) -> bool:
        """Whether SpiceDB can repair the database after a dump was restored into it."""
        return False

    def found_tables(self, facts: Facts, question: Question) -> Iterator[tuple[str, Fact]]:
        """The tables that are there, by their names without prefix."""
        prefix = self.prefix(question.datastore)
        return ((fact["name"][len(prefix) :], fact) for fact in facts.each("table"))

    def rows(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """The number of rows of each table, without prefix."""
        return {name: int(fact["rows"] or 0) for name, fact in self.found_tables(facts, question)}

    def sizes(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """The bytes of each table with its indexes, without prefix."""
        tables = self.found_tables(facts, question)
        return {name: int(fact["bytes"] or 0) + int(fact["index_bytes"] or 0) for name, fact in tables}


def script(name: str) -> str:
    """The text of a file in ``scripts/``."""
    return files(__package__).joinpath("scripts").joinpath(name).read_text("utf-8")


def client_pod(props: SpiceDBProps, image: str, connect: str, sql: str) -> Manifest:
    """A pod with a client of the database: it runs the file ``connect`` of ``scripts/``, which asks the SQL.

    It has the Secrets and files of the migration, and its labels, so that network policies treat it in the same way.
    """
    # Containers that keep running would keep the pod from its end.
    migration = attrs.evolve(props.migration, extra_containers=())
    props = attrs.evolve(props, pods=attrs.evolve(props.pods, extra_containers=()))
    env = [*props.datastore.env(uri=migration.datastore_uri, migrate=True), EnvVar("CHECK_SQL", _literal(sql))]
    mounts = combined(props.pods, migration).extra_volume_mounts
    own = not any(each["mountPath"].rstrip("/") == "/tmp" for each in mounts)
    container = {
        "name": _CONTAINER,
        "image": image,
        "command": ["sh", "-c", _literal(script("common.sh") + script(connect))],
        "env": container_env(env),
        "volumeMounts": [{"name": _TMP, "mountPath": "/tmp"}] if own else [],
    }
    template = pod_template(
        Objects(props, Component.MIGRATION),
        migration,
        container,
        files=props.datastore.files(),
        volumes=[{"name": _TMP, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}] if own else [],
        restartPolicy="Never",
        activeDeadlineSeconds=LONGEST_SECONDS,
        terminationGracePeriodSeconds=1,
    )
    name = f"{props.name}-check-{secrets.token_hex(3)}"
    return {**template, "apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}}


def _literal(text: str) -> str:
    """A text in which Kubernetes expands nothing."""
    return text.replace("$$", "$$$$").replace("$(", "$$(")


def answer(cluster: Cluster, pod: Manifest) -> str | Finding:
    """The log of a client's pod, which runs for some seconds.

    If the pod does not run, a finding says why: a failure if the migration's pod would not run either.
    """
    name = pod["metadata"]["name"]
    pods = owned(cluster, pod["metadata"]["labels"][INSTANCE], [pod])
    with run_pods(cluster, pods, done=_is_done, seconds=LONGEST_SECONDS) as (seen,):
        if isinstance(seen, dict) and ended(status_of(seen, _CONTAINER)):
            # The node may write the last lines a moment after the end.
            return poll(
                lambda: cluster.log(name, _CONTAINER),
                until=lambda log: '"fact":"done"' in log,
                seconds=0.6,
                clock=cluster.clock,
                every=0.3,
            )
        return _why_not(cluster, name, seen)


def _is_done(pod: Manifest) -> bool:
    status = status_of(pod, _CONTAINER)
    hopeless = (waiting(status) or Waiting("")).hopeless
    return hopeless or ended(status) is not None or pod.get("status", {}).get("phase") == "Failed"


def _why_not(cluster: Cluster, name: str, pod: Manifest | ClusterError | None) -> Finding:
    if isinstance(pod, ClusterError):
        fix = f"allow your user to create pods and to read their logs in the namespace {cluster.namespace}"
        return Finding.warning(DATABASE, f"not checked: Kubernetes refused to start a pod: {pod}", fix)
    if pod is None:
        text = f"not checked: somebody deleted the pod {name} of the check"
        return Finding.warning(DATABASE, text, "check the database again")
    waits = waiting(status_of(pod, _CONTAINER)) or Waiting("")
    if waits.reason == "CreateContainerConfigError":
        text = f"the pod of the check does not start: {waits.message}"
        fix = "create the Secret and the key that it names; the migration needs them too"
        return Finding.failure(DATABASE, text, fix)
    if waits.hopeless:
        image = pod["spec"]["containers"][0]["image"]
        text = f"not checked: the pod of the check cannot pull {image}: {waits.reason}"
        return Finding.warning(DATABASE, text, "name an image that your nodes can pull, with --database-image")
    place = unscheduled(pod)
    reasons = [place.message or place.reason] if place else []
    with suppress(ClusterError):
        events = cluster.find(EVENT, fields=f"involvedObject.name={name},type=Warning")
        reasons += [event.get("message", "") for event in events[-1:]]
    text = f"the pod of the check did not finish within {LONGEST_SECONDS} s: {'; '.join(reasons) or 'no reason'}"
    return Finding.failure(DATABASE, text, "make sure that the namespace can run one more pod like the migration's")
