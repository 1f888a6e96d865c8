"""What is known of each release."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import EngineReleases, ReleaseTable, Rollout, Stop, known_releases
from cdk8s_spicedb.versions import Advisory, ReleaseRange
from cdk8s_spicedb.versions.history import Caution, RequiredStop, Version, history

ROLLOUTS = (
    Rollout(revision="b", starts_on=("b", "c"), why="it prepares"),
    Rollout(revision="c", starts_on=("b", "c"), why="it cleans up"),
)
FAULT = Advisory(
    id="X-1",
    severity="severe",
    releases=[ReleaseRange(before="v1.10.0")],
    what="it is wrong",
    source="notes",
    withdrawn=["v1.9.0"],
)
OF_OTHER = Advisory(
    id="X-2", severity="low", releases=[ReleaseRange(before="v1.11.0")], what="a", source="b", engines=["other"]
)
TABLE = ReleaseTable(
    {
        "toy": EngineReleases(
            ("a", "b", "c"),
            {"v1.9.0": "a", "v1.10.0": "c", "v1.11.0": "c"},
            (Stop("v1.10.0", "v1.10.0", "a table moves", "notes", ROLLOUTS),),
            {"b": "it is slow", "c": "it is slow"},
        ),
        "other": EngineReleases(("x",), {"v1.10.0": "x", "v1.11.0": "x"}),
    },
    advisories=(FAULT, OF_OTHER),
)
LAST = Version(
    version="v1.11.0",
    heads={"toy": "c", "other": "x"},
    migrations={},
    stops=(),
    cautions=(),
    withdrawn=None,
    advisories=(),
)
STOP = RequiredStop(engines=("toy",), before="v1.10.0", rollouts=2, why="a table moves")
MIDDLE = Version(
    version="v1.10.0",
    heads={"toy": "c", "other": "x"},
    migrations={"toy": ("b", "c"), "other": ("x",)},
    stops=(STOP,),
    cautions=(Caution(engine="toy", revisions=("b", "c"), text="it is slow"),),
    withdrawn=None,
    advisories=(OF_OTHER,),
)
FIRST = Version(
    version="v1.9.0",
    heads={"toy": "a"},
    migrations={"toy": ("a",)},
    stops=(),
    cautions=(),
    withdrawn="use v1.10.0 (X-1)",
    advisories=(FAULT,),
)


def test_releases_are_listed_with_what_is_known_newest_first() -> None:
    assert history(TABLE) == [LAST, MIDDLE, FIRST]


def test_one_engine_has_its_own_releases() -> None:
    assert [release.version for release in history(TABLE, ["other"])] == ["v1.11.0", "v1.10.0"]
    assert history(TABLE, ["other"])[1].migrations == {"other": ("x",)}


def test_engines_with_the_same_stop_share_it() -> None:
    releases = {release.version: release for release in history(known_releases())}
    (stop,) = releases["v1.36.2"].stops
    assert (set(stop.engines), stop.before) == (set(known_releases().engines), "v1.37.0")
    assert [stop.engines for stop in releases["v1.14.0"].stops] == [("postgres",)]


@pytest.mark.parametrize("engine", known_releases().engines)
def test_migrations_of_all_releases_are_all_revisions(engine: str) -> None:
    found = history(known_releases(), [engine])
    revisions = [revision for release in reversed(found) for revision in release.migrations.get(engine, ())]
    assert revisions == list(known_releases().engines[engine].revisions)
