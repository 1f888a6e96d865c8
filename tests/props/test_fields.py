"""What annotations say about fields, and the rules between fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_type_hints

import attrs
import pytest
from annotated_types import Interval, Predicate, Unit

import cdk8s_spicedb
from cdk8s_spicedb import Delivery, Problem, Resources, SecretKey
from cdk8s_spicedb.props.fields import (
    Draft,
    Excluding,
    Message,
    OneOf,
    Pattern,
    fields_of,
    problems,
    raw_problems,
    type_of,
    use,
)
from cdk8s_spicedb.props.fieldtypes import in_python


@attrs.frozen(kw_only=True)
class Toy:
    """Props with a rule that cannot cope with invalid fields."""

    minimum: Annotated[int, Interval(ge=0)] = 1
    maximum: Annotated[int, Interval(ge=0)] = 2
    other: bool = True


def minimum_at_most_maximum(minimum: int, maximum: int) -> Iterator[Problem]:
    if minimum > maximum:
        yield Problem("minimum", str(minimum), f"at most {maximum}", "lower it")


use({Toy: (minimum_at_most_maximum,)})


@pytest.mark.parametrize(
    ("toy", "fields"),
    [
        ({"minimum": 3}, ["minimum"]),
        ({"minimum": "3"}, ["minimum"]),
        ({"maximum": None}, ["maximum"]),
        ({"minimum": 3, "maximum": -1}, ["maximum"]),
        ({"minimum": 3, "other": "x"}, ["other", "minimum"]),
        ({}, []),
    ],
)
def test_a_rule_runs_only_if_its_fields_are_valid(toy: dict[str, Any], fields: list[str]) -> None:
    assert [problem.field for problem in problems(Toy(**toy))] == fields


_CODE = Annotated[str, Pattern("[a-z]+", "a code", "use 'abc'", max_length=3)]


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "allowed", "schema"),
    [
        (bool, [True, False], [1, "true", None], "True or False", {"type": "boolean"}),
        (str, ["", "a"], [1, None, b"a", "\ud800"], "a str", {"type": "string"}),
        (
            Annotated[int, Unit("rows"), Interval(ge=1, le=9)],
            [1, 9],
            [0, 10, True, 1.0, "1"],
            "a whole number of rows from 1 to 9",
            {"type": "integer", "minimum": 1, "maximum": 9},
        ),
        (
            Annotated[int, Interval(ge=0)],
            [0, 10**9],
            [-1],
            "a whole number, 0 or more",
            {"type": "integer", "minimum": 0},
        ),
        (
            Annotated[float, Interval(ge=0, le=1)],
            [0, 0.5, 1],
            [-0.1, 2, True, "0"],
            "a number from 0 to 1",
            {"type": "number", "minimum": 0, "maximum": 1},
        ),
        (
            Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(hours=1))],
            [timedelta(minutes=1)],
            [60, timedelta(0)],
            "a datetime.timedelta from 1 s to 3600 s",
            {"type": "string", "pattern": r"^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$"},
        ),
        (
            _CODE,
            ["a", "abc"],
            ["", "abcd", "A"],
            "a code",
            {"type": "string", "pattern": "^(?:[a-z]+)$", "maxLength": 3},
        ),
        (
            Annotated[_CODE, Excluding(("abc",))],
            ["ab"],
            ["abc"],
            "a code other than abc, which this package sets",
            {"type": "string", "pattern": "^(?:[a-z]+)$", "maxLength": 3, "not": {"enum": ["abc"]}},
        ),
        (Annotated[str, Predicate(str.isupper)], ["A"], ["a", 1], "a str", {"type": "string"}),
        (Literal["a", "b"], ["a"], ["c", None, 1], "a, b", {"enum": ["a", "b"]}),
        (Annotated[str, OneOf(("a", "b"))], ["b"], ["c"], "a, b", {"enum": ["a", "b"]}),
        (Delivery, [Delivery.HELM], ["flux", None], "helm, argocd, kubectl", {"enum": ["helm", "argocd", "kubectl"]}),
        (
            bool | None,
            [None, True],
            ["x"],
            "True or False, or None",
            {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        ),
        (
            Sequence[bool],
            [(), [True]],
            ["true", [1], True],
            "a tuple or list, each item: True or False",
            {"type": "array", "items": {"type": "boolean"}},
        ),
        (
            Mapping[_CODE, bool],
            [{}, {"a": True}],
            [{"A": True}, {"a": 1}, [("a", True)]],
            "a mapping from a code to True or False",
            {
                "type": "object",
                "patternProperties": {"^(?:[a-z]+)$": {"type": "boolean"}},
                "additionalProperties": False,
            },
        ),
        (
            bool | _CODE,
            [True, "abc"],
            ["abcd", 1],
            "True or False or a code",
            {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^(?:[a-z]+)$", "maxLength": 3}]},
        ),
    ],
    ids=str,
)
def test_an_annotation_gives_the_check_the_message_and_the_schema(
    annotation: Any, good: list[Any], bad: list[Any], allowed: str, schema: dict[str, Any]
) -> None:
    type_ = type_of(annotation)
    assert [value for value in good if list(type_.check(value, "field"))] == []
    found = [list(map(in_python, type_.check(value, "field"))) for value in bad]
    assert [len(each) for each in found] == [1] * len(bad)
    assert {each[0].allowed for each in found} == {allowed}
    assert type_.schema(lambda _: {}) == schema


def test_a_message_takes_precedence_over_the_texts_of_the_type() -> None:
    type_ = type_of(Annotated[_CODE, Message("a short code")])
    assert (type_.allowed, type_.fix) == ("a short code", "use 'abc'")


def test_all_limits_of_an_annotation_apply() -> None:
    type_ = type_of(Annotated[_CODE, Pattern("a.*"), Predicate(str.islower), Excluding(("ab",))])
    assert [value for value in ("a", "ab", "abc", "abcd", "b", "") if type_.accepts(value)] == ["a", "abc"]


def test_other_metadata_of_an_annotation_does_not_count() -> None:
    type_ = type_of(Annotated[_CODE, object(), "--flag"])
    assert (type_.allowed, type_.fix) == ("a code", "use 'abc'")
    assert [value for value in ("abc", "abcd") if type_.accepts(value)] == ["abc"]


def test_invalid_values_of_a_file_do_not_cause_problems_in_valid_ones() -> None:
    type_ = type_of(Resources)
    draft = type_.read({"requests": {"cpu": 0.5}, "limits": {"memory": "1Gi", "cpu": 1}, "limit": {}})
    assert [problem.field for problem in type_.check(draft, "resources")] == ["resources.limit"]


@attrs.frozen(kw_only=True)
class Sound:
    """Props that cannot be made of invalid values."""

    number: Annotated[int, Interval(ge=0)]
    inner: Toy = attrs.field(factory=Toy)
    items: Sequence[Toy] = ()

    def __attrs_post_init__(self) -> None:
        assert list(raw_problems(self)) == []


def test_a_draft_becomes_props_when_it_is_valid() -> None:
    draft = type_of(Sound).read({"number": 1, "items": [{"minimum": 0}], "inner": {"maximum": 5}})
    assert list(draft.problems()) == []
    assert draft.build() == Sound(number=1, items=(Toy(minimum=0),), inner=Toy(maximum=5))


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, ["number"]),
        (
            {"number": "1", "inner": {"minimum": -1}, "items": [{"other": 3}]},
            ["number", "inner.minimum", "items[0].other"],
        ),
        ({"number": 1, "items": [5]}, ["items[0]"]),
        ({"number": 1, "items": 5, "inner": []}, ["inner", "items"]),
        ({"number": 1, "inner": {"minmum": 0}, "more": 1}, ["inner.minmum", "more"]),
    ],
    ids=str,
)
def test_a_draft_has_all_problems_at_once_and_makes_no_props(data: dict[str, Any], fields: list[str]) -> None:
    draft = type_of(Sound).read(data)
    assert isinstance(draft, Draft)
    assert [problem.field for problem in draft.problems()] == fields


def test_a_message_names_the_field() -> None:
    [found] = map(in_python, type_of(SecretKey).check("hunter2", "server.env[TOKEN].password"))
    assert found.fix.endswith("password=SecretKey('my-secret', 'my-key')")
    assert found.value == "(text, hidden: may be a secret)"


def test_a_number_that_python_does_not_write_is_described() -> None:
    shown = [problem.value for problem in problems(Toy(minimum=-(10**5000)))]
    assert shown == ["(a number with too many digits to show)"]


def test_a_mapping_of_secrets_stays_hidden() -> None:
    type_ = type_of(Mapping[str, Annotated[bool, Message(redacted=True)]])
    [found] = type_.check({"a": "hunter2!"}, "field")
    assert "hunter2!" not in found.value


_CLASSES = [
    kind
    for kind in (getattr(cdk8s_spicedb, name) for name in cdk8s_spicedb.__all__)
    if isinstance(kind, type) and attrs.has(kind) and kind.__module__.startswith("cdk8s_spicedb.props")
]


@pytest.mark.parametrize("kind", _CLASSES, ids=lambda kind: kind.__name__)
def test_every_annotation_of_props_can_be_read(kind: type) -> None:
    hints = get_type_hints(kind, include_extras=True)
    assert fields_of(kind).keys() <= hints.keys()


@pytest.mark.parametrize("kind", _CLASSES, ids=lambda kind: kind.__name__)
def test_the_converter_of_a_field_takes_the_names_of_members(kind: type) -> None:
    for field in attrs.fields(kind):
        hint = get_type_hints(kind)[field.name]
        for enum in (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, Enum)):
            assert field.converter is not None, "files name the members by their values"
            assert [field.converter(member.value) for member in enum] == list(enum)


def test_every_class_of_props_is_among_them() -> None:
    assert len(_CLASSES) > 30
