"""Filters on texts. Arguments and results have at most 4,096 characters."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Final, cast
from urllib.parse import quote_plus, unquote_plus

from prefactor_server.validation.liquid.sandbox import MAX_TEXT, LimitReached, to_text

_TAG: Final = re.compile(r"<[^<>]*>")
_LINE_END: Final = re.compile(r"\r?\n")
_MAX_SIZE: Final = 1 << 31


def append(value: object, more: object) -> str:
    """Return the value followed by another."""
    text, tail = to_text(value), to_text(more)
    _fits(len(text) + len(tail))
    return text + tail


def prepend(value: object, more: object) -> str:
    """Return the value preceded by another."""
    return append(more, value)


def replace(value: object, old: object, new: object = "") -> str:
    """Replace every occurrence of a text."""
    text, before, after = to_text(value), to_text(old), to_text(new)
    _fits(len(text) + text.count(before) * (len(after) - len(before)))
    return text.replace(before, after)


def replace_first(value: object, old: object, new: object = "") -> str:
    """Replace the first occurrence of a text."""
    before, found, after = to_text(value).partition(to_text(old))
    return append(append(before, new), after) if found else before


def replace_last(value: object, old: object, new: object = "") -> str:
    """Replace the last occurrence of a text."""
    before, found, after = to_text(value).rpartition(to_text(old))
    return append(append(before, new), after) if found else after


def remove(value: object, old: object) -> str:
    """Remove every occurrence of a text."""
    return replace(value, old)


def remove_first(value: object, old: object) -> str:
    """Remove the first occurrence of a text."""
    return replace_first(value, old)


def remove_last(value: object, old: object) -> str:
    """Remove the last occurrence of a text."""
    return replace_last(value, old)


def truncate(value: object, length: object = 50, end: object = "...") -> str:
    """Cut the value to a number of characters, which includes the ending."""
    text, tail = to_text(value), to_text(end)
    size = to_integer(length)
    if len(text) <= size:
        return text
    return text[: max(size - len(tail), 0)] + tail


def truncatewords(value: object, words: object = 15, end: object = "...") -> str:
    """Cut the value to a number of words."""
    found = to_text(value).split()
    size = max(to_integer(words), 1)
    if len(found) <= size:
        return to_text(value)
    return " ".join(found[:size]) + to_text(end)


def split(value: object, separator: object = " ") -> list[str]:
    """Split the value at a separator, or into its characters if the separator is empty."""
    text, mark = to_text(value), to_text(separator)
    if not mark:
        return list(text)
    if not text or text == mark:
        return []
    return text.split(None if mark == " " else mark)


def slice_(value: object, start: object, length: object = 1) -> object:
    """Return a range of characters or items. A negative start counts from the end."""
    sequence = cast("list[object]", value) if isinstance(value, list) else to_text(value)
    first = to_integer(start)
    first = first + len(sequence) if first < 0 else first
    return sequence[first : first + max(to_integer(length), 0)] if first >= 0 else sequence[:0]


def to_integer(value: object) -> int:
    """Convert an argument that counts something to an integer of reasonable size.

    Raises:
        ValueError: it is not a number.
        TypeError: it cannot be converted to one.
    """
    if isinstance(value, str):
        value = float(value[:40])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return max(-_MAX_SIZE, min(int(value), _MAX_SIZE))


def _fits(size: int) -> None:
    if size > MAX_TEXT:
        raise LimitReached("a filter would produce too long a text")


# These take only the value, and produce a text that is at most twelve times as long (a character
# becomes `%F0%9F%98%80`).
PLAIN_TEXT_FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "capitalize": str.capitalize,
    "downcase": str.lower,
    "upcase": str.upper,
    "strip": str.strip,
    "lstrip": str.lstrip,
    "rstrip": str.rstrip,
    "squish": lambda text: " ".join(text.split()),
    "strip_newlines": lambda text: _LINE_END.sub("", text),
    "newline_to_br": lambda text: _LINE_END.sub("<br />\n", text),
    "strip_html": lambda text: _TAG.sub("", text),
    "escape": html.escape,
    "escape_once": lambda text: html.escape(html.unescape(text)),
    "url_encode": lambda text: quote_plus(text, errors="replace"),
    "url_decode": unquote_plus,
}


STEPS_PER_CHARACTER: Final[Mapping[str, float]] = {
    "escape": 0.1,
    "escape_once": 0.5,
    "newline_to_br": 0.4,
    "replace": 0.05,
    "squish": 0.05,
    "strip_html": 0.1,
    "strip_newlines": 0.1,
    "truncatewords": 0.05,
    "url_decode": 2.0,
    "url_encode": 0.6,
}
"""The measured cost per character of costly filters."""


def _on_text(change: Callable[[str], str]) -> Callable[[object], object]:
    return lambda value: change(to_text(value))


TEXT_FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    **{name: _on_text(change) for name, change in PLAIN_TEXT_FILTERS.items()},
    "append": append,
    "prepend": prepend,
    "replace": replace,
    "replace_first": replace_first,
    "replace_last": replace_last,
    "remove": remove,
    "remove_first": remove_first,
    "remove_last": remove_last,
    "truncate": truncate,
    "truncatewords": truncatewords,
    "split": split,
    "slice": slice_,
}
"""The filters of this module by their names in templates."""
