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
        (
            "a: 1\nb: 0x" + "f" * 4000,
            "line 2: this number has more than 50 characters; write a shorter one, or quote it",
        ),
        ("a: " + "9" * 5000, "line 1: this number has more than 50 characters"),
        ("a: 0b" + "1" * 100_000, "line 1: this number has more than 50 characters"),
        ("a: 1" + ":59" * 30_000, "line 1: this number has more than 50 characters"),
        ("a: 1" + ":59" * 300 + ".5", "line 1: this number has more than 50 characters"),
        ("a: !!float " + "9" * 5000, "line 1: this number has more than 50 characters"),
        ("? 1" + "0" * 5000 + "\n: a", "line 1: this number has more than 50 characters"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(SpiceDBError, match=says) as caught:
        load(text, "spicedb.yaml")
    assert "hunter2" not in str(caught.value)


def tower(floors: int, item: str) -> str:
    """A few lines of aliases, each of which stands for ten of those before."""
    lines = ["a0: &a0 " + item.replace("*", "x")]
    lines += [f"a{each}: &a{each} " + item.replace("*", f"*a{each - 1}") for each in range(1, floors)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        tower(6, "[*,*,*,*,*,*,*,*,*,*]"),
        tower(6, "{a: *, b: *, c: *, d: *, e: *, f: *, g: *, h: *, i: *, j: *}"),
        "a0: &a0 {k0: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 6)),
        "<<: [&a0 {k0: 1}," + ",".join(f"&a{n} {{<<: *a{n - 1}, k{n}: 1}}" for n in range(1, 1000)) + "]",
        f"a: &a {'x' * 100_000}\nb: [{'*a,' * 100}]",
        "a: [" + "1," * 30_000 + "]",
        "a: {" + ", ".join(f"k{each}: v" for each in range(15_000)) + "}",
        "x" * 20_000_000,
    ],
    ids=["lists", "mappings", "merge keys", "a chain of merge keys", "texts", "items", "keys", "one text"],
)
def test_a_file_that_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(SpiceDBError, match=r"spicedb.yaml:( line \d+:)? too large: a file may have 20,000 keys and"):
        load(text, "spicedb.yaml")


def test_a_large_file_with_aliases_is_read() -> None:
    labels = ", ".join(f"key-{each}: value" for each in range(1000))
    data, _ = load(f"a: &a {{{labels}}}\nb: [*a, *a, *a]\nc: {'x' * 1_000_000}", "spicedb.yaml")
    assert data["b"] == [data["a"]] * 3
