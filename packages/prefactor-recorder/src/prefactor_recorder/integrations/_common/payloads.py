"""Helpers for payloads and results: merging text, walking values, the payload of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefactor_otel.json_values import without_secrets

MAX_CHARACTERS = 1_000_000
"""Maximum characters recorded of a streamed response."""
MAX_PARTS = 1_000
"""Maximum choices, tool calls or blocks recorded of a streamed response."""
CUT = "stream_truncated"
"""The member of a merged response that says it is truncated."""
MAX_DEPTH = 32
"""Maximum nesting of a value."""
MAX_CONTAINERS = 100_000
"""Maximum containers in a value. One that occurs in several places counts in each."""
OMITTED = "..."
"""Replaces a container beyond these limits, or inside itself."""


class Walk:
    """The containers around a part of a value, and how many more are visited.

    Without a limit, a list of two references to a list of two references, and so on, would be
    visited a number of times that is exponential in its depth.
    """

    __slots__ = ("_around", "_left")

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._left = MAX_CONTAINERS

    def enter(self, container: Any) -> bool:
        """Enter a container, to be left again. Return False if it is to be omitted."""
        if id(container) in self._around or len(self._around) > MAX_DEPTH or self._left <= 0:
            return False
        self._left -= 1
        self._around.add(id(container))
        return True

    def leave(self, container: Any) -> None:
        """Leave a container that was entered."""
        self._around.discard(id(container))


class SizeBudget:
    """The remaining size budget of one stream, shared by its parts."""

    __slots__ = ("cut", "left", "parts")

    def __init__(self) -> None:
        self.left = MAX_CHARACTERS
        self.parts = MAX_PARTS
        self.cut = False
        """Whether anything was left out."""

    def part(self) -> bool:
        """Reserve room for a choice, tool call or block. Return False if there is none."""
        self.parts -= 1
        self.cut = self.cut or self.parts < 0
        return self.parts >= 0

    def mark(self) -> dict[str, bool]:
        """Return the members that mark a truncated response, or no members."""
        return {CUT: True} if self.cut else {}


class Text:
    """A text that arrives in chunks."""

    __slots__ = ("_budget", "_pieces")

    def __init__(self, budget: SizeBudget) -> None:
        self._budget = budget
        self._pieces: list[str] = []

    def add(self, piece: Any) -> bool:
        """Add a chunk. Return False if it is empty or not text."""
        if not isinstance(piece, str) or not piece:
            return False
        budget = self._budget
        if len(piece) > budget.left:
            budget.cut = True
            piece = piece[: budget.left]
        budget.left -= len(piece)
        self._pieces.append(piece)
        return True

    def __str__(self) -> str:
        return "".join(self._pieces)

    def __bool__(self) -> bool:
        return bool(self._pieces)


def part(parts: dict[Any, Any], key: Any, budget: SizeBudget, make: Any) -> Any:
    """Return the part with this key, creating it if the budget allows, else None."""
    if key not in parts:
        if not budget.part():
            return None
        parts[key] = make()
    return parts[key]


def request_payload(body: Mapping[str, Any], *inputs: str) -> dict[str, Any]:
    """Return the payload for a request: model, tools, the named inputs, and other parameters."""
    named = ("model", *inputs, "tools", "mcp_servers")
    kept = {name: body[name] for name in named if body.get(name) is not None}
    for name in ("tools", "mcp_servers"):
        if name in kept:
            kept[name] = without_secrets(kept[name])
    parameters = {name: value for name, value in body.items() if name not in named}
    return {**kept, "parameters": parameters} if parameters else kept
