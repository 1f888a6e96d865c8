"""YAML texts, and where things are in them."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.load import load


def test_everything_has_its_line() -> None:
    data, lines = load("a:\n  b: [1,\n    text]\n2: on", "spicedb.yaml")
    assert data == {"a": {"b": [1, "text"]}, 2: True}
    assert lines == {"": 1, "a": 1, "a.b": 2, "a.b.0": 2, "a.b.1": 3, "2": 4}


def test_an_empty_text_is_an_empty_mapping() -> None:
    assert load("# nothing\n", "spicedb.yaml") == ({}, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("name: a\nname: b", "line 2: 'name' comes twice"),
        ("name: [", "line 1"),
        ("<<: {name: a}", "line 1: a key is a text"),
        ("? [a]\n: b", "line 1: a key is a text"),
        ("a: \x07", "characters that YAML does not allow"),
        ("a: !!python/object:os.system x", "line 1"),
        ("a: !!int hunter2", "line 1: what is there is no int"),
        ("\na: !!timestamp hunter2", "line 2: what is there is no timestamp"),
        ("a: 2020-13-45", "line 1: what is there is no timestamp"),
        ("a: &x [*x]", "an alias in it holds itself"),
        ("[" * 2000, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(SpiceDBError, match=says) as caught:
        load(text, "spicedb.yaml")
    assert "hunter2" not in str(caught.value)
