"""The index of words: which spans have them.

It is derived from the change feed. A database file keeps it in a file beside it, a database server
in a table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from prefactor_server.domain.search.index import Matches
from prefactor_server.domain.search.words import Term
from prefactor_server.storage.feed import ConsumerState, Deleted, Derived


class SearchStore(Protocol):
    """Where the words are, with how far they have followed the feed: not in the database."""

    async def states(self) -> Mapping[str, ConsumerState]:
        """See ``Feed.states``."""
        ...

    async def begin(self, state: ConsumerState) -> ConsumerState:
        """See ``Feed.begin``."""
        ...

    async def advance(
        self, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        """See ``Feed.advance``."""
        ...


class SearchIndex(Protocol):
    """The words of one database.

    Raises from every method:
        Unavailable: the index cannot be read now.
    """

    @property
    def store(self) -> SearchStore | None:
        """Where the words are, if not in the database itself."""
        ...

    def words(self, text: str, scopes: Collection[str]) -> str:
        """Return a text with the words of its scopes, as ``SearchDocument.words``."""
        ...

    async def find(self, account_id: str, terms: Sequence[Term], scopes: Sequence[str]) -> Matches:
        """Return the runs with a span that has all terms and the words of all scopes."""
        ...

    async def state(self) -> ConsumerState | None:
        """Return how far the index is; None before it has begun."""
        ...

    async def some(self, limit: int) -> Sequence[Deleted]:
        """Return the deletions of some of what is in it."""
        ...
