"""The search index in a table of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.search.index import (
    MAX_SPANS,
    NAME,
    Match,
    Matches,
    SearchDocument,
    first_of_each_run,
)
from prefactor_server.domain.search.text import SpanText
from prefactor_server.domain.search.words import Term, words_in
from prefactor_server.storage.feed import ConsumerState, Deleted
from prefactor_server.storage.postgres.connection import ReadPool
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.feed import PostgresFeed
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "search.sql")


class PostgresSearch:
    """See ``SearchIndex``. Its state is stored with those of the feed's other consumers."""

    def __init__(self, reading: ReadPool, feed: PostgresFeed) -> None:
        self._reading = reading
        self._feed = feed

    @property
    def store(self) -> None:
        """See ``SearchIndex.store``: the words are in the database."""
        return

    def document(
        self, key: tuple[str, str, str], text: SpanText, scopes: tuple[str, ...]
    ) -> SearchDocument:
        """See ``SearchIndex.document``: with distinct words, separated by spaces."""
        words = " ".join(sorted(words_in(text.text).union(scopes)))
        return SearchDocument(*key, text.is_cut, words)

    async def find(self, account_id: str, terms: Sequence[Term], scopes: Sequence[str]) -> Matches:
        """See ``SearchIndex.find``."""
        query = _query(terms, scopes)

        async def find(connection: Connection) -> Matches:
            async with connection.transaction():
                await connection.execute(_SQL["search.bound"])
                await connection.execute(_SQL["search.by_index"])
                found = await connection.fetch(_SQL["search.find"], account_id, query, MAX_SPANS)
            return first_of_each_run(Match(*record) for record in found)

        return await self._reading.run(find)

    async def state(self) -> ConsumerState | None:
        """See ``SearchIndex.state``."""
        return (await self._feed.states()).get(NAME)

    async def some(self, limit: int) -> Sequence[Deleted]:
        """See ``SearchIndex.some``."""
        return await self._feed.some(SearchDocument, limit)


def _query(terms: Sequence[Term], scopes: Sequence[str]) -> str:
    """Return the query as a tsquery. Words of letters and digits contain no operators."""
    words = [f"'{term.word}'{':*' if term.is_prefix else ''}" for term in terms]
    return " & ".join([*words, *(f"'{scope}'" for scope in scopes)])
