"""Values as YAML that Kubernetes reads as they were meant."""

from __future__ import annotations

import pytest
import yaml

from cdk8s_spicedb.files.yaml import dump


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
