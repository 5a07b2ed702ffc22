"""The search index: the spans that contain each word.

It is derived from the change feed. SQLite keeps it in a separate file, PostgreSQL in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from prefactor_server.domain.search.index import Matches
from prefactor_server.domain.search.text import SpanText
from prefactor_server.domain.search.words import Term
from prefactor_server.storage.feed import ConsumerState, Deleted, StateStore


class SearchIndex(Protocol):
    """The search index of one database.

    Raises from every method:
        Unavailable: the index cannot be read now.
    """

    @property
    def store(self) -> StateStore | None:
        """The store of the words, if they are not in the database itself."""
        ...

    def document(
        self, key: tuple[str, str, str], text: SpanText, scopes: tuple[str, ...]
    ) -> tuple[Any, ...]:
        """Return the row that indexes a span by the words of its text and its scopes.

        The row begins with ``key``, the ids of the account, the run and the span.
        """
        ...

    async def find(self, account_id: str, terms: Sequence[Term], scopes: Sequence[str]) -> Matches:
        """Return the runs with a span that has all terms and the words of all scopes."""
        ...

    async def state(self) -> ConsumerState | None:
        """Return the progress of the index, or None before it has started."""
        ...

    async def some(self, limit: int) -> Sequence[Deleted]:
        """Return deletions of some rows of the index."""
        ...
