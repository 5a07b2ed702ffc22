"""The text of a span that is searched: its summary, and the values in its payload and result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

MAX_TEXT_BYTES: Final = 64 * 1024
"""The most of a span's text that is searched."""

_MARK: Final = "$sensitive"
_MAX_DEPTH: Final = 200


class SpanText(NamedTuple):
    """The first 64 KiB of a span's text; ``is_cut`` if there was more."""

    text: str
    is_cut: bool


def span_text(summary: str | None, *payloads: object) -> SpanText:
    """Return the text of a span, without member names and sensitive values."""
    pieces: list[str] = []
    _add((summary, *payloads), pieces, MAX_TEXT_BYTES + 1, 0)
    text = "\n".join(pieces)
    # The most common case. An ASCII text has as many bytes as characters.
    if text.isascii() and len(text) <= MAX_TEXT_BYTES:
        return SpanText(text, is_cut=False)
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return SpanText(encoded.decode(), is_cut=False)
    return SpanText(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"), is_cut=True)


def _add(values: Iterable[Any], pieces: list[str], room: int, depth: int) -> int:
    """Add the texts in values; return how many more characters fit, negative if too many.

    Runs for every value of every span, so common types come first, and a text needs no call.
    """
    for value in values:
        if room < 0:
            break
        kind: type[Any] = value.__class__
        if kind is str:
            # A character has at least one byte, so this keeps all characters within the limit.
            text = value[: MAX_TEXT_BYTES + 1]
        elif value is None or kind is bool or depth > _MAX_DEPTH:
            continue
        elif kind is dict or kind is list:
            room = _add(_members(value), pieces, room, depth + 1)
            continue
        else:
            text = str(value)
        if text:
            pieces.append(text)
            room -= len(text) + 1
    return room


def _members(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    """Return the members of a list or an object, or nothing if it is marked as sensitive."""
    if isinstance(value, list):
        return value
    return () if _MARK in value else value.values()
