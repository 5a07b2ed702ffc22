"""Truncates the largest fields of a payload that is too large, and marks it.

Only sizes matter, so the same payload is always truncated in the same way. Long texts are shortened
first, all to the same length, so that the longest lose the most and short ones nothing: a prompt
with half of a document still shows what the call was about. Lists and objects lose their last
members only if that is not enough, as with millions of small items.
"""

from __future__ import annotations

from typing import Any, cast

import orjson

MARK = "prefactor.truncated"
"""The member that marks a truncated payload: `{"original_size": bytes, "fields": [path, …]}`, and
`more`, the number of fields that did not fit."""
SHORTEST_TEXT = 512
"""Bytes kept of each text before lists and objects are truncated."""
SMALLEST_SHARE = 64
"""Bytes below which a member is dropped entirely, because so short a beginning is useless."""
MAX_DEPTH = 32
"""Levels that are truncated member by member. A container below them is emptied."""
MAX_PATH = 120
"""Maximum characters of a path in the mark."""
_ELLIPSIS = "…"
_MARK_ROOM = 2048
_SMALLEST_MARK = 120

Container = dict[str, Any] | list[Any]
Path = tuple["Path | None", "str | int"]
"""A path as a chain from the inside out, so that members of one container share its links."""


def truncate(payload: bytes, limit: int) -> bytes:
    """Truncate a payload (an encoded JSON object) to at most `limit` bytes.

    The member `MARK` names what was truncated. Its `original_size` is the size before the first
    truncation, even after several. Below about 120 bytes there is no room for the mark, and the
    result is an empty object.
    """
    if len(payload) <= limit:
        return payload
    value: dict[str, Any] = orjson.loads(payload)
    size, fields, more = _earlier(value.pop(MARK, None), len(payload))
    room = max_mark_size(limit)
    budget = limit - room
    if budget < len("{}"):
        return b"{}"
    truncator = _Truncator(value)
    truncator.shorten_texts(len(orjson.dumps(value)) - budget)
    if len(orjson.dumps(value)) > budget:
        truncator.fit(value, budget, None, 0)
    value[MARK] = _mark(size, [*fields, *truncator.places], more, room)
    return orjson.dumps(value)


def add_mark(
    payload: dict[str, Any], places: list[Path | None], size: int, limit: int, prefix: str
) -> dict[str, Any]:
    """Return a copied payload with a mark that names what the copy omits.

    Args:
        payload: The copy.
        places: The paths at which something is missing.
        size: A lower bound of the original size in bytes.
        limit: Maximum size of the payload in bytes.
        prefix: The member that the paths are relative to; empty for the payload itself.
    """
    members = {name: member for name, member in payload.items() if name != MARK}
    size, fields, more = _earlier(payload.get(MARK), size)
    return {**members, MARK: _mark(size, [*fields, *places], more, max_mark_size(limit), prefix)}


def max_mark_size(limit: int) -> int:
    """Return the maximum size of the mark in a payload of at most `limit` bytes."""
    return max(_SMALLEST_MARK, min(_MARK_ROOM, limit // 4))


def _earlier(mark: Any, size: int) -> tuple[int, list[str], int]:
    """Return the original size, the fields and the number of unnamed fields of an earlier mark."""
    match mark:
        case {"original_size": int(original), "fields": [*fields], **rest}:
            more: Any = cast("dict[str, Any]", rest).get("more", 0)
            texts = [text for text in fields if isinstance(text, str)]
            return max(original, size), texts, more if isinstance(more, int) else 0
        case _:
            return size, [], 0


def _mark(
    size: int, places: list[Path | str | None], more: int, room: int, prefix: str = ""
) -> dict[str, Any]:
    """Return a mark with as many paths as fit into `room` bytes, including its key."""
    left = room - _SMALLEST_MARK
    names: dict[str, None] = {}
    for done, place in enumerate(places):
        name = place if isinstance(place, str) else _name(place, prefix)
        if name in names:
            continue
        left -= len(orjson.dumps(name)) + 1
        if left < 0:
            more += len(places) - done
            break
        names[name] = None
    return {"original_size": size, "fields": list(names)} | ({"more": more} if more else {})


class _Truncator:
    """Truncates one decoded payload in place and records the paths."""

    def __init__(self, value: Container) -> None:
        self.places: dict[Path | None, None] = {}
        self._value = value

    def shorten_texts(self, excess: int) -> None:
        """Shorten the longest texts to one length, by `excess` bytes in total if possible."""
        texts = [found for found in self._texts() if found[0] > SHORTEST_TEXT]
        length = _text_limit([size for size, *_ in texts], excess)
        for size, container, place in texts:
            if size > length:
                container[place[1]] = truncate_text(container[place[1]], length)
                self.places[place] = None

    def _texts(self) -> list[tuple[int, Any, Path]]:
        """Return the size, the container and the path of every text that may be long."""
        found: list[tuple[int, Any, Path]] = []
        # An explicit stack, because the nesting may exceed Python's recursion limit.
        waiting: list[tuple[Container, Path | None]] = [(self._value, None)]
        while waiting:
            container, above = waiting.pop()
            for key, member in _members(container):
                if isinstance(member, str):
                    # One character is one to six bytes as JSON.
                    if len(member) * 6 > SHORTEST_TEXT:
                        found.append((len(orjson.dumps(member)), container, (above, key)))
                elif isinstance(member, dict | list):
                    waiting.append((cast("Container", member), (above, key)))
        return found

    def fit(self, container: Container, budget: int, place: Path | None, depth: int) -> None:
        """Truncate a container to `budget` bytes (at least two), its largest members first."""
        if depth == MAX_DEPTH:
            container.clear()
            self.places[place] = None
            return
        members = _members(container)
        bare = map(len, map(orjson.dumps, (member for _, member in members)))
        sizes = [_key_size(key) + size + 1 for (key, _), size in zip(members, bare, strict=True)]
        # Two brackets, and a comma after each member except the last.
        room = budget + 1 - len("[]")
        kept = self._drop_excess(container, members, sizes, room, place)
        members, sizes = members[:kept], sizes[:kept]
        share = fair_share(sizes, room)
        for (key, member), size in zip(members, sizes, strict=True):
            if size > share:
                self._shrink(container, member, share - _key_size(key) - 1, (place, key), depth)

    def _drop_excess(
        self,
        container: Container,
        members: list[tuple[Any, Any]],
        sizes: list[int],
        room: int,
        place: Path | None,
    ) -> int:
        """Drop members from the end until each gets a useful share. Return how many are left."""
        needed = kept = 0
        for size in sizes:
            needed += min(size, SMALLEST_SHARE)
            if needed > room:
                break
            kept += 1
        if kept < len(members):
            self.places[place] = None
            if isinstance(container, list):
                del container[kept:]
            else:
                for key, _ in members[kept:]:
                    del container[key]
        return kept

    def _shrink(
        self, container: Container, member: Any, budget: int, place: Path, depth: int
    ) -> None:
        self.places[place] = None
        holder, key = cast("Any", container), place[1]
        if isinstance(member, str) and budget > len(orjson.dumps(_ELLIPSIS)):
            holder[key] = truncate_text(member, budget)
        elif isinstance(member, dict | list) and budget >= len("[]"):
            del self.places[place]
            self.fit(cast("Container", member), budget, place, depth + 1)
        else:  # the share is too small for the name and a value
            del holder[key]


def _members(container: Container) -> list[tuple[Any, Any]]:
    return list(container.items() if isinstance(container, dict) else enumerate(container))


def _key_size(key: str | int) -> int:
    """Return the bytes of a member's name and its colon; 0 in a list."""
    return len(orjson.dumps(key)) + 1 if isinstance(key, str) else 0


def _text_limit(sizes: list[int], excess: int) -> int:
    """Return the length that removes `excess` bytes from texts, at least `SHORTEST_TEXT`."""
    return max(fair_share(sizes, sum(sizes) - excess), SHORTEST_TEXT)


def fair_share(sizes: list[int], room: int) -> int:
    """Return the largest cap at which all sizes, each lowered to the cap, fit into `room`."""
    left = room
    ordered = sorted(sizes)
    for place, size in enumerate(ordered):
        share = left // (len(ordered) - place)
        if size > share:
            return max(share, 0)
        left -= size
    return max(ordered, default=0)


def truncate_text(text: str, size: int) -> str:
    """Return the beginning of a text and an ellipsis, in at most `size` bytes of JSON.

    It truncates the encoded text, because the limit is in bytes. If that splits a character or an
    escape sequence (at most six bytes), it steps back until the rest is valid JSON.
    """
    encoded = orjson.dumps(text)
    end = size - len(orjson.dumps(_ELLIPSIS)) + 1
    while end > 1:
        try:
            return cast("str", orjson.loads(encoded[:end] + b'"')) + _ELLIPSIS
        except orjson.JSONDecodeError:
            end -= 1
    return _ELLIPSIS


def _name(place: Path | None, prefix: str = "") -> str:
    """Return a path as text, such as `messages[3].content`; `$` is the payload itself."""
    links: list[str | int] = []
    while place is not None:
        place, link = place
        links.append(link)
    text = prefix
    for link in reversed(links):
        if isinstance(link, int):
            text += f"[{link}]"
        else:
            text += f".{link}" if text else link
    text = text or "$"
    return text if len(text) <= MAX_PATH else text[: MAX_PATH - 1] + _ELLIPSIS
