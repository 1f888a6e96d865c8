"""Which advisories concern a configuration, and the warnings about them."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import (
    AdvisoryWarning,
    Datastore,
    MySQL,
    PostgreSQL,
    SchemaProps,
    SecretKey,
    ServerProps,
    SpiceDBProps,
    SpiceDBWarning,
    Tracing,
)
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.props.advisories import advisories_of, conditions
from cdk8s_spicedb.props.rules.warnings import all_warnings
from tests.synth import synth

KEY = SecretKey("spicedb", "uri")
PARTS: dict[str, Any] = {"host": "db", "database": "a", "user": "u", "password": KEY}
TRACES = Tracing(endpoint="collector:4317")
EXPIRES = "use expiration\ndefinition user {}\ndefinition doc { relation reader: user with expiration }"


def names(props: SpiceDBProps, *, certain: bool = True) -> list[str]:
    return [each.advisory.id for each in advisories_of(props) if each.certain is certain]


def on_mysql(version: str, text: str | None = EXPIRES, **fields: Any) -> SpiceDBProps:
    schema = None if text is None else SchemaProps(text=text)
    return SpiceDBProps(version=version, datastore=MySQL(uri=KEY), schema=schema, **fields)


def test_expired_relationships_concern_a_schema_with_expiration() -> None:
    assert "spicedb-3431" in names(on_mysql("v1.57.0"))
    assert names(on_mysql("v1.57.0", None), certain=False) == ["spicedb-3431"]
    assert names(on_mysql("v1.57.0", "definition user {}")) == []
    assert names(on_mysql("v1.57.0", "// use expiration\n/*\nuse expiration\n*/\ndefinition user {}")) == []
    assert names(on_mysql("v1.57.1")) == []


@pytest.mark.parametrize(
    ("datastore", "secret"),
    [
        (PostgreSQL(uri=KEY, read_replicas=[KEY]), False),
        (PostgreSQL(uri=KEY, read_replicas=[KEY, SecretKey("b", "c")]), True),
        # The password of the parts is a variable.
        (PostgreSQL(**PARTS, read_replicas=["a", "b"]), False),
        (MySQL(**PARTS, read_replicas=["a"]), False),
        (MySQL(**PARTS, read_replicas=["a", "b"]), True),
    ],
)
def test_secrets_in_arguments_concern_servers_that_send_traces(datastore: Datastore, secret: bool) -> None:
    def found(version: str, **server: Any) -> bool:
        props = SpiceDBProps(version=version, datastore=datastore, server=ServerProps(**server))
        return "GHSA-jf7w-wx43-32gc" in names(props)

    assert found("v1.56.1", tracing=TRACES) is secret
    assert found("v1.56.1", extra_args=["--otel-provider=otlpgrpc"]) is secret
    assert not found("v1.56.1", extra_args=["--otel-provider=none"])
    assert not found("v1.56.1")
    assert not found("v1.56.2", tracing=TRACES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("definition user {}", set()),
        ("caveat a(x int) { x == 1 }", {"caveats"}),
        ("definition doc { permission p = parent->read }", {"arrows"}),
        ("definition doc { permission p = parent.all(read) }", {"arrows"}),
        ("definition doc { permission p = reader - banned }", {"exclusions"}),
        (EXPIRES, {"expiration"}),
    ],
)
def test_the_schema_shows_conditions(text: str, shown: set[str]) -> None:
    found = conditions(on_mysql("v1.56.0", text))
    in_schema = {"expiration", "caveats", "arrows", "exclusions"}
    assert {name for name in in_schema if found[name]} == shown
    assert not in_schema & conditions(on_mysql("v1.56.0", None)).keys()


def test_large_writes_concern_servers_that_take_them() -> None:
    def found(*arguments: str) -> bool:
        return "GHSA-pm3x-jrhh-qcr7" in names(on_mysql("v1.45.1", server=ServerProps(extra_args=arguments)))

    assert found("--write-relationships-max-updates-per-call=10000")
    assert not found("--write-relationships-max-updates-per-call=1000")
    assert not found()


# ---------------------------------------------------------------- acceptance and warnings


def test_an_advisory_can_be_accepted_by_each_of_its_names() -> None:
    assert "GO-2026-6612" in names(on_mysql("v1.56.2"))
    for name in ("GO-2026-6612", "GO-2026-6617"):
        assert "GO-2026-6612" not in names(on_mysql("v1.56.2", accept_advisories=[name]))


def test_an_unknown_name_is_an_error() -> None:
    [problem] = problems(on_mysql("v1.57.1", accept_advisories=["GHSA-none"]))
    assert (problem.field, problem.value) == ("accept_advisories", "'GHSA-none'")


def test_what_stands_out_has_a_warning_and_the_rest_one_together() -> None:
    first, *others, last = all_warnings(on_mysql("v1.53.0", "definition user {}"))
    assert first == (
        "v1.53.0 has a known fault. GO-2026-6612 (moderate): clients can attack the HTTP/2 and HTTP code of Go in the "
        "servers. Use v1.57.0 or later; or accept it: acceptAdvisories: [GO-2026-6612]."
    )
    assert len(others) == 2
    assert "spicedb-3161" in last
    last = [*all_warnings(on_mysql("v1.53.0", None))][-1]
    assert last.startswith("v1.53.0 has known faults that depend on your schema or your requests: GHSA-4vrg-r928-h5vv.")


@pytest.mark.filterwarnings("default::cdk8s_spicedb.AdvisoryWarning")
def test_constructs_warn_with_a_category_of_its_own() -> None:
    with pytest.warns(AdvisoryWarning) as caught:
        synth(on_mysql("v1.57.0"))
    [warning] = caught
    assert str(warning.message).startswith("spicedb: v1.57.0 has a known fault. spicedb-3431 (severe): ")
    assert str(warning.message).endswith("or accept it: accept_advisories=['spicedb-3431'].")
    assert issubclass(AdvisoryWarning, SpiceDBWarning)


@pytest.mark.filterwarnings("error::cdk8s_spicedb.AdvisoryWarning")
def test_constructs_do_not_warn_of_what_is_accepted_or_mended() -> None:
    synth(on_mysql("v1.57.0", accept_advisories=["spicedb-3431"]))
    synth(on_mysql("v1.57.1"))
