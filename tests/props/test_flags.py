"""Variables and arguments as SpiceDB and Kubernetes read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdk8s_spicedb import SecretKey
from cdk8s_spicedb.props.flags import argument
from cdk8s_spicedb.props.secrets import EnvVar, container_env, variable


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("datastore-engine", "SPICEDB_DATASTORE_ENGINE"),
        ("grpc-preshared-key", "SPICEDB_GRPC_PRESHARED_KEY"),
        ("log-level", "SPICEDB_LOG_LEVEL"),
    ],
)
def test_a_flag_has_a_variable(flag: str, name: str) -> None:
    assert variable(flag, "x") == EnvVar(name, "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("info", "--flag=info"),
        ("", "--flag="),
        (0, "--flag=0"),
        (1000, "--flag=1000"),
        (True, "--flag=true"),
        (False, "--flag=false"),
        (timedelta(seconds=10), "--flag=10s"),
        (timedelta(hours=1), "--flag=3600s"),
        (timedelta(days=7), "--flag=604800s"),
        (timedelta(seconds=1, milliseconds=500), "--flag=1500ms"),
    ],
)
def test_an_argument_is_in_the_form_that_go_parses(value: str | int | bool | timedelta, text: str) -> None:
    assert argument("flag", value) == text


def test_a_container_gets_its_variables_in_order() -> None:
    given = container_env([EnvVar("Z", "1"), EnvVar("A", SecretKey("db", "password")), EnvVar("M", "")])
    assert given == [
        {"name": "Z", "value": "1"},
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "M", "value": ""},
    ]


def test_no_variable_is_no_entry() -> None:
    assert container_env([]) == []
