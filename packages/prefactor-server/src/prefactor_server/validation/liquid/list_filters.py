"""Filters on lists. Arguments and results have at most 4,096 items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from prefactor_server.validation.liquid.number_filters import plus
from prefactor_server.validation.liquid.sandbox import (
    MAX_ITEMS,
    MAX_TEXT,
    LimitReached,
    ListView,
    ObjectView,
    to_text,
)


def to_list(value: object) -> list[object]:
    """Return a list unchanged, and any other value as a list of one item."""
    if isinstance(value, list):
        return cast("list[object]", value)
    return [] if value is None else [value]


def first(value: object) -> object:
    """Return the first item, or None if the list is empty or the value is not a list."""
    return next(iter(_items(value)[:1]), None)


def last(value: object) -> object:
    """Return the last item, or None if the list is empty or the value is not a list."""
    return next(iter(_items(value)[-1:]), None)


def join(value: object, separator: object = " ") -> str:
    """Return the items as one text, with a separator between them."""
    texts, mark = [to_text(item) for item in to_list(value)], to_text(separator)
    if sum(map(len, texts)) + len(mark) * max(len(texts) - 1, 0) > MAX_TEXT:
        raise LimitReached("a filter would produce too long a text")
    return mark.join(texts)


def concat(value: object, more: object) -> list[object]:
    """Return the items followed by those of another list."""
    left, right = to_list(value), to_list(more)
    if len(left) + len(right) > MAX_ITEMS:
        raise LimitReached("a filter would produce too many items")
    return [*left, *right]


def map_(value: object, name: object) -> list[object]:
    """Return one field of each item."""
    return [_field(item, name) for item in to_list(value)]


def where(value: object, name: object, target: object = None) -> list[object]:
    """Return the items whose field has a value or, without a value, is true."""
    return [item for item in to_list(value) if _matches(_field(item, name), target)]


def reject(value: object, name: object, target: object = None) -> list[object]:
    """Return the items that `where` omits."""
    return [item for item in to_list(value) if not _matches(_field(item, name), target)]


def find(value: object, name: object, target: object = None) -> object:
    """Return the first item that `where` would return."""
    return next(iter(where(value, name, target)), None)


def reverse(value: object) -> list[object]:
    """Return the items in reverse order."""
    return to_list(value)[::-1]


def sort(value: object, name: object = None) -> list[object]:
    """Return the items sorted, by a field if one is named. Items without the field come last."""
    return sorted(to_list(value), key=lambda item: _order(_key(item, name)))


def sort_natural(value: object, name: object = None) -> list[object]:
    """Return the items sorted as text, ignoring case."""
    return sorted(to_list(value), key=lambda item: to_text(_key(item, name)).casefold())


def uniq(value: object, name: object = None) -> list[object]:
    """Return the items without duplicates, which are compared by a field if one is named."""
    seen: dict[object, object] = {}
    for item in to_list(value):
        key = _key(item, name)
        seen.setdefault((type(key), key), item)
    return list(seen.values())


def compact(value: object, name: object = None) -> list[object]:
    """Return the items that are not nil, or whose field is not nil."""
    return [item for item in to_list(value) if _key(item, name) is not None]


def sum_(value: object, name: object = None) -> object:
    """Return the sum of the items, or of one of their fields."""
    total: int | float = 0
    for item in to_list(value):
        total = plus(total, _key(item, name))
    return total


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list | ListView) else []


def _key(item: object, name: object) -> object:
    return item if name is None else _field(item, name)


def _field(item: object, name: object) -> object:
    return item.get(to_text(name)) if isinstance(item, ObjectView) else None


def _matches(value: object, target: object) -> bool:
    return value == target if target is not None else value not in (None, False)


def _order(key: object) -> tuple[int, object]:
    """Return a sort key for any value: numbers, then texts, then everything else."""
    if isinstance(key, int | float):
        return (0, key)
    return (1, key) if isinstance(key, str) else (2, "")


LIST_FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "compact": compact,
    "concat": concat,
    "find": find,
    "first": first,
    "join": join,
    "last": last,
    "map": map_,
    "reject": reject,
    "reverse": reverse,
    "sort": sort,
    "sort_natural": sort_natural,
    "sum": sum_,
    "uniq": uniq,
    "where": where,
}
"""The filters of this module by their names in templates."""
