"""Limits on the size of requests, learned from the server's rejections."""

from __future__ import annotations

from prefactor_recorder.delivery.bulk_items import encode_bulk

FRAME = len(encode_bulk(()))
"""Bytes of a request without items."""
TRUST = 64
"""Consecutive successful requests before a rejected size is tried again."""


class BatchLimits:
    """The maximum items and bytes of a request, learned from rejections.

    A size that the server rejected is halved, and kept until the server has accepted requests for a
    while. If a single item was rejected, the item is to blame and not the size. A failure without a
    rejection may also be caused by one item, which crashes the server or never finishes. The number
    of items is then halved as well, and doubled by each success.
    """

    def __init__(self, items: int, size: int) -> None:
        """Begin with the largest size.

        Args:
            items: Maximum items.
            size: Maximum bytes.
        """
        self._most_items, self._most_bytes = items, size
        self._accepted = self._steady = items
        self._bytes = size
        self._calm = 0

    @property
    def items(self) -> int:
        """Maximum items of the next request."""
        return min(self._accepted, self._steady)

    @property
    def bytes(self) -> int:
        """Maximum bytes of the next request, unless it has a single larger item."""
        return self._bytes

    def refused(self, items: int) -> None:
        """Record that a request of several items was rejected because of its content."""
        self._accepted, self._calm = max(1, items // 2), 0

    def too_large(self, size: int, limit: int | None = None) -> None:
        """Record that a request of several items was rejected because of its size.

        Args:
            size: The bytes of its items.
            limit: The server's limit for a request in bytes, if known.
        """
        if limit is not None and 0 < limit < size + FRAME:
            self._most_bytes = min(self._most_bytes, limit)
            self._bytes, self._calm = self._most_bytes, 0
        else:
            self._bytes, self._calm = size // 2 + FRAME, 0

    def troubled(self, items: int) -> None:
        """Record that the server has repeatedly failed on a request of several items."""
        self._steady = max(1, items // 2)

    def singled_out(self) -> None:
        """Record that a single item caused the failures, so that the limits may grow again."""
        self._accepted = self._steady = self._most_items

    def succeeded(self) -> None:
        """Record that a request succeeded."""
        self._steady = min(self._steady * 2, self._most_items)
        self._calm += 1
        if self._calm >= TRUST:
            self._calm = 0
            self._accepted = min(self._accepted * 2, self._most_items)
            self._bytes = min(self._bytes * 2, self._most_bytes)
