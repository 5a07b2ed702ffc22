"""How large a request may be, learned from what the server refused."""

from __future__ import annotations

from prefactor_recorder.delivery.bulk_items import encode_bulk

FRAME = len(encode_bulk(()))
"""Bytes of a request without items."""
TRUST = 64
"""Requests in a row that have to succeed before a size that was refused is tried again."""


class BatchLimits:
    """How many items, and how many bytes of them, a request may hold: learned from refusals.

    A size that the server refused is halved, and kept until the server has shown for a while that
    it is at ease. When one item alone was refused, the item was to blame and not the size.
    Trouble that is not a refusal may have its cause in one item too (it kills the server that reads
    it, or never ends): then the size is halved as well, and doubled by each success.
    """

    def __init__(self, items: int, size: int) -> None:
        """Begin with the most that is allowed.

        Args:
            items: Items.
            size: Bytes.
        """
        self._most_items, self._most_bytes = items, size
        self._accepted = self._steady = items
        self._bytes = size
        self._calm = 0

    @property
    def items(self) -> int:
        """Items of the next request at most."""
        return min(self._accepted, self._steady)

    @property
    def bytes(self) -> int:
        """Bytes of the next request at most, unless one item alone has more."""
        return self._bytes

    def refused(self, items: int) -> None:
        """A request of several items was refused for what it is."""
        self._accepted, self._calm = max(1, items // 2), 0

    def too_large(self, size: int, limit: int | None = None) -> None:
        """A request was refused for the bytes of its items, of which it had several.

        Args:
            size: The bytes.
            limit: Bytes of a request that the server takes, if it said so.
        """
        if limit is not None and 0 < limit < size + FRAME:
            self._most_bytes = min(self._most_bytes, limit)
            self._bytes, self._calm = self._most_bytes, 0
        else:
            self._bytes, self._calm = size // 2 + FRAME, 0

    def troubled(self, items: int) -> None:
        """The server has failed on a request of several items, and not for the first time."""
        self._steady = max(1, items // 2)

    def singled_out(self) -> None:
        """The item to blame was found."""
        self._accepted = self._steady = self._most_items

    def succeeded(self) -> None:
        """A request was answered as it should be."""
        self._steady = min(self._steady * 2, self._most_items)
        self._calm += 1
        if self._calm >= TRUST:
            self._calm = 0
            self._accepted = min(self._accepted * 2, self._most_items)
            self._bytes = min(self._bytes * 2, self._most_bytes)
