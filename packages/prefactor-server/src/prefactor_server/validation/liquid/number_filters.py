"""Filters on numbers. As in all of Liquid, any other value counts as 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from prefactor_server.validation.liquid.sandbox import MAX_INTEGER_BITS, LimitReached
from prefactor_server.validation.liquid.text_filters import to_integer

Number: TypeAlias = int | float

_MAX_DIGITS: Final = 40
_MAX_DECIMALS: Final = 28


def number(value: object) -> Number:
    """Convert a value or its text to a number, or return 0 if it is not one."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str) or len(value) > _MAX_DIGITS:
        return 0
    for read in (int, float):
        try:
            return _finite(read(value))
        except ValueError:
            continue
    return 0


def absolute(value: object) -> Number:
    """Return the absolute value."""
    return abs(number(value))


def at_least(value: object, other: object) -> Number:
    """Return the larger of two numbers."""
    return max(number(value), number(other))


def at_most(value: object, other: object) -> Number:
    """Return the smaller of two numbers."""
    return min(number(value), number(other))


def ceil(value: object) -> Number:
    """Round up to a whole number."""
    return math.ceil(number(value))


def floor(value: object) -> Number:
    """Round down to a whole number."""
    return math.floor(number(value))


def plus(value: object, other: object) -> Number:
    """Return the sum, in decimal arithmetic: 0.1 and 0.2 make 0.3."""
    left, right = number(value), number(other)
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    return float(_decimal(left) + _decimal(right))


def minus(value: object, other: object) -> Number:
    """Return the difference."""
    return plus(value, -number(other))


def times(value: object, other: object) -> Number:
    """Return the product, in decimal arithmetic."""
    left, right = number(value), number(other)
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_INTEGER_BITS:
            raise LimitReached("a product has too many digits")
        return left * right
    return float(_decimal(left) * _decimal(right))


def divided_by(value: object, other: object) -> Number:
    """Return the quotient, a whole number if both are."""
    left, right = number(value), number(other)
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    return left / right


def modulo(value: object, other: object) -> Number:
    """Return the remainder of a division."""
    return number(value) % number(other)


def round_(value: object, digits: object = 0) -> Number:
    """Round to a number of decimals, or to a whole number by default."""
    decimals = min(to_integer(digits), _MAX_DECIMALS)
    return round(number(value)) if decimals <= 0 else round(number(value), decimals)


def _decimal(value: Number) -> Decimal:
    return Decimal(str(value))


def _finite(value: Number) -> Number:
    return value if math.isfinite(value) else 0


NUMBER_FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "abs": absolute,
    "at_least": at_least,
    "at_most": at_most,
    "ceil": ceil,
    "floor": floor,
    "plus": plus,
    "minus": minus,
    "times": times,
    "divided_by": divided_by,
    "modulo": modulo,
    "round": round_,
}
"""The filters of this module by their names in templates."""
