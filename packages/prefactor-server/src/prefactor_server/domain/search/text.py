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


def span_text(*values: object) -> SpanText:
    """Return the text of a span's summary and payloads, without member names and sensitive values.

    None stands for a missing value.
    """
    pieces: list[str] = []
    _add(values, pieces, 0)
    text = "\n".join(pieces)
    # The most common case. An ASCII text has as many bytes as characters.
    if len(text) <= MAX_TEXT_BYTES and text.isascii():
        return SpanText(text, is_cut=False)
    # A character has at least one byte, so this keeps all characters within the limit.
    encoded = text[: MAX_TEXT_BYTES + 1].encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return SpanText(encoded.decode(), is_cut=False)
    return SpanText(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"), is_cut=True)


def _add(values: Iterable[Any], pieces: list[str], depth: int) -> None:
    """Add the texts in values, except for what is marked as sensitive.

    Runs for every value of every span, so common types come first, and a text needs no call.
    Texts are in memory already. Numbers become texts here, so their number is limited.
    """
    if len(pieces) > MAX_TEXT_BYTES or depth > _MAX_DEPTH:
        return
    for value in values:
        kind: type[Any] = value.__class__
        if kind is str:
            if value:
                pieces.append(value)
        elif kind is dict:
            if _MARK not in value:
                _add(value.values(), pieces, depth + 1)
        elif kind is list:
            _add(value, pieces, depth + 1)
        elif kind is int or kind is float:
            pieces.append(str(value))
            if len(pieces) > MAX_TEXT_BYTES:
                break
