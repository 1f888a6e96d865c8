"""Values as YAML that Kubernetes reads as they were meant."""

from __future__ import annotations

import datetime
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_spicedb.files.yaml import _dump, dump


@pytest.mark.parametrize(
    "text", ["on", "no", "y", "12:30:45", "0123", "1e3", "null", "~", "2020-01-01", "", "a: b", "#"]
)
def test_texts_stay_texts_also_for_readers_of_yaml_1_1(text: str) -> None:
    assert yaml.safe_load(dump({"value": text})) == {"value": text}


def test_keys_stay_in_order_and_lists_are_indented() -> None:
    assert dump({"b": [{"c": 1}], "a": {}}) == "b:\n  - c: 1\na: {}\n"


def test_what_comes_twice_is_written_twice() -> None:
    labels = {"team": "identity"}
    assert "&" not in dump({"one": labels, "two": labels})


def test_documents_are_kept_apart() -> None:
    assert list(yaml.safe_load_all(dump({"a": 1}, {"b": 2}))) == [{"a": 1}, {"b": 2}]


def test_long_lines_are_not_folded() -> None:
    assert len(dump({"text": "a " * 200}).splitlines()) == 1


@pytest.mark.parametrize("text", ["a\n", "a", "a\nb", " a\nb\n\n", "a\n\tb ", "a\r\nb", "\x07\n", "{{ a }}\n"])
def test_texts_of_several_lines_stay_what_they_are(text: str) -> None:
    assert yaml.safe_load(dump({"value": [text]})) == {"value": [text]}


def test_texts_of_several_lines_are_written_as_lines() -> None:
    assert dump({"text": "a: 1\nb: 2\n"}) == "text: |\n  a: 1\n  b: 2\n"


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["a\nb\n", "- ", "|", "a: b"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(_VALUES, min_size=1, max_size=2))
def test_documents_are_written_as_pyyaml_does(documents: list[object]) -> None:
    assert dump(*documents) == _dump(*documents)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [["x", "y"], [{"b": 1, "c": []}], {}, []]},
        {"a": ({"b": "c"}, ())},
        {"text": " lead\nx\n", "inner": {"keep": "x\n\n"}},
        {"inner": [{"text": "x\n\ny", "more": 1}]},
        {"": 1},
        {1: 2},
        {"key" * 50: 1},
        {"key\nof two lines": 1},
        {"when": datetime.date(2026, 11, 1)},
        "text",
        [],
    ],
)
def test_unusual_documents_are_written_as_pyyaml_does(value: object) -> None:
    assert dump(value, value) == _dump(value, value)


def test_large_documents_are_written_fast() -> None:
    documents = [{"spec": {"containers": [{"name": "spicedb", "args": ["--a=b"] * 20}] * 20}}] * 20
    start = time.process_time()
    dump(*documents)
    assert time.process_time() - start < 1
