"""Text search: turns the text filter of a list into the runs that contain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.derived import DerivedState
from prefactor_server.domain.listing import Filter
from prefactor_server.domain.search.index import Match
from prefactor_server.domain.search.snippet import snippet
from prefactor_server.domain.search.text import span_text
from prefactor_server.domain.search.words import Term, scope_word, terms_of
from prefactor_server.queries.derived import DerivedQueries
from prefactor_server.storage.base import SpanTexts, Storage

TEXT = "text"
"""The name of the filter for text."""


class Found(NamedTuple):
    """The result of a search: a filter on runs, and their matches by run."""

    terms: Sequence[Term]
    filter: Filter
    matches: Mapping[str, Match]
    state: DerivedState
    complete: bool


class Shown(NamedTuple):
    """The match to show for a run. ``is_cut`` means that part of the span is not indexed."""

    span_id: str
    snippet: str
    is_cut: bool


class SearchQueries:
    """Searches for text."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._derived = DerivedQueries(storage)

    async def find(self, principal: Principal, filters: Sequence[Filter], now: int) -> Found | None:
        """Return the runs that contain the filters' text, or None if there is no such filter."""
        query = next((str(one.value) for one in filters if one.column == TEXT), None)
        if query is None:
            return None
        terms = terms_of(query)
        # Read before the index, so that the index is at least this fresh.
        state = await self._derived.of_search(now)
        matches = await self._storage.search.find(
            principal.account_id, terms, _scopes(principal, filters)
        )
        by_run = {match.agent_instance_id: match for match in matches.found}
        runs = Filter("id", "in", tuple(by_run))
        return Found(terms, runs, by_run, state, matches.complete)

    async def show(
        self, principal: Principal, found: Found, run_ids: Sequence[str]
    ) -> Mapping[str, Shown]:
        """Return the matches to show, by run. Spans that were deleted meanwhile are left out."""
        spans = {
            found.matches[run_id].span_id: found.matches[run_id]
            for run_id in run_ids
            if run_id in found.matches
        }

        def make(texts: SpanTexts) -> tuple[str, str, str | None]:
            return texts.id, texts.agent_instance_id, _snippet(texts, found.terms)

        # A span at a time, because payloads may have megabytes.
        snippets = await self._storage.facets.each_text(principal.account_id, tuple(spans), make)
        shown: dict[str, Shown] = {}
        for span_id, run_id, text in snippets:
            match = spans[span_id]
            if run_id == match.agent_instance_id and text is not None:
                shown[run_id] = Shown(span_id, text, match.is_cut)
        return shown


def with_found(filters: Sequence[Filter], found: Found) -> tuple[Filter, ...]:
    """Return the filters with the found runs in place of the text filter."""
    return (*(one for one in filters if one.column != TEXT), found.filter)


def _scopes(principal: Principal, filters: Sequence[Filter]) -> Sequence[str]:
    """Return the words that restrict a search to what the caller may see and filters by."""
    scopes = [scope_word("account", principal.account_id)]
    if principal.scope != "account":
        scopes.append(scope_word("agent", str(principal.agent_id)))
        scopes.append(scope_word("environment", str(principal.environment_id)))
    kinds = {"agent_id": "agent", "environment_id": "environment"}
    scopes += [
        scope_word(kinds[one.column], str(one.value))
        for one in filters
        if one.column in kinds and one.test == "="
    ]
    return tuple(dict.fromkeys(scopes))


def _snippet(texts: SpanTexts, terms: Sequence[Term]) -> str | None:
    payload, result = (
        None if document is None else msgspec.json.decode(document)
        for document in (texts.payload, texts.result)
    )
    text, _ = span_text(texts.summary, payload, result)
    return snippet(text, terms)
