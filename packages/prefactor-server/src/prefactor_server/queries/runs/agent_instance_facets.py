"""The facets of the list of runs: counts by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.domain.runs.agent_instance_facets import (
    FACETS,
    MAX_EXAMINED,
    MAX_METADATA_KEYS,
    MAX_TYPES,
    Facet,
    MetadataFacets,
    RunGroup,
    count_facets,
    matching_total,
    metadata_facets,
    top_values,
)
from prefactor_server.queries.search import Found, with_found
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import Storage

_AGENT: Final = "agent_id"
_TYPE: Final = "schema_name"
_KEY: Final = "metadata["


class RunFacets(NamedTuple):
    """The facets, the number of runs that pass all filters, and whether every run was counted."""

    facets: Mapping[str, Facet]
    metadata: MetadataFacets
    matching: int
    examined: int
    complete: bool


class AgentInstanceFacetsQueries:
    """Counts runs."""

    def __init__(self, storage: Storage) -> None:
        self._facets = storage.facets

    async def count(
        self, principal: Principal, filters: Sequence[Filter], found: Found | None = None
    ) -> RunFacets:
        """Count the newest runs that the caller may see, by the value of each facet.

        With a text filter, only the runs with that text are counted.
        """
        if found is not None:
            filters = with_found(filters, found)
        scope = scoped_to(principal, Listing()).filters
        chosen = [one for one in filters if one.column in FACETS]
        others = tuple(one for one in filters if one.column not in FACETS)
        allowed = {one.column: _allowed(one, chosen) for one in chosen}
        agents = tuple(one for one in chosen if one.column == _AGENT and one.test == "=")
        groups = await self._groups(principal, (*scope, *agents), others)
        facets = dict(count_facets(groups, allowed))
        if agents and not scope:
            # The runs of one agent contain no other agents.
            all_agents = await self._groups(principal, scope, others)
            facets[_AGENT] = count_facets(all_agents, allowed)[_AGENT]
        types = await self._types(principal, (*scope, *agents), filters)
        facets[_TYPE] = top_values(types)
        metadata = await self._metadata(principal, (*scope, *agents), filters)
        examined = sum(group.examined for group in groups)
        complete = (
            examined < MAX_EXAMINED
            and sum(types.values()) < MAX_TYPES
            and (found is None or found.complete)
        )
        return RunFacets(facets, metadata, matching_total(groups, allowed), examined, complete)

    async def _types(
        self, principal: Principal, within: Sequence[Filter], filters: Sequence[Filter]
    ) -> Mapping[str, int]:
        others = tuple(one for one in filters if one.column != _TYPE and one not in within)
        return await self._facets.span_types(principal.account_id, within, others, MAX_EXAMINED)

    async def _metadata(
        self, principal: Principal, within: Sequence[Filter], filters: Sequence[Filter]
    ) -> MetadataFacets:
        others = [one for one in filters if one not in within]
        found = dict(await self._metadata_of(principal, within, others))
        for column in dict.fromkeys(one.column for one in others if one.column.startswith(_KEY)):
            # A facet shows the alternatives to its own filter, which would leave only one text.
            key = column.removeprefix(_KEY).removesuffix("]")
            rest = [one for one in others if one.column != column]
            facet = (await self._metadata_of(principal, within, rest, key)).get(key)
            if facet is not None:
                found[key] = facet
        shown = dict(list(found.items())[:MAX_METADATA_KEYS])
        return MetadataFacets(shown, len(found) - len(shown))

    async def _metadata_of(
        self,
        principal: Principal,
        within: Sequence[Filter],
        others: Sequence[Filter],
        key: str | None = None,
    ) -> Mapping[str, Facet]:
        return metadata_facets(
            await self._facets.metadata_counts(
                principal.account_id, within, others, MAX_EXAMINED, key=key
            )
        )

    async def _groups(
        self, principal: Principal, within: Sequence[Filter], others: Sequence[Filter]
    ) -> Sequence[RunGroup]:
        return await self._facets.run_groups(principal.account_id, within, others, MAX_EXAMINED)


def _allowed(one: Filter, chosen: Sequence[Filter]) -> frozenset[str]:
    """Return the values that all filters on the same facet allow."""
    allowed = _values(one)
    for other in chosen:
        if other.column == one.column:
            allowed &= _values(other)
    return allowed


def _values(one: Filter) -> frozenset[str]:
    if isinstance(one.value, tuple):
        return frozenset(one.value)
    if isinstance(one.value, bool):
        return frozenset({str(one.value).lower()})
    return frozenset({str(one.value)})
