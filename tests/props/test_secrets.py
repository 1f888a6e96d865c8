"""A secret is named, never held."""

from __future__ import annotations

import attrs
import cdk8s
import cdk8s_plus_27
import pytest

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.props import problems


def test_repr_shows_only_names() -> None:
    assert repr(SecretKey("db", "password")) == "SecretKey(name='db', key='password')"


def test_a_source_names_secret_and_key() -> None:
    assert SecretKey("db", "password").source() == {"secretKeyRef": {"name": "db", "key": "password"}}


def test_a_secret_key_is_frozen_and_compares_by_value() -> None:
    key = SecretKey("db", "password")
    assert key == SecretKey("db", "password")
    assert key != SecretKey("password", "db")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        key.name = "other"  # type: ignore[misc]


def test_from_a_secret_that_exists() -> None:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    secret = cdk8s_plus_27.Secret.from_secret_name(chart, "imported", "db")
    assert SecretKey.of(cdk8s_plus_27.SecretValue(secret=secret, key="password")) == SecretKey("db", "password")


def test_from_a_secret_of_the_same_app_without_its_value() -> None:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    secret = cdk8s_plus_27.Secret(
        chart, "secret", metadata=cdk8s.ApiObjectMetadata(name="db"), string_data={"password": "hunter2"}
    )
    key = SecretKey.of(cdk8s_plus_27.SecretValue(secret=secret, key="password"))
    assert key == SecretKey("db", "password")
    assert "hunter2" not in repr(key)


def test_a_generated_name_is_taken_as_it_is_rendered() -> None:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    secret = cdk8s_plus_27.Secret(chart, "secret")
    key = SecretKey.of(cdk8s_plus_27.SecretValue(secret=secret, key="password"))
    [rendered] = cdk8s.Testing.synth(chart)
    assert key.name == rendered["metadata"]["name"]
    assert list(problems(key)) == []


@pytest.mark.parametrize(("name", "default"), [("spicedb", "spicedb"), ("permissions", "permissions")])
def test_the_preshared_key_is_in_the_secret_of_the_release(name: str, default: str) -> None:
    props = SpiceDBProps(name=name, datastore=PostgreSQL(uri=SecretKey("db", "uri")))
    assert props.preshared_key == SecretKey(default, "preshared-key")


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        (SecretKey("db", "password"), []),
        (SecretKey("a.b-c", "A_b.c-9"), []),
        (SecretKey("a" * 253, "k" * 253), []),
        (SecretKey("a" * 254, "k" * 254), ["name", "key"]),
        (SecretKey("", ""), ["name", "key"]),
        (SecretKey("My-Secret", "k"), ["name"]),
        (SecretKey("db-", "a key"), ["name", "key"]),
    ],
)
def test_names_that_kubernetes_takes(key: SecretKey, fields: list[str]) -> None:
    assert [problem.field for problem in problems(key)] == fields
