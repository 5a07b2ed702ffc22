"""What an operator does to a whole database, beside the batches and the reads of the API."""

from __future__ import annotations

from typing import Protocol


class Maintenance(Protocol):
    """The maintenance of one database, across all of its accounts.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot do it now.
    """

    async def check_writable(self) -> None:
        """Return when a write would be taken now; nothing is written."""
        ...
