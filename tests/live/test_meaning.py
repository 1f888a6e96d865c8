"""What a change means, in sentences."""

from __future__ import annotations

from typing import Any

import attrs

from cdk8s_spicedb import Delivery, Memory, MigrationProps, ServerProps, SpiceDBProps
from cdk8s_spicedb.live.compare import compare
from cdk8s_spicedb.live.instance import describe
from cdk8s_spicedb.live.meaning import Change as Meant
from cdk8s_spicedb.live.meaning import meaning
from tests.live.installed import (
    OLD,
    props,
)
from tests.live.objects import (
    deployment_of,
    running_as,
)


def sentences(before: SpiceDBProps | None, after: SpiceDBProps, **fields: Any) -> str:
    """What a change of a Deployment means."""
    one = deployment_of(before) if before else None
    meant = Meant(
        running=running_as(before) if before else None,
        props=after,
        objects=[compare(one, deployment_of(after))],
        **{"plan": None, "deletes": (), "leaves": (), "foreign": (), "unknown": "", **fields},
    )
    return " ".join(meaning(meant))


def test_an_install() -> None:
    text = sentences(None, props(OLD))
    assert "this installs SpiceDB v1.52.0 on postgres with 2 servers" in text
    assert "migrates the datastore to add-index-for-transaction-gc" in text


def test_an_upgrade_that_migrates() -> None:
    text = sentences(props(OLD), props("v1.56.0"))
    assert "2 servers are replaced in a rolling update: image " in text
    assert "from add-index-for-transaction-gc to populate-schema-tables (2 migrations: " in text
    assert "servers of v1.52.0 also start on populate-schema-tables" in text
    assert "has nothing to do" not in text


def test_an_upgrade_with_several_steps() -> None:
    text = sentences(props("v1.8.0"), props("v1.56.0"))
    assert "Do not apply this file at once" in text
    assert "a rollback from that step does not work" in text


def test_a_downgrade_has_no_plan() -> None:
    text = sentences(props("v1.56.0"), props("v1.52.0"))
    assert "There is no plan from v1.56.0 to v1.52.0" in text
    assert "roll back with your tool" in text
    off = sentences(props("v1.56.0"), props("v1.52.0", migration=MigrationProps(enabled=False)))
    assert "There is no plan" not in off
    assert "If it is newer than v1.52.0, the servers become ready only if they allow it." in off


def test_a_change_of_settings() -> None:
    server = ServerProps(log_level="debug", env={"A": "1"}, replicas=3)
    text = sentences(props(OLD), props(OLD, server=server, migration=MigrationProps(backoff_limit=7)))
    assert "--log-level changes from info to debug" in text
    assert "a setting of the migration changed (checksum/migration-config)" in text
    assert "variable A" in text
    assert "The number of servers changes from 2 to 3." in text
    assert "The datastore's schema does not change" in text
    assert "has nothing to do" in text


def test_containers_that_are_new_or_gone() -> None:
    proxy: Any = {
        "name": "proxy",
        "image": "example.com/proxy:1",
        "securityContext": {"capabilities": {"drop": ["ALL"]}},
    }
    volume: Any = {"name": "ca", "secret": {"secretName": "ca"}}
    server = ServerProps(extra_containers=[proxy], init_containers=[{**proxy, "name": "wait"}], extra_volumes=[volume])
    text = sentences(props(OLD), props(OLD, server=server))
    assert "rolling update: container proxy is new; init container wait is new; volume ca is new." in text
    assert "container proxy is gone" in sentences(props(OLD, server=server), props(OLD))
    other = ServerProps(extra_containers=[{**proxy, "args": ["a"]}])
    assert 'containers[proxy].args=["a"] is new' in sentences(
        props(OLD, server=ServerProps(extra_containers=[proxy])), props(OLD, server=other)
    )


def test_a_release_without_migration() -> None:
    off = MigrationProps(enabled=False)
    assert "Migrate the datastore yourself before you install it." in sentences(None, props(OLD, migration=off))
    assert "Before you apply this, you must migrate the datastore from" in sentences(
        props(OLD, migration=off), props("v1.56.0", migration=off)
    )
    target = MigrationProps(target_migration="add-schema-tables")
    assert "migrates the datastore to add-schema-tables" in sentences(None, props("v1.56.0", migration=target))


def test_an_unknown_release() -> None:
    assert "v1.99.0 is an unknown release" in sentences(props(OLD), props("v1.99.0"))
    digest = f"ghcr.io/authzed/spicedb@sha256:{'0' * 64}"
    unknown = deployment_of(props(OLD, image=digest))
    del unknown["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
    meant = Meant(
        running=describe(unknown),
        props=props(OLD),
        plan=None,
        objects=(),
        deletes=(),
        leaves=(),
        foreign=(),
        unknown="",
    )
    assert "The release that runs is unknown" in " ".join(meaning(meant))


def test_a_single_server() -> None:
    one = ServerProps(replicas=1)
    text = sentences(props(OLD, server=one), props("v1.56.0", server=one))
    assert "The server is replaced in a rolling update" in text
    assert "clients reconnect to the new one" in text


def test_nothing_changes() -> None:
    assert sentences(props(OLD), props(OLD)).startswith("No server restarts.")


def test_schema_modes() -> None:
    modes = ["read-legacy-write-legacy", "read-legacy-write-both", "read-new-write-both", "read-new-write-new"]
    before = [props("v1.56.0", server=ServerProps(schema_mode=mode)) for mode in modes]  # type: ignore[arg-type]
    one = sentences(before[0], before[1])
    assert "The schema mode changes from read-legacy-write-legacy to read-legacy-write-both." in one
    assert "skips" not in one
    assert "That skips a schema mode" in sentences(before[0], before[2])
    assert "That is a step back" in sentences(before[2], before[1])


def test_other_origins() -> None:
    assert "The file has delivery: kubectl, but the release was applied with Helm." in sentences(
        props(OLD), props(OLD, delivery=Delivery.KUBECTL)
    )
    memory = attrs.evolve(props(OLD), datastore=Memory())
    assert "The datastore changes from postgres to memory" in sentences(props(OLD), memory)
    assert "new servers start without schema" in sentences(memory, attrs.evolve(memory, version="v1.56.0"))


def test_objects_that_go_or_stay() -> None:
    text = sentences(
        props(OLD),
        props(OLD),
        deletes=["Role a"],
        leaves=["Role b"],
        foreign=["Service c"],
        values=["image"],
        unknown="why",
    )
    assert "Helm deletes Role a." in text
    assert "Role b stays in the cluster" in text
    assert "The Helm release also has Service c" in text
    assert "It is unknown what is removed: why." in text
    assert "The Helm release has its own values (image)" in text
