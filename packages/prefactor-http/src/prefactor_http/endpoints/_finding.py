"""Finding runs: lists and their counts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from prefactor_http._transport.encoding import as_list
from prefactor_http.endpoints._arguments import as_keyed, as_time
from prefactor_http.endpoints._base import Endpoint, present, to_details
from prefactor_http.models.agent_instance import AgentInstance
from prefactor_http.models.agent_instance_facets import AgentInstanceFacets
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from datetime import datetime

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/agent_instance"


class Finding(Endpoint):
    """The reads of `client.agent_instances` that find runs among many."""

    async def list(
        self,
        *,
        agent_id: str | None = None,
        agent_ids: Iterable[str] | None = None,
        agent_version_id: str | None = None,
        environment_id: str | None = None,
        status: str | None = None,
        purpose: str | None = None,
        external_identifier: str | None = None,
        started_after: datetime | str | None = None,
        started_before: datetime | str | None = None,
        finished_after: datetime | str | None = None,
        finished_before: datetime | str | None = None,
        min_duration: float | None = None,
        max_duration: float | None = None,
        has_failed_spans: bool | None = None,
        abandoned: bool | None = None,
        schema_name: str | None = None,
        risk_level: str | None = None,
        min_cost: float | Decimal | None = None,
        metadata: Mapping[str, str] | None = None,
        text: str | None = None,
        include_totals: bool | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[AgentInstance]:
        """Return a page of runs. Some servers require `agent_id` and know few of the other filters.

        Args:
            agent_id: Only runs of this agent.
            agent_ids: Only runs of these agents, at most 50.
            agent_version_id: Only runs of this version.
            environment_id: Only runs in this environment.
            status: Only runs with this status.
            purpose: Only runs for this purpose.
            external_identifier: Only the run with this identifier.
            started_after: Only runs started at this time or after it.
            started_before: Only runs started before this time, strictly.
            finished_after: Only runs that ended at this time or after it.
            finished_before: Only runs that ended before this time, strictly.
            min_duration: Only ended runs that took at least this many seconds.
            max_duration: Only ended runs that took at most this many seconds.
            has_failed_spans: Only runs with failed spans, or only runs without.
            abandoned: Only active runs whose agents fell silent, or only others.
            schema_name: Only runs with a span of this type.
            risk_level: Only runs of this risk: `low`, `medium`, `high` or `critical`.
            min_cost: Only runs that cost at least this much, in the currency of the server's
                prices.
            metadata: Only runs with these texts in their metadata.
            text: Only runs with a span that contains all of these words; `match` of each run says
                where.
            include_totals: Fill in `first_summary`, `total_tokens`, `total_cost` and `currency`.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        filters = {
            "agent_id": agent_id,
            "agent_ids": agent_ids,
            "agent_version_id": agent_version_id,
            "environment_id": environment_id,
            "status": status,
            "purpose": purpose,
            "external_identifier": external_identifier,
            "started_after": started_after,
            "started_before": started_before,
            "finished_after": finished_after,
            "finished_before": finished_before,
            "min_duration": min_duration,
            "max_duration": max_duration,
            "has_failed_spans": has_failed_spans,
            "abandoned": abandoned,
            "schema_name": schema_name,
            "risk_level": risk_level,
            "min_cost": min_cost,
            "metadata": metadata,
            "text": text,
            "include_totals": include_totals,
        }
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, api_filters(filters) | paging, AgentInstance, options)

    def iterate(
        self,
        *,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
        **filters: Any,
    ) -> AsyncIterator[AgentInstance]:
        """Iterate over all runs that `list` returns with these filters.

        Takes the filters of `list` by name: `async for run in …iterate(agent_id="…")`.
        """
        return self._walk(
            PATH,
            api_filters(filters),
            AgentInstance,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def facets(
        self, *, options: RequestOptions | None = None, **filters: Any
    ) -> AgentInstanceFacets:
        """Count runs by the values that each filter would leave.

        Takes the filters of `list` by name. Each facet ignores its own filter. At most the newest
        2,000 runs are counted; `complete` says whether that was all.

        Raises:
            PrefactorNotFoundError: The server lacks this operation.
        """
        reply = await self._read(f"{PATH}/facets", present(**api_filters(filters)), options)
        return to_details(reply, AgentInstanceFacets, "agent_instances.facets")


_TIMES = ("started_after", "started_before", "finished_after", "finished_before")
_DURATIONS = ("min_duration", "max_duration")


def api_filters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters in the API's spelling."""
    found = dict(given)
    for name in _TIMES:
        if name in found:
            found[name] = as_time(name, found[name])
    for name in _DURATIONS:
        if isinstance(found.get(name), float):
            # Without the exponent in which small and large numbers are printed.
            found[name] = f"{found[name]:.6f}"
    if isinstance(found.get("min_cost"), float | Decimal):
        found["min_cost"] = f"{found['min_cost']:.9f}"
    agents = found.get("agent_ids")
    if agents is not None:
        found["agent_ids"] = ",".join(as_list("agent_ids", agents))
    return found | as_keyed("metadata", found.pop("metadata", None))
