"""YAML texts, and where things are in them."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.files.yaml import load


def test_everything_has_its_line() -> None:
    data, lines = load("a:\n  b: [1,\n    text]\n2: on", "spicedb.yaml")
    assert data == {"a": {"b": [1, "text"]}, 2: True}
    assert lines == {"": 1, "a": 1, "a.b": 2, "a.b.0": 2, "a.b.1": 3, "2": 4}


def test_an_empty_text_is_an_empty_mapping() -> None:
    assert load("# nothing\n", "spicedb.yaml") == ({}, {})


def test_merge_keys_are_resolved_and_own_keys_take_precedence() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {<<: *base, b: 3}\nlast:\n  <<: [*more, *base]\n  c: 4\nagain: *more"
    data, lines = load(text, "spicedb.yaml")
    assert data == {
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "last": {"a": 1, "b": 3, "c": 4},
        "again": {"a": 1, "b": 3},
    }
    assert lines["last.c"] == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("name: a\nname: b", "line 2: the key 'name' appears twice"),
        ("name: [", "line 1"),
        ("<<: text", "line 1: expected a mapping or list of mappings for merging"),
        ("a: &x {b: 1, b: 2}\nc: {<<: *x}", "line 1: the key 'b' appears twice"),
        ("c: {<<: {a: 1}, b: 2, b: 3}", "line 1: the key 'b' appears twice"),
        ("? [a]\n: b", "line 1: a key must be a text"),
        ("a: \x07", "characters that YAML does not allow"),
        ("a: !!python/object:os.system x", "line 1"),
        ("a: !!int hunter2", "line 1: this value is not of the type int"),
        ("a: !!int ''", "line 1: this value is not of the type int"),
        ("a: !!bool hunter2", "line 1: this value is not of the type bool"),
        ("\na: !!timestamp hunter2", "line 2: this value is not of the type timestamp"),
        ("a: 2020-13-45", "line 1: this value is not of the type timestamp"),
        ("a: &x [*x]", "an alias in it contains itself"),
        ("[" * 2000, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(SpiceDBError, match=says) as caught:
        load(text, "spicedb.yaml")
    assert "hunter2" not in str(caught.value)
