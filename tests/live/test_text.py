"""Logs and secret values, as people may see them."""

from __future__ import annotations

import pytest

from cdk8s_spicedb.live.text import first_error, in_words, last_error, redacted, shown


def test_logs_in_words() -> None:
    info, error = '{"level":"info","message":"starts"}', '{"level":"error","message":"ended","error":"no password=abc"}'
    assert in_words(info) == "starts"
    assert in_words(error) == "ended: no password=(hidden)"
    assert in_words("[1]") == "[1]"
    assert last_error(f"{error}\n{info}\n") == "ended: no password=(hidden)"
    assert last_error(f"{error}\npanic: x") == "panic: x"
    assert last_error(f"{info}\n\n") == "starts"
    assert last_error("") == ""


def test_first_error_of_a_log() -> None:
    usage = "\n".join(["unknown flag: --x", "Usage:", *("  text" for _ in range(9))])
    assert first_error(usage) == "unknown flag: --x"
    lines = ['{"level":"info","message":"starts"}', '{"level":"fatal","message":"stops","error":"why"}', "a", "b"]
    assert first_error("\n".join(lines)) == "stops: why"
    assert first_error("a\nError: b\nc\nd\ne") == "Error: b"
    assert first_error("a\nb\nc\nd") == first_error("") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://user:p%40ss@host/db", "postgres://(hidden)@host/db"),
        ("user:pass@tcp(host:3306)/db", "(hidden)@tcp(host:3306)/db"),
        ("host=a password=secret user=b", "host=a password=(hidden) user=b"),
        ("--grpc-preshared-key=abc x", "--grpc-preshared-key=(hidden) x"),
        ("password authentication failed for user", "password authentication failed for user"),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_values_of_fields_that_may_be_secret_are_hidden() -> None:
    base = "spec.template.spec.containers[spicedb]"
    assert shown(f"{base}.env[SPICEDB_GRPC_PRESHARED_KEY].value", "abc") == "(hidden)"
    assert shown(f"{base}.env[SPICEDB_GRPC_PRESHARED_KEY].value", "$(A),$(B)") == "$(A),$(B)"
    assert shown(f"{base}.env[GOMAXPROCS].value", "2") == "2"
    assert shown(f"{base}.args[--datastore-conn-uri]", "host=x") == "(hidden)"
    assert shown(f"{base}.env[PASSWORD].valueFrom.secretKeyRef.name", "spicedb") == "spicedb"
