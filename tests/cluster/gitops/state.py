"""What is in the namespace, and the props of the stories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import attrs

from cdk8s_spicedb import MigrationProps, PostgreSQL, SecretKey, plan_upgrade
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.lab.client import PAUSE, Load
from tests.lab.cluster import Namespace, wait
from tests.lab.databases import POSTGRES
from tests.lab.props import KEY, NEW, OLD

from .sources import NAME

PHASES = plan_upgrade(PostgreSQL, OLD, NEW, schema_mode=list(SCHEMA_MODES)[-1]).steps[1:3]
"""Two of the steps of a plan."""
NEVER = MigrationProps(restart_policy="Never", backoff_limit=0)
BROKEN: MigrationProps = attrs.evolve(NEVER, datastore_uri=SecretKey("broken", "uri"))
"""A migration with credentials that do not work."""


@contextmanager
def step(title: str, address: str, pause: float = PAUSE) -> Iterator[None]:
    """A step during which no permission check may fail. See `Load` for ``pause``."""
    with Load(title, address, KEY, pause=pause) as load:
        yield
    assert load.succeeded()


def names(namespace: Namespace, kinds: str = "pods", **labels: str) -> set[str]:
    """The names of SpiceDB's objects of some kinds."""
    return {found["metadata"]["name"] for found in namespace.list(kinds, instance=NAME, **labels)}


def jobs(namespace: Namespace, name: str = NAME) -> set[str]:
    """The names of the migration's Jobs."""
    found = namespace.list("jobs", instance=name, component="migration")
    return {job["metadata"]["name"] for job in found}


def uid_of(namespace: Namespace, job: str) -> str:
    """The identity of a Job. Empty if it does not exist."""
    return namespace.kubectl("get", "job", job, "--output=jsonpath={.metadata.uid}", "--ignore-not-found")


def broken_secret(namespace: Namespace, user: str = "nobody", password: str = "wrong") -> None:
    """Writes the credentials of the broken migration."""
    uri = f"postgresql://{user}:{quote(password, safe='')}@{POSTGRES.name}:5432/spicedb?sslmode=disable"
    namespace.secret("broken", {"uri": uri})


def only_migrations_are_left(namespace: Namespace) -> None:
    """Only the migration's Jobs are left, and the command of the documentation deletes them."""
    wait("the servers to be gone", lambda: not namespace.list("pods", instance=NAME, component="server"), 120)
    kinds = ("job.batch/spicedb-migration", "pod/spicedb-migration")
    wait("only Jobs to be left", lambda: all(name.startswith(kinds) for name in left(namespace)))
    print("left after the deletion:", left(namespace))
    selector = f"--selector=app.kubernetes.io/instance={NAME},app.kubernetes.io/component=migration"
    namespace.kubectl("delete", "jobs", selector)
    wait("nothing to be left", lambda: not left(namespace))


def left(namespace: Namespace) -> list[str]:
    """What is left of SpiceDB in the namespace."""
    kinds = (
        "all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,endpointslices"
    )
    selector = f"--selector=app.kubernetes.io/instance={NAME}"
    return sorted(namespace.kubectl("get", kinds, selector, "--output=name").split())
