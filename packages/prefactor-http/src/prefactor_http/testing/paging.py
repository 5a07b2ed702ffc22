"""Pages of the fake API: their rows, order and pagination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http.testing.store import field_error, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prefactor_http.testing.store import JsonObject

_DEFAULT_SIZE = 20
_LARGEST_SIZE = 100


def page(rows: Iterable[JsonObject], query: Mapping[str, str]) -> JsonObject:
    """Return the requested page of `rows`, as the body of a list response."""
    field, direction = _sorting(query)
    offset = _number(query, "pagination[offset]", 0, range(1 << 31))
    size = _number(query, "pagination[page_size]", _DEFAULT_SIZE, range(1, _LARGEST_SIZE + 1))
    ordered = sorted(rows, key=lambda row: str(row.get(field) or ""), reverse=direction == "desc")
    if ordered and field not in ordered[0]:
        raise invalid({"sorting": field_error("invalid_value", f"cannot sort by {field}")})
    summaries = ordered[offset : offset + size]
    return {
        "summaries": summaries,
        "pagination": _pagination(len(ordered), len(summaries), offset, size),
        "sorting": {"field": field, "direction": direction},
    }


def _pagination(total: int, shown: int, offset: int, size: int) -> JsonObject:
    return {
        "item_count": total,
        "item_count_is_exact": True,
        "item_start": offset + 1 if shown else 0,
        "item_end": offset + shown if shown else 0,
        "page_count": -(-total // size),
        "page_index": offset // size + 1,
        "page_offset": offset,
        "page_size": size,
        "next_page_offset": offset + size if offset + size < total else None,
        "previous_page_offset": max(offset - size, 0) if offset else None,
    }


def _sorting(query: Mapping[str, str]) -> tuple[str, str]:
    bare = query.get("sorting")
    if bare:
        return bare.removeprefix("-"), "desc" if bare.startswith("-") else "asc"
    return query.get("sorting[field]", "id"), query.get("sorting[direction]", "asc")


def _number(query: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    text = query.get(name, str(default))
    if text.isdecimal() and int(text) in allowed:
        return int(text)
    message = f"must be a number between {allowed[0]} and {allowed[-1]}"
    raise invalid({name: field_error("invalid_value", message)})
