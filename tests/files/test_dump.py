"""Values as YAML that Kubernetes reads as they were meant."""

from __future__ import annotations

import datetime
import time

import helm_python as helm
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk8s_spicedb.files.yaml import _dump, dump

WORDS = ["y", "n", "Y", "N", "yes", "no", "on", "off", "true", "null", "~", "", "=", "<<", ".nan", ".inf", "-.Inf"]
NUMBERS = [
    *("08", "09", "0123", "0o17", "-0o7", "0x1F", "0b11", "-_0x_f", "1_000", "0_19", "+1", "-1", "1.", ".5", "1.5"),
    *("1e3", "5E0", "1e-3", "1.e+3", ".5e1", ".69e3", "19E_9", "3e_-07", "2676e1", "12:30:45", "190:20:30.5"),
    *("2020-01-01", "2020-1-1", "2020-1-1t1:1:1Z", "2020-01-01 1:1:1.5"),
]
SIGNS = [
    "a: b",
    "a #b",
    "#",
    "- a",
    "? a",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "'",
    '"',
    "---",
    "...",
    "{a: b}",
]
CHARACTERS = [
    "\t",
    "a\tb",
    " a ",
    "a\r\nb",
    "\x85",
    "a\u2028b\n",
    "\u2029",
    "\ufeff",
    "\xa0",
    "\x7f",
    "\x07",
    "é\U0001f600",
]


@pytest.mark.parametrize("text", [*WORDS, *NUMBERS, *SIGNS, *CHARACTERS])
def test_texts_stay_texts_for_every_reader(text: str) -> None:
    _reads_as_it_was_meant([text])


@pytest.mark.parametrize(
    "text", ["v1.56.0", "1.34.4", "10.0.0.0/8", "250m", "50%", "--a=b", "1f", "e1", "is on", "yes!"]
)
def test_texts_that_nothing_takes_for_something_else_have_no_quotes(text: str) -> None:
    assert dump({"value": text}) == f"value: {text}\n"


_NUMBERS = st.text("0123456789eE+-._xXoObBaAfF:tTzZ ", min_size=1, max_size=10)
_LETTERS = st.text("yYnNtTrRuUeEoOfFlLsSaA~.", min_size=1, max_size=5)
_SPACES = st.text("ab:#-'\"\\ \t\n\r\x85\u2028\u2029\ufeff\xa0\x7f\x80\x07\ufffe\U0010ffff", min_size=1, max_size=10)


@settings(max_examples=300)
@given(st.lists(_NUMBERS | _LETTERS | _SPACES | st.text(max_size=10), min_size=1, max_size=20, unique=True))
def test_all_texts_stay_texts_for_every_reader(texts: list[str]) -> None:
    _reads_as_it_was_meant(texts)


def _reads_as_it_was_meant(texts: list[str]) -> None:
    """Helm's library reads YAML with the package that Kubernetes uses. PyYAML reads YAML 1.1."""
    values = {f"key-{number}": text for number, text in enumerate(texts)}
    wanted = {"items": texts, "values": values, "keys": dict.fromkeys(texts, "value")}
    text = dump(wanted)
    assert helm.values_from_yaml(text) == wanted
    assert yaml.safe_load(text) == wanted


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
