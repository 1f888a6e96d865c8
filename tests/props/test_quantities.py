"""Quantities of Kubernetes, as the API server returns them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cdk8s_spicedb.props.types import parse_quantity


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("0", "0"),
        ("250m", "0.25"),
        ("100u", "0.0001"),
        ("5n", "0.000000005"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("+2", "2"),
        ("-1", "-1"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("3M", "3000000"),
        ("512Mi", str(512 * 2**20)),
        ("1.5Gi", str(3 * 2**29)),
        ("2G", "2000000000"),
        ("1T", "1000000000000"),
        ("1Ti", str(2**40)),
        ("1P", str(10**15)),
        ("1Pi", str(2**50)),
        ("7E", str(7 * 10**18)),
        ("7Ei", str(7 * 2**60)),
        ("1e3", "1000"),
        ("12E2", "1200"),
        ("5e-1", "0.5"),
    ],
)
def test_a_quantity_is_a_number(quantity: str, number: str) -> None:
    assert parse_quantity(quantity) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "m", "1K", "1 Gi", "1mi", "1Gib", "--1", "1e", "0x10", "NaN", "1e999999999", "1\n"]
)
def test_another_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity: '"):
        parse_quantity(text)
