"""Quantities mean to us what they mean to the API server."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.quantity import quantity

NUMBERS = st.integers(min_value=0, max_value=10**15)
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("+2", Fraction(2)),
        ("-1Ki", Fraction(-1024)),
        ("1Gi", Fraction(1073741824)),
        ("1G", Fraction(1000000000)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),  # a three behind it makes the E an exponent
        ("1E", Fraction(10**18)),  # without one it is exa
        ("12e-3", Fraction(12, 1000)),
        ("100u", Fraction(1, 10000)),
        ("0.1", Fraction(1, 10)),  # exact, as no float is
    ],
)
def test_quantities_are_exact(text: str, number: Fraction) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "Gi",
        "1gi",
        "1K",
        "1e",
        "1.2.3",
        "1Gi1",
        "0x10",
        "1_000",
        "--1",
        "\u0663",
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


@pytest.mark.parametrize("text", ["1e999999999", "9" * 5_000_000])
def test_endless_quantities_cost_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        quantity(text)


@given(NUMBERS, st.sampled_from(sorted(DECIMAL)))
def test_decimal_suffixes_are_powers_of_ten(number: int, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == number * Fraction(10) ** DECIMAL[suffix]


@given(NUMBERS, st.sampled_from(range(len(BINARY))))
def test_binary_suffixes_are_powers_of_two(number: int, index: int) -> None:
    assert quantity(f"{number}{BINARY[index]}") == number * 1024 ** (index + 1)


@given(NUMBERS, st.integers(min_value=-30, max_value=30))
def test_exponents_are_powers_of_ten(number: int, exponent: int) -> None:
    assert quantity(f"{number}e{exponent}") == number * Fraction(10) ** exponent


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        assert isinstance(quantity(text), Fraction)
    except ValueError as error:
        assert "write" in str(error)  # noqa: PT017 - both ends are fine, a crash is not
