"""Filters on lists. A list that comes in has at most 4,096 items, and so has what goes out."""

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
    """A value as a list: itself, or the one thing that it is."""
    if isinstance(value, list):
        return cast("list[object]", value)
    return [] if value is None else [value]


def first(value: object) -> object:
    """The first item; nothing if there is none, or if it is no list."""
    return next(iter(_items(value)[:1]), None)


def last(value: object) -> object:
    """The last item; nothing if there is none, or if it is no list."""
    return next(iter(_items(value)[-1:]), None)


def join(value: object, separator: object = " ") -> str:
    """The items as one text, with a separator between them."""
    texts, mark = [to_text(item) for item in to_list(value)], to_text(separator)
    if sum(map(len, texts)) + len(mark) * max(len(texts) - 1, 0) > MAX_TEXT:
        raise LimitReached("a filter would make too long a text")
    return mark.join(texts)


def concat(value: object, more: object) -> list[object]:
    """The items, with those of another list after them."""
    left, right = to_list(value), to_list(more)
    if len(left) + len(right) > MAX_ITEMS:
        raise LimitReached("a filter would make too many items")
    return [*left, *right]


def map_(value: object, name: object) -> list[object]:
    """One field of each item."""
    return [_field(item, name) for item in to_list(value)]


def where(value: object, name: object, wanted: object = None) -> list[object]:
    """The items whose field has a value; without a value, those whose field is true."""
    return [item for item in to_list(value) if _matches(_field(item, name), wanted)]


def reject(value: object, name: object, wanted: object = None) -> list[object]:
    """The items that `where` leaves out."""
    return [item for item in to_list(value) if not _matches(_field(item, name), wanted)]


def find(value: object, name: object, wanted: object = None) -> object:
    """The first item that `where` keeps."""
    return next(iter(where(value, name, wanted)), None)


def reverse(value: object) -> list[object]:
    """The items from last to first."""
    return to_list(value)[::-1]


def sort(value: object, name: object = None) -> list[object]:
    """The items in order, by one of their fields if it is named; those without it come last."""
    return sorted(to_list(value), key=lambda item: _order(_key(item, name)))


def sort_natural(value: object, name: object = None) -> list[object]:
    """The items in the order of their texts, capital letters or not."""
    return sorted(to_list(value), key=lambda item: to_text(_key(item, name)).casefold())


def uniq(value: object, name: object = None) -> list[object]:
    """The items without those that came before, by one of their fields if it is named."""
    seen: dict[object, object] = {}
    for item in to_list(value):
        key = _key(item, name)
        seen.setdefault((type(key), key), item)
    return list(seen.values())


def compact(value: object, name: object = None) -> list[object]:
    """The items that are there, or whose field is."""
    return [item for item in to_list(value) if _key(item, name) is not None]


def sum_(value: object, name: object = None) -> object:
    """The sum of the items, or of one of their fields."""
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


def _matches(found: object, wanted: object) -> bool:
    return found == wanted if wanted is not None else found not in (None, False)


def _order(key: object) -> tuple[int, object]:
    """Numbers before texts before everything else: whatever the items are, they have an order."""
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
"""The filters of this module by the names that templates use."""
