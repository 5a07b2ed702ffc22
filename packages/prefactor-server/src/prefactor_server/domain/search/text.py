"""The text of a span that is searched: its summary, and the values in its payload and result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

MAX_TEXT_BYTES: Final = 64 * 1024
"""How much of a span's text is searched."""

_MARK: Final = "$sensitive"
_MAX_DEPTH: Final = 200


class SpanText(NamedTuple):
    """The first 64 KiB of a span's text; ``is_cut`` when there was more."""

    text: str
    is_cut: bool


def span_text(summary: str | None, *payloads: object) -> SpanText:
    """Return the text of a span.

    Names of members are no text, and no part of a value that is marked as sensitive is.
    """
    pieces: list[str] = []
    size = 0
    for piece in _pieces(summary, payloads):
        # A character has at most four bytes: what is cut here is cut below as well.
        part = piece[: MAX_TEXT_BYTES + 1]
        pieces.append(part)
        size += len(part) + 1
        if size > MAX_TEXT_BYTES + 1:
            break
    encoded = "\n".join(pieces).encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return SpanText(encoded.decode(), is_cut=False)
    return SpanText(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"), is_cut=True)


def _pieces(summary: str | None, payloads: tuple[object, ...]) -> Iterator[str]:
    if summary:
        yield summary
    for payload in payloads:
        yield from _values(payload, 0)


def _values(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, bool) or value is None or depth > _MAX_DEPTH:
        return
    elif isinstance(value, dict):
        members = cast("dict[str, object]", value)
        if _MARK not in members:
            for member in members.values():
                yield from _values(member, depth + 1)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            yield from _values(entry, depth + 1)
    else:
        yield str(value)
