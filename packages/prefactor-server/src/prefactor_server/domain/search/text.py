"""The text of a span that is searched: its summary, and the values in its payload and result."""

from __future__ import annotations

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
    pieces = _Pieces()
    pieces.add(summary, 0)
    for payload in payloads:
        pieces.add(payload, 0)
    text = "\n".join(pieces)
    # Most texts are, and have as many bytes as characters.
    if text.isascii() and len(text) <= MAX_TEXT_BYTES:
        return SpanText(text, is_cut=False)
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return SpanText(encoded.decode(), is_cut=False)
    return SpanText(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"), is_cut=True)


class _Pieces(list[str]):
    """The values in payloads, up to one that is more than is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._room = MAX_TEXT_BYTES + 1

    def add(self, value: object, depth: int) -> None:
        """Add the texts in a value. It is called for every value, so common kinds come first."""
        if isinstance(value, str):
            if value and self._room >= 0:
                # A character has at least one byte, so nothing is lost that would be kept later.
                part = value[: MAX_TEXT_BYTES + 1]
                self.append(part)
                self._room -= len(part) + 1
        elif isinstance(value, bool) or value is None or depth > _MAX_DEPTH or self._room < 0:
            return
        elif isinstance(value, dict):
            members = cast("dict[str, object]", value)
            if _MARK not in members:
                for member in members.values():
                    self.add(member, depth + 1)
        elif isinstance(value, list):
            for entry in cast("list[object]", value):
                self.add(entry, depth + 1)
        else:
            self.add(str(value), depth)
