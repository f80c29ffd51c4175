"""Kubernetes quantities as exact numbers: `500m` is 1/2, `1Gi` is 1073741824."""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(
    r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]+))?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {f"{prefix}i": 10 * power for power, prefix in enumerate("KMGTPE", 1)}
_LONGEST, _LARGEST = 64, 64  # characters, exponent: 10**999999999 would never be done


def quantity(text: str) -> Fraction:
    """Return the number (bytes, cores or a count) that a quantity stands for.

    Raises:
        ValueError: for text that the API server would not take for a quantity.
    """
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ValueError(f"{text[:_LONGEST]!r} is no quantity; write one like 500m, 2 or 1Gi")
    sign, digits, suffix, exponent = found.groups()
    if abs(int(exponent or 0)) > _LARGEST:
        raise ValueError(f"{text!r} is out of range; write a quantity like 500m, 2 or 1Gi")
    number = Fraction(sign + digits.removesuffix("."))
    if suffix in _BINARY:
        return number * Fraction(2 ** _BINARY[suffix])
    power = int(exponent) if exponent else _DECIMAL.get(suffix, 0)
    return number * (Fraction(10**power) if power >= 0 else Fraction(1, 10**-power))
