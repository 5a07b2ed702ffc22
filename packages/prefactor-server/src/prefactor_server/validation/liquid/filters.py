"""The complete list of filters that templates may use.

They replace the template library's filters, whose results have no size limit: three chained
`replace` produce 16 GB, `date` pads to any width, and repeated `times` fills the memory. Here the
size of a result is known before it is built, and invalid arguments produce an empty result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from liquid.exceptions import LiquidError

from prefactor_server.validation.liquid.date_filters import date
from prefactor_server.validation.liquid.list_filters import LIST_FILTERS, first, last
from prefactor_server.validation.liquid.number_filters import NUMBER_FILTERS
from prefactor_server.validation.liquid.sandbox import (
    MAX_ITEMS,
    MAX_TEXT,
    LimitReached,
    ListView,
    RenderBudget,
    length_of,
    sanitize,
)
from prefactor_server.validation.liquid.text_filters import STEPS_PER_CHARACTER, TEXT_FILTERS

Filter: TypeAlias = Callable[..., object]


def size(value: object) -> int:
    """Return the length of a text, a list or an object, and 0 for anything else."""
    return length_of(value)


def default(value: object, other: object = "", *, allow_false: object = False) -> object:
    """Return the value, or `other` if it is missing, false or empty. 0 counts as a value."""
    if value is False:
        return value if allow_false is True else other
    is_number = isinstance(value, int | float)
    return value if is_number or length_of(value) else other


FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {
        **TEXT_FILTERS,
        **NUMBER_FILTERS,
        **LIST_FILTERS,
        "date": date,
        "default": default,
        "size": size,
    }
)
"""Every filter by its name."""

# These do not iterate over lists, so they take lists of any length.
_LOOK_ONLY: Final = frozenset({size, first, last})

_STEPS_PER_FILTER: Final = 5
_STEPS_OF: Final = {FILTERS[name]: steps for name, steps in STEPS_PER_CHARACTER.items()}


def apply_filter(
    budget: RenderBudget, function: Filter, /, *values: object, **options: object
) -> object:
    """Run a filter within the budget, and return None if its arguments are invalid.

    Raises:
        LimitReached: the budget is spent, or the result would be too large.
    """
    budget.spend(_STEPS_PER_FILTER)
    arguments = values if function in _LOOK_ONLY else [_argument(value, budget) for value in values]
    per_character = _STEPS_OF.get(function, 0)
    if per_character and isinstance(arguments[0], str):
        budget.spend(int(per_character * len(arguments[0])))
    try:
        result = function(*arguments, **options)
    except (TypeError, ValueError, ArithmeticError, LookupError, LiquidError):
        return None
    if isinstance(result, list):
        items = cast("list[object]", result)
        if len(items) > MAX_ITEMS:
            raise LimitReached("a filter produced too many items")
        budget.spend_on(items)
        return items
    if isinstance(result, str) and len(result) > MAX_TEXT:
        raise LimitReached("a filter produced too long a text")
    return sanitize(result, budget)


def _argument(value: object, budget: RenderBudget) -> object:
    """Convert an argument to what filters take: text, number, list, object or None."""
    if isinstance(value, range | ListView):
        if len(value) > MAX_ITEMS:
            raise LimitReached("a filter received too many items")
        return [sanitize(item, budget) for item in value]
    if isinstance(value, tuple):
        return [sanitize(item, budget) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, list):
        budget.spend_on(cast("list[object]", value))
        return cast("list[object]", value)
    return sanitize(value, budget)
