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
    _add((summary, *payloads), pieces, 0)
    # A character has at least one byte, so this keeps all characters within the limit.
    text = "\n".join(pieces)[: MAX_TEXT_BYTES + 1]
    # The most common case. An ASCII text has as many bytes as characters.
    if text.isascii() and len(text) <= MAX_TEXT_BYTES:
        return SpanText(text, is_cut=False)
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return SpanText(encoded.decode(), is_cut=False)
    return SpanText(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"), is_cut=True)


def _add(values: Iterable[Any], pieces: list[str], depth: int) -> None:
    """Add the texts in values, except for what is marked as sensitive.

    Runs for every value of every span, so common types come first, and a text needs no call.
    Texts are in memory already. Numbers become texts here, so their number is limited.
    """
    if len(pieces) > MAX_TEXT_BYTES:
        return
    for value in values:
        kind: type[Any] = value.__class__
        if kind is str:
            if value:
                pieces.append(value)
        elif value is None or kind is bool or depth > _MAX_DEPTH:
            continue
        elif kind is dict:
            if _MARK not in value:
                _add(value.values(), pieces, depth + 1)
        elif kind is list:
            _add(value, pieces, depth + 1)
        else:
            pieces.append(str(value))
            if len(pieces) > MAX_TEXT_BYTES:
                break
