"""Flux's real controllers apply manifests from Git and charts from a registry, under load."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
import yaml
from attrs import frozen

from cdk8s_spicedb import Delivery, MigrationProps, PostgreSQL, SecretKey, ServerProps, SpiceDBProps, plan_upgrade
from cdk8s_spicedb.files.write import write_manifests
from cdk8s_spicedb.releases import SCHEMA_MODES
from tests.programs import ROOT

from ..client import Client, Load, relay
from ..cluster import Namespace, Object, wait
from ..conftest import KEY
from ..databases import PASSWORD, POSTGRES, postgres_locked, postgres_revision
from ..props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres, small
from .flux import HELM_RELEASE, KUSTOMIZATION, OCI_REPOSITORY, Flux, Status, flux
from .git import Repository, git_server
from .processes import require_programs
from .registry import Registry, registry

MODES = list(SCHEMA_MODES)
PLAN = plan_upgrade(PostgreSQL, OLD, NEW, schema_mode=MODES[-1])
NEVER = MigrationProps(restart_policy="Never", backoff_limit=0)
BROKEN: MigrationProps = attrs.evolve(NEVER, datastore_uri=SecretKey("broken", "uri"))
"""A migration with credentials that do not work."""
NAME, OTHER = "spicedb", "other"
DRIFT_SECONDS = 600
_INTERVALS = {"interval": "10s", "retryInterval": "5s"}


def example(file: str) -> list[Object]:
    """The objects of Flux in a file of the example, without their namespace."""
    objects = list(yaml.safe_load_all((ROOT / "examples" / "flux" / file).read_text()))
    for manifest in objects:
        assert manifest["metadata"].pop("namespace") == "authz"
    return objects


def text(props: SpiceDBProps, folder: Path) -> str:
    """The manifests of a SpiceDB as one file."""
    write_manifests(folder, attrs.evolve(props, delivery=Delivery.KUBECTL))
    return (folder / f"{props.name}.k8s.yaml").read_text()


@contextmanager
def timed(title: str) -> Iterator[None]:
    """Prints how long something takes."""
    start = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - start:.1f} s")


@frozen
class Committed:
    """A SpiceDB that Flux applies from a Git repository."""

    flux: Flux
    repository: Repository
    folder: Path

    def start(self, props: SpiceDBProps, **spec: object) -> Status:
        """Commits the manifests, and creates the example's objects for them."""
        revision = self.push(props)
        source, kustomization = example("manifests.yaml")
        source["spec"] |= {"url": self.repository.address, "interval": "2s"}
        kustomization["spec"] |= {**_INTERVALS, "targetNamespace": self.flux.namespace.name, **spec}
        self.flux.apply(source)
        self.flux.apply(kustomization)
        with timed("the first reconciliation"):
            return self.wait(revision)

    def commit(self, props: SpiceDBProps, ready: str = "True") -> Status:
        """Commits other manifests, and waits for Flux's verdict on them."""
        return self.wait(self.push(props), ready)

    def revert(self) -> Status:
        """Reverts the last commit, and waits until Flux is done."""
        return self.wait(self.repository.revert())

    def wait(self, revision: str, ready: str = "True") -> Status:
        return self.flux.wait(KUSTOMIZATION, NAME, revision, ready)

    def push(self, props: SpiceDBProps) -> str:
        """Commits manifests, and returns the revision."""
        files = {"examples/flux/dist/spicedb.k8s.yaml": text(props, self.folder)}
        return self.repository.commit(files, f"SpiceDB {props.version}")


@pytest.fixture
def committed(namespace: Namespace, large_postgres: None, tmp_path: Path) -> Iterator[Committed]:
    with flux(namespace, tmp_path / "flux") as started, git_server(tmp_path / "git") as server:
        yield Committed(started, server.repository("authz"), tmp_path / "manifests")


@frozen
class Released:
    """A SpiceDB that Flux installs from a registry."""

    flux: Flux
    registry: Registry
    folder: Path
    name: str = "spicedb"

    def start(self, props: SpiceDBProps, version: str, **spec: object) -> Status:
        """Pushes a chart, and creates the example's objects for it."""
        self.push(props, version)
        source, release = example("chart.yaml")
        source["spec"] |= {"url": f"{self.registry.address}/{self.name}", "insecure": True, "interval": "2s"}
        source["metadata"]["name"] = release["metadata"]["name"] = release["spec"]["chartRef"]["name"] = self.name
        source["spec"]["ref"] = {"tag": version}
        release["spec"] |= {"interval": "10s", **spec}
        self.flux.apply(source)
        self.flux.apply(release)
        with timed("the first release"):
            return self.wait(version)

    def push(self, props: SpiceDBProps, version: str) -> None:
        self.folder.mkdir(exist_ok=True)
        self.registry.push_chart(props, version, self.folder)

    def deliver(self, props: SpiceDBProps, version: str, ready: str = "True") -> Status:
        """Pushes another chart and uses it, and waits for Flux's verdict on it."""
        self.push(props, version)
        return self.use(version, ready)

    def use(self, version: str, ready: str = "True", **spec: object) -> Status:
        """Uses a version of the chart, with other fields of the HelmRelease, and waits for Flux's verdict."""
        if spec:
            self.flux.patch(HELM_RELEASE, self.name, spec)
        self.flux.patch(OCI_REPOSITORY, self.name, {"ref": {"tag": version}})
        return self.wait(version, ready)

    def delete(self) -> None:
        """Deletes the HelmRelease, and waits until Flux has uninstalled the chart."""
        self.flux.namespace.kubectl("delete", HELM_RELEASE, self.name, "--timeout=180s")

    def failed(self) -> str:
        """Waits until Flux has rolled back and stopped. Returns why the release failed."""

        def stopped() -> bool:
            found = self.flux.conditions(HELM_RELEASE, self.name)
            return found.get("Stalled", {}).get("status") == "True" and "Remediated" in found

        wait("Flux to stop", stopped, 300)
        message: str = self.flux.conditions(HELM_RELEASE, self.name)["Released"]["message"]
        return message

    def wait(self, version: str, ready: str = "True", seconds: float = 240) -> Status:
        return self.flux.wait(HELM_RELEASE, self.name, f"{version}+", ready, seconds)


@pytest.fixture
def released(namespace: Namespace, large_postgres: None, tmp_path: Path) -> Iterator[Released]:
    require_programs("registry")
    with flux(namespace, tmp_path / "flux") as started, registry(tmp_path / "registry") as charts:
        yield Released(started, charts, tmp_path / "charts")


@contextmanager
def step(title: str, address: str) -> Iterator[None]:
    """A step during which no permission check may fail."""
    with Load(title, address, KEY) as load:
        yield
    assert load.succeeded()


def versions(namespace: Namespace) -> set[str]:
    """The releases of the servers that are ready."""
    ready = [pod for pod in namespace.servers() if is_ready(pod)]
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in ready}


def is_ready(pod: Object) -> bool:
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def names(namespace: Namespace, kinds: str = "pods", **labels: str) -> set[str]:
    """The names of SpiceDB's objects of some kinds."""
    return {found["metadata"]["name"] for found in namespace.list(kinds, instance=NAME, **labels)}


def jobs(namespace: Namespace, name: str = NAME) -> set[str]:
    """The names of the migration's Jobs."""
    found = namespace.list("jobs", instance=name, component="migration")
    return {job["metadata"]["name"] for job in found}


def broken_secret(namespace: Namespace, user: str = "nobody", password: str = "wrong") -> None:
    """Writes the credentials of the broken migration."""
    uri = f"postgresql://{user}:{quote(password, safe='')}@{POSTGRES.name}:5432/spicedb?sslmode=disable"
    namespace.secret("broken", {"uri": uri})


def test_page_has_the_objects_of_the_example() -> None:
    page = (ROOT / "docs" / "install" / "flux.md").read_text()
    blocks = re.findall(r"^```yaml\n(apiVersion.*?)^```", page, re.MULTILINE | re.DOTALL)
    written = [manifest for block in blocks for manifest in yaml.safe_load_all(block)]
    objects = [
        manifest
        for file in ("manifests.yaml", "chart.yaml")
        for manifest in yaml.safe_load_all((ROOT / "examples" / "flux" / file).read_text())
    ]
    objects[1]["spec"]["path"] = "./manifests"
    assert written == objects


def test_kustomization(committed: Committed, namespace: Namespace) -> None:
    """From the first reconciliation to the deletion, with manifests."""
    broken_secret(namespace)
    say(committed.start(on_postgres(OLD)))
    assert versions(namespace) == {OLD}
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        _fail_and_mend(committed, namespace, address)
        _retry(committed, namespace, address)
        _go_back(committed, namespace, address)
        _change_modes(committed, namespace, address)
    _delete(committed, namespace)


def _fail_and_mend(committed: Committed, namespace: Namespace, address: str) -> None:
    with step("a migration that fails", address):
        failed = committed.commit(on_postgres(migration=BROKEN), ready="False")
    say(failed)
    assert failed.reason == "HealthCheckFailed"
    assert f"Job/{namespace.name}/spicedb-migration-" in failed.message
    assert versions(namespace) == {OLD}
    assert postgres_revision(namespace) == OLD_HEAD
    with step("an upgrade that mends it", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    assert versions(namespace) == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()


def _retry(committed: Committed, namespace: Namespace, address: str) -> None:
    """The same manifests do not retry a failed Job. Flux creates it again when it is deleted."""
    other: MigrationProps = attrs.evolve(BROKEN, log_level="debug")
    before = jobs(namespace)
    failed = committed.commit(on_postgres(migration=other), ready="False")
    (job,) = jobs(namespace) - before
    uid = _uid(namespace, job)
    broken_secret(namespace, POSTGRES.env["POSTGRES_USER"], PASSWORD)
    committed.flux.request(KUSTOMIZATION, NAME)
    assert committed.wait(committed.repository.revision(), "False").reason == failed.reason
    assert _uid(namespace, job) == uid, "no retry"
    with step("a retry", address):
        namespace.kubectl("delete", "job", job)
        committed.flux.request(KUSTOMIZATION, NAME)
        say(committed.wait(committed.repository.revision()))
    assert _uid(namespace, job) != uid


def _uid(namespace: Namespace, job: str) -> str:
    return namespace.kubectl("get", "job", job, "--output=jsonpath={.metadata.uid}", "--ignore-not-found")


def _go_back(committed: Committed, namespace: Namespace, address: str) -> None:
    """The older migration's Job still exists, so it does not run. Without it, it would fail."""
    (old,) = [job for job in jobs(namespace) if _image(namespace, job) == OLD]
    with step("a revert", address):
        say(committed.commit(on_postgres(OLD)))
    assert versions(namespace) == {OLD}
    namespace.wait_for_terminating_servers()
    with step("the newer version again", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    assert versions(namespace) == {NEW}
    namespace.wait_for_terminating_servers()
    namespace.kubectl("delete", "job", old)
    with step("a revert after the older Job is deleted", address):
        late = committed.commit(on_postgres(OLD, migration=NEVER), ready="False")
        say(late)
        wait("the older servers", lambda: versions(namespace) == {OLD}, 120)
        say(committed.commit(on_postgres(OLD, migration=MigrationProps(enabled=False))))
    assert versions(namespace) == {OLD}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()
    with step("the newer version a third time", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    namespace.wait_for_terminating_servers()


def _image(namespace: Namespace, job: str) -> str:
    image = namespace.kubectl("get", "job", job, "--output=jsonpath={.spec.template.spec.containers[0].image}")
    return image.rpartition(":")[2]


def _change_modes(committed: Committed, namespace: Namespace, address: str) -> None:
    """Two of the steps of a plan, as two commits."""
    for planned in PLAN.steps[1:3]:
        with step(f"to {planned.schema_mode}", address):
            say(committed.commit(on_postgres().at(planned)))
        assert versions(namespace) == {NEW}
        namespace.wait_for_terminating_servers()
        Client(address, KEY).write_schema()


def _delete(committed: Committed, namespace: Namespace) -> None:
    namespace.kubectl("delete", KUSTOMIZATION, NAME, "--timeout=120s")
    wait("the servers to be gone", lambda: not namespace.list("pods", instance=NAME, component="server"), 120)
    left = _left(namespace)
    print("left after the deletion:", left)
    assert all(name.startswith("job.batch/spicedb-migration-") or "pod/spicedb-migration" in name for name in left), (
        left
    )
    namespace.kubectl(
        "delete", "jobs", f"--selector=app.kubernetes.io/instance={NAME},app.kubernetes.io/component=migration"
    )
    wait("nothing to be left", lambda: not _left(namespace))


@pytest.mark.parametrize("wait_for_health", [False, True], ids=["without-wait", "wait"])
def test_next_commit_does_not_stop_a_migration(
    committed: Committed, namespace: Namespace, wait_for_health: bool
) -> None:
    """Prune keeps a migration that runs when the next commit replaces it."""
    committed.start(on_postgres(OLD), wait=wait_for_health)
    wait("the servers", lambda: len([pod for pod in namespace.servers() if is_ready(pod)]) == 2, 180)
    old = jobs(namespace)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with step("the next commit during a migration", address):
            with postgres_locked(namespace, "alembic_version", 45) as lock:
                committed.push(on_postgres())
                wait("the migration", lambda: jobs(namespace) - old, 60)
                (first,) = jobs(namespace) - old
                uid = _uid(namespace, first)
                wait("its pod", lambda: _is_active(namespace, first), 60)
                revision = committed.push(on_postgres(migration=MigrationProps(log_level="debug")))
                if not wait_for_health:
                    committed.wait(revision)
                    assert len(jobs(namespace) - old) == 2
                    assert _is_active(namespace, first), "it still runs"
                assert lock.wait(timeout=120) == 0
            committed.wait(revision)
            wait("the newer servers", lambda: versions(namespace) == {NEW} and len(namespace.servers()) == 2, 180)
    wait("both migrations to succeed", lambda: len(_complete(namespace) - old) == 2, 120)
    assert _uid(namespace, first) == uid, "it was not replaced"
    assert postgres_revision(namespace) == NEW_HEAD


def _is_active(namespace: Namespace, job: str) -> bool:
    return namespace.kubectl("get", "job", job, "--output=jsonpath={.status.ready}") == "1"


def _complete(namespace: Namespace) -> set[str]:
    """The names of the migration's Jobs that succeeded."""
    found = namespace.list("jobs", instance=NAME, component="migration")
    return {job["metadata"]["name"] for job in found if job["status"].get("succeeded")}


def test_helm_release(released: Released, namespace: Namespace) -> None:
    """From the first reconciliation to the deletion, with a chart."""
    broken_secret(namespace)
    say(released.start(on_postgres(OLD, migration=NEVER), "1.0.0", timeout="90s"))
    assert versions(namespace) == {OLD}
    with relay(namespace) as address:
        Client(address, KEY).write()
        _fail_and_mend_release(released, namespace, address)
        _retry_release(released, namespace, address)
        _roll_back_servers(released, namespace, address)
        for number, planned in enumerate(PLAN.steps[1:3], 6):
            with step(f"chart: to {planned.schema_mode}", address):
                say(released.deliver(on_postgres().at(planned), f"{number}.0.0"))
            namespace.wait_for_terminating_servers()
            Client(address, KEY).write_schema()
        released.use("3.0.0")
        namespace.wait_for_terminating_servers()
        _go_back_with_release(released, namespace, address)
    released.delete()
    wait("the servers to be gone", lambda: not namespace.list("pods", instance=NAME, component="server"), 120)
    print("left after the deletion:", _left(namespace))


def _fail_and_mend_release(released: Released, namespace: Namespace, address: str) -> None:
    with step("chart: a migration that fails", address):
        say(released.deliver(on_postgres(migration=BROKEN), "2.0.0", ready="False"))
        failed = released.failed()
    print(failed)
    assert "spicedb-migration" in failed
    assert versions(namespace) == {OLD}
    assert postgres_revision(namespace) == OLD_HEAD
    with step("chart: an upgrade that mends it", address):
        say(released.deliver(on_postgres(migration=NEVER), "3.0.0"))
    assert versions(namespace) == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()


def _retry_release(released: Released, namespace: Namespace, address: str) -> None:
    """The same chart is not tried again, until somebody asks for it."""
    released.deliver(on_postgres(migration=attrs.evolve(BROKEN, log_level="debug")), "4.0.0", ready="False")
    released.failed()
    broken_secret(namespace, POSTGRES.env["POSTGRES_USER"], PASSWORD)
    revisions = released.flux.history(NAME)[0]["version"]
    released.flux.request(HELM_RELEASE, NAME)
    assert released.flux.history(NAME)[0]["version"] == revisions, "no retry"
    with step("chart: a retry", address):
        released.flux.request(HELM_RELEASE, NAME, "resetAt")
        say(released.wait("4.0.0"))
    namespace.wait_for_terminating_servers()


def _roll_back_servers(released: Released, namespace: Namespace, address: str) -> None:
    """Servers that do not start are rolled back, without a migration."""
    wrong = ServerProps(extra_args=["--no-such-flag=1"])
    with step("chart: servers that do not start", address):
        released.deliver(on_postgres(server=wrong), "5.0.0", ready="False")
        print(released.failed())
        (migration,) = namespace.list("jobs", component="migration")
    say(released.flux.status(HELM_RELEASE, NAME))
    assert released.flux.history(NAME)[0]["chartVersion"].startswith("4.0.0+")
    (same,) = namespace.list("jobs", component="migration")
    assert same["metadata"]["uid"] == migration["metadata"]["uid"], "the rollback runs no migration"
    assert versions(namespace) == {NEW}


def _go_back_with_release(released: Released, namespace: Namespace, address: str) -> None:
    """The older chart's migration fails. With a value that turns it off, the older servers start."""
    with step("chart: a revert", address):
        released.use("1.0.0", ready="False")
        print(released.failed())
        assert versions(namespace) == {NEW}
        say(released.use("1.0.0", values={"migrations": {"enabled": False}}))
    assert versions(namespace) == {OLD}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()
    with step("chart: the newer version again", address):
        released.use("3.0.0")
        say(released.use("3.0.0", values=None))
    assert versions(namespace) == {NEW}


def test_nothing_changes_without_a_change(namespace: Namespace, large_postgres: None, tmp_path: Path) -> None:
    """Flux applies the same manifests and the same chart again and again, for ten minutes."""
    require_programs("registry")
    one = small(ServerProps(replicas=1))
    with (
        flux(namespace, tmp_path / "flux") as started,
        git_server(tmp_path / "git") as server,
        registry(tmp_path / "registry") as charts,
    ):
        committed = Committed(started, server.repository("authz"), tmp_path / "manifests")
        committed.start(on_postgres(server=one))
        released = Released(started, charts, tmp_path / "charts", OTHER)
        released.start(on_postgres(server=one, name=OTHER), "1.0.0")
        wait("the hooks to be gone", lambda: _only_servers(namespace, OTHER), 120)
        before, log = _state(namespace), tmp_path / "flux" / "kustomize-controller.log"
        with relay(namespace) as address:
            Client(address, KEY).write()
            with step("ten minutes", address):
                _watch(namespace, DRIFT_SECONDS)
        assert _state(namespace) == before
        count = log.read_text().count("Reconciliation finished")
        print(f"{count} reconciliations of the Kustomization")
        assert count > DRIFT_SECONDS / 60
        assert "configured" not in started.events(NAME)
        assert len(started.history(OTHER)) == 1, "no other Helm revision"
        assert started.conditions(HELM_RELEASE, OTHER)["Drifted"]["status"] == "False"
        _undo_drift(committed, namespace)
        released.delete()


def _undo_drift(committed: Committed, namespace: Namespace) -> None:
    """Both controllers undo a change by hand. A deleted Job runs again, and has nothing to do."""
    for name in (NAME, OTHER):
        namespace.kubectl("scale", f"deployment/{name}", "--replicas=2")
    for name in (NAME, OTHER):
        wait(f"the replicas of {name}", partial(_has_one_replica, namespace, name), 120)
    (job,), serving = jobs(namespace), names(namespace, component="server")
    uid = _uid(namespace, job)
    namespace.kubectl("delete", "job", job)
    committed.flux.request(KUSTOMIZATION, NAME)
    committed.wait(committed.repository.revision())
    assert _uid(namespace, job) not in ("", uid)
    assert names(namespace, component="server") <= serving


def _only_servers(namespace: Namespace, name: str) -> bool:
    """Whether neither Jobs nor their pods exist."""
    servers = namespace.list("pods", instance=name, component="server")
    return len(namespace.list("pods,jobs", instance=name)) == len(servers)


def _has_one_replica(namespace: Namespace, name: str) -> bool:
    return namespace.kubectl("get", "deployment", name, "--output=jsonpath={.spec.replicas}") == "1"


def _watch(namespace: Namespace, seconds: float) -> None:
    """Waits, and fails as soon as a migration runs or a server restarts."""
    before, end = _pods(namespace), time.monotonic() + seconds
    while time.monotonic() < end:
        assert _pods(namespace) == before
        time.sleep(5)


def _pods(namespace: Namespace) -> dict[str, int]:
    """The pods of all SpiceDBs, and how often their containers restarted."""
    pods = namespace.list("pods", name="spicedb")
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}


def _state(namespace: Namespace) -> dict[str, tuple[str, int]]:
    """The objects of all SpiceDBs, with the number of changes to their specs."""
    kinds = "jobs,deployments,replicasets,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
    found = namespace.list(kinds, name="spicedb")
    return {
        f"{each['kind']}/{each['metadata']['name']}": (each["metadata"]["uid"], each["metadata"].get("generation", 0))
        for each in found
    }


def _left(namespace: Namespace) -> list[str]:
    """What is left of SpiceDB in the namespace."""
    kinds = (
        "all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,endpointslices"
    )
    selector = f"--selector=app.kubernetes.io/instance={NAME}"
    return sorted(namespace.kubectl("get", kinds, selector, "--output=name").split())


def say(status: Status) -> None:
    """Prints a status, for the documentation."""
    print(f"{status.ready} {status.reason}: {status.message}")
