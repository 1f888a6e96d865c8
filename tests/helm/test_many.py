"""Many SpiceDBs are written at once: all of them or none, and only what changed."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import (
    ChartMetadata,
    Delivery,
    InvalidProps,
    Maintainer,
    Patch,
    PatchOperation,
    PostgreSQL,
    SecretKey,
    ServerProps,
    SpiceDBError,
    SpiceDBProps,
    write_all,
    write_helm_chart,
    write_manifests,
)
from tests.programs import contents, stamps

NAMES = ("acme", "globex", "initech")


def tenant(name: str, delivery: Delivery = Delivery.KUBECTL, replicas: int = 2) -> SpiceDBProps:
    datastore = PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))
    return SpiceDBProps(name=name, datastore=datastore, delivery=delivery, server=ServerProps(replicas=replicas))


def tenants(delivery: Delivery) -> dict[str, SpiceDBProps]:
    return {name: tenant(name, delivery) for name in NAMES}


def test_each_folder_is_as_if_written_alone(tmp_path: Path) -> None:
    metadata = ChartMetadata(maintainers=[Maintainer(name="platform")])
    props = {"acme": tenant("spicedb"), "globex": tenant("globex", Delivery.HELM)}
    assert write_all(tmp_path / "all", props, version="2.0.0", metadata=metadata) == {"acme", "globex"}
    write_manifests(tmp_path / "alone" / "acme", props["acme"])
    write_helm_chart(tmp_path / "alone" / "globex", props["globex"], version="2.0.0", metadata=metadata)
    assert contents(tmp_path / "all") == contents(tmp_path / "alone")


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.KUBECTL])
def test_only_what_changed_is_written(delivery: Delivery, tmp_path: Path) -> None:
    props = tenants(delivery)
    write_all(tmp_path / "out", props)
    before = stamps(tmp_path / "out")
    assert write_all(tmp_path / "out", props) == frozenset()
    assert stamps(tmp_path / "out") == before

    assert write_all(tmp_path / "out", {**props, "globex": tenant("globex", delivery, replicas=3)}) == {"globex"}
    after = stamps(tmp_path / "out")
    changed = {path for path in after if after[path] != before[path]}
    assert after.keys() == before.keys()
    assert changed
    assert {path.split("/")[0] for path in changed} == {"globex"}


def test_what_nobody_describes_is_removed(tmp_path: Path) -> None:
    props = tenants(Delivery.KUBECTL)
    write_all(tmp_path / "out", props)
    before = stamps(tmp_path / "out")
    del props["initech"]
    assert write_all(tmp_path / "out", props) == {"initech"}
    assert stamps(tmp_path / "out") == {path: stamp for path, stamp in before.items() if "initech" not in path}
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["acme", "globex"]


def test_every_problem_is_in_one_error(tmp_path: Path) -> None:
    write_all(tmp_path / "out", tenants(Delivery.KUBECTL))
    before = stamps(tmp_path / "out")
    props = {"acme": tenant("acme", replicas=3), "globex": tenant("globex", replicas=0), "initech": tenant("Initech")}
    with pytest.raises(InvalidProps) as error:
        write_all(tmp_path / "out", props)
    assert [problem.field for problem in error.value.problems] == ["globex.server.replicas", "initech.name"]
    assert stamps(tmp_path / "out") == before


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.KUBECTL])
def test_a_patch_that_fits_nothing_names_the_folder(delivery: Delivery, tmp_path: Path) -> None:
    patch = Patch(kind="Deployment", name="other", operations=[PatchOperation(op="remove", path="/spec")])
    props = {"acme": tenant("acme"), "globex": attrs.evolve(tenant("globex", delivery), patches=[patch])}
    with pytest.raises(InvalidProps) as error:
        write_all(tmp_path / "out", props)
    assert [problem.field for problem in error.value.problems] == ["globex.patches[0]"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../acme", "a/b", "a\\b", "a\0", "a\nb", "a\x1b[2J", "\x7f"])
def test_a_name_stays_inside_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match="a name without /, "):
        write_all(tmp_path / "out", {name: tenant("acme")})
    assert not list(tmp_path.iterdir())


def test_somebody_elses_files_stay(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "notes.txt").write_text("mine")
    with pytest.raises(SpiceDBError, match=r"it contains acme/notes\.txt, which this program did not write"):
        write_all(tmp_path, {"acme": tenant("acme")})
    assert contents(tmp_path) == {"acme/notes.txt": b"mine"}


def test_the_version_and_the_metadata_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match="version = '1'"):
        write_all(tmp_path / "out", {}, version="1")
