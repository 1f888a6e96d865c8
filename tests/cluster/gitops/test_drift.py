"""Ten minutes of self-heal and prune with Argo CD's controller."""

from __future__ import annotations

import os
import runpy
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import pytest
import trustme
from attrs import define, field

from cdk8s_spicedb import Autoscaling, ExternalService, PostgreSQL, Probe, SpiceDBProps
from tests.lab.certificates import certificate
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run, wait
from tests.lab.databases import POSTGRES, image_can_be_pulled, postgres_query
from tests.lab.props import KEY, ON_POSTGRES, on_postgres, small
from tests.programs import ROOT

from .argocd import Application, ArgoCD, State
from .git import GitServer
from .written import chart, manifests

SECONDS = 60 * float(os.environ.get("DRIFT_MINUTES", "10"))
"""Time for which nothing may change. Shorten it only while you work on the test."""
_EXAMPLE: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "production" / "main.py"))
_HOSTNAME: str = _EXAMPLE["NAME"]
_PLAIN, _CLIENT_SIDE, _SERVER_SIDE, _CHART = "plain", "clientside", "serverside", "chart"
_PRODUCTION = (_CLIENT_SIDE, _SERVER_SIDE, _CHART)
_REPLICAS = 2
_WATCH_JOBS = ("get", "jobs", "--watch-only", "--output=name")
_KINDS = (
    "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets,horizontalpodautoscalers,"
    "networkpolicies,configmaps,pods"
)


@pytest.fixture
def authority(namespace: Namespace) -> trustme.CA:
    """The CA of the servers and the database. Also starts the database, with one database for each SpiceDB."""
    authority = trustme.CA()
    certificate(namespace, "postgres", authority, authority.issue_cert(POSTGRES.name))
    certificate(namespace, "spicedb-grpc", authority, authority.issue_cert(_HOSTNAME))
    hosts = [f"{name}-dispatch-tls.{namespace.name}" for name in _PRODUCTION]
    certificate(namespace, "spicedb-dispatch", authority, authority.issue_cert(*hosts))
    files = {"ssl": "on", "ssl_cert_file": "/certificates/tls.crt", "ssl_key_file": "/certificates/tls.key"}
    arguments = ("postgres", "-cmax_connections=400", *(f"-c{name}={value}" for name, value in files.items()))
    attrs.evolve(POSTGRES, arguments=arguments, certificates="postgres").start(namespace)
    for name in (_PLAIN, *_PRODUCTION):
        postgres_query(namespace, f"CREATE DATABASE {name}")
    return authority


def _production(namespace: Namespace, name: str) -> SpiceDBProps:
    """The production example with as much of it as the cluster can run."""
    example: SpiceDBProps = _EXAMPLE["PROPS"]
    assert isinstance(example.datastore, PostgreSQL)
    datastore = attrs.evolve(example.datastore, database=name, read_replicas=[], read_replica_pool=None)
    server = attrs.evolve(
        small(example.server),
        autoscaling=Autoscaling(min_replicas=_REPLICAS, max_replicas=4, memory_utilization=90),
        http_enabled=True,
        http_tls=example.server.grpc_tls,
        external_service=ExternalService(type="NodePort"),
        # With TLS, each probe starts a program, and these servers only have to stay.
        readiness_probe=Probe(period_seconds=10, timeout_seconds=5),
    )
    props = attrs.evolve(example, name=name, datastore=datastore, server=server)
    if "podmonitors.monitoring.coreos.com" not in run("kubectl", "api-resources", "--output=name").stdout.split():
        props = attrs.evolve(props, monitoring=attrs.evolve(props.monitoring, pod_monitor=None, alerts=None))
    if not image_can_be_pulled(namespace, "ghcr.io/authzed/zed:v1.2.0", "zed", "version"):
        props = attrs.evolve(props, schema=None, test=None)
    return props


def _uids(namespace: Namespace) -> Mapping[str, str]:
    """The UIDs of all objects of SpiceDBs, and of their pods, by kind and name."""
    found = namespace.list(_KINDS, name="spicedb")
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"] for item in found}


@define
class _Watched:
    """An Application whose sync is done, and a client of its SpiceDB."""

    application: Application
    revision: str
    ca: bytes | None
    started_at: str
    """The time at which the sync started."""
    reconciled: set[str] = field(factory=set)
    """The times of all comparisons that were seen."""
    _client: Client | None = None

    def connect(self, address: str) -> None:
        """Connects to SpiceDB, and writes what the checks need."""
        self._client = Client(address, KEY, ca=self.ca, hostname=_HOSTNAME)
        self._client.write()

    def serves(self) -> bool:
        """Whether SpiceDB answers."""
        return self._client is not None and self._client.check()

    def check(self, state: State) -> None:
        """Checks that nothing is out of sync, no sync started, and SpiceDB answers."""
        name = self.application.name
        assert state.summary == ("Synced", "Healthy", self.revision), f"{name}: {state.summary} {state.out_of_sync}"
        assert state.started_at == self.started_at, f"{name}: a sync started without a commit"
        assert state.conditions == [], name
        assert self.serves(), name
        self.reconciled.add(state.reconciled_at)


def _install(argocd: ArgoCD, git: GitServer, namespace: Namespace, authority: trustme.CA) -> list[_Watched]:
    """Creates the Applications, and waits until all of them are good."""
    plain = on_postgres(name=_PLAIN, datastore=attrs.evolve(ON_POSTGRES, database=_PLAIN))
    files = {
        _PLAIN: manifests(plain),
        _CLIENT_SIDE: manifests(_production(namespace, _CLIENT_SIDE)),
        _SERVER_SIDE: manifests(_production(namespace, _SERVER_SIDE)),
        _CHART: chart(_production(namespace, _CHART)),
    }
    applications = {}
    for name, content in files.items():
        repository = git.repository(name)
        revision = repository.commit(content, f"Install {name}")
        options = ["ServerSideApply=true"] if name == _SERVER_SIDE else []
        applications[argocd.application(name, repository, namespace, syncOptions=options)] = revision
    watched = []
    for application, revision in applications.items():
        operation = application.sync(revision)
        assert operation.ok, f"{application.name}: {operation.message}"
        application.wait_until_good(revision)
        ca = authority.cert_pem.bytes() if application.name in _PRODUCTION else None
        watched.append(_Watched(application, revision, ca, application.state().started_at))
    return watched


def test_nothing_drifts_with_self_heal_and_prune(
    argocd: ArgoCD, git: GitServer, namespace: Namespace, authority: trustme.CA
) -> None:
    """Manifests, with client-side and with server-side apply, and a chart: none is out of sync, and no Job runs."""
    watched = _install(argocd, git, namespace, authority)
    end = time.monotonic() + SECONDS
    with namespace.background(*_WATCH_JOBS) as jobs, ExitStack() as stack:
        for one in watched:
            if one.application.name in _PRODUCTION:
                _autoscale(one, namespace)
            one.connect(stack.enter_context(relay(namespace, one.application.name)))
        samples = _watch(argocd, namespace, watched, end)
        jobs.terminate()
        assert jobs.communicate()[0] == "", "a Job ran"
        _self_heal(watched[0], namespace)
    counts = {one.application.name: len(one.reconciled) for one in watched}
    print(f"{samples} samples in {SECONDS:.0f} s, comparisons that were seen: {counts}")
    assert min(counts.values()) >= SECONDS / 60, "Argo CD compared each Application many times"


def _autoscale(watched: _Watched, namespace: Namespace) -> None:
    """Adds a server, as an autoscaler does. Argo CD must not change the number back."""
    name = watched.application.name
    namespace.kubectl("scale", f"deployment/{name}", f"--replicas={_REPLICAS + 1}")
    namespace.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
    watched.application.wait_until_good(watched.revision)


def _watch(argocd: ArgoCD, namespace: Namespace, watched: Sequence[_Watched], end: float) -> int:
    """Checks until the end that nothing changes. Returns the number of checks."""
    before, samples = _uids(namespace), 0
    servers = [name for name in before if name.startswith("Pod/")]
    assert len(servers) == _REPLICAS + len(_PRODUCTION) * (_REPLICAS + 1)
    while time.monotonic() < end:
        states = argocd.states()
        for one in watched:
            one.check(states[one.application.name])
        # What was replaced stays replaced, so it is enough to look now and then.
        if samples % 10 == 0:
            assert _uids(namespace) == before, "an object or a server was replaced"
        samples += 1
        time.sleep(1)
    assert _uids(namespace) == before, "an object or a server was replaced"
    return samples


def _self_heal(watched: _Watched, namespace: Namespace) -> None:
    """Changes the number of servers by hand. Argo CD changes it back, without its hooks."""
    name = watched.application.name
    with namespace.background(*_WATCH_JOBS) as jobs:
        namespace.kubectl("scale", f"deployment/{name}", f"--replicas={_REPLICAS + 1}")
        wait("the sync", lambda: watched.application.state().started_at not in ("", watched.started_at), 120)
        watched.application.wait_until_good(watched.revision)
        wait("two servers", lambda: len(namespace.servers(name)) == _REPLICAS, 120)
        jobs.terminate()
        assert jobs.communicate()[0] == "", "a Job ran"
    assert watched.serves()
