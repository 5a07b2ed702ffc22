"""The reads of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.runs.run_total import RunTotal
from prefactor_server.queries.search import Found, with_found
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import Storage


class AgentInstanceQueries:
    """Reads runs."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def find(self, principal: Principal, instance_id: str) -> AgentInstance | None:
        """Return a run by its id, or None if it does not exist or the caller may not see it."""
        run = await self._storage.instance(principal.account_id, instance_id)
        if run is None or not principal.can_see(run.agent_id, run.environment_id):
            return None
        return run

    async def show(self, principal: Principal, instance_id: str) -> AgentInstance:
        """Return a run by its id.

        Raises:
            NotFound: no such run, or the caller may not see it.
        """
        run = await self.find(principal, instance_id)
        if run is None:
            raise NotFound(f"Agent instance {instance_id!r} not found")
        return run

    async def among(self, principal: Principal, ids: Sequence[str]) -> Mapping[str, AgentInstance]:
        """Return the runs among ``ids`` that the caller may see, by id."""
        found = await self._storage.rows_by_id(AgentInstance, principal.account_id, ids)
        return {run.id: run for run in found if principal.can_see(run.agent_id, run.environment_id)}

    async def by_external_identifier(
        self, principal: Principal, external_identifier: str
    ) -> AgentInstance:
        """Return the run with an external identifier.

        Raises:
            NotFound: the caller sees no such run.
            InvalidAction: several agents have such a run.
        """
        condition = Filter("external_identifier", "=", external_identifier)
        page = await self.page(principal, Listing((condition,), page_size=2))
        if not page.rows:
            raise NotFound(f"Agent instance {external_identifier!r} not found")
        if len(page.rows) > 1:
            raise InvalidAction(
                f"Runs of several agents have the external identifier {external_identifier!r}: "
                "list them with GET /api/v1/agent_instance and show one by its id"
            )
        return page.rows[0]

    async def quality(self, run: AgentInstance) -> InstanceQuality | None:
        """Return the results of a run's evaluations, or None."""
        return await self._storage.row(InstanceQuality, run.account_id, run.id)

    async def metadata(
        self, account_id: str, run_ids: Sequence[str]
    ) -> Mapping[str, InstanceMetadata]:
        """Return the metadata of runs, by run. Runs without metadata are left out."""
        found = await self._storage.rows_by_id(InstanceMetadata, account_id, run_ids)
        return {one.id: one for one in found}

    async def counted(
        self, principal: Principal, run_ids: Sequence[str]
    ) -> tuple[Sequence[AgentInstance], Mapping[str, RunTotal]]:
        """Return the runs that the caller may see, in this order, with their totals."""
        account_id = principal.account_id
        totals = await self._storage.run_totals.totals(account_id, run_ids)
        found = {one.id: one for one in await self._storage.run_totals.runs(account_id, run_ids)}
        runs = [found[one] for one in run_ids if one in found]
        visible = [run for run in runs if principal.can_see(run.agent_id, run.environment_id)]
        return visible, {one.id: one for one in totals}

    async def totals(
        self, account_id: str, run_ids: Sequence[str]
    ) -> tuple[Mapping[str, RunTotal], Mapping[str, str]]:
        """Return the totals of runs that have been counted, and the summaries of first spans."""
        totals = await self._storage.run_totals.totals(account_id, run_ids)
        summaries = await self._storage.run_totals.first_summaries(account_id, run_ids)
        return {one.id: one for one in totals}, summaries

    async def page(
        self, principal: Principal, listing: Listing, found: Found | None = None
    ) -> Page[AgentInstance]:
        """Return a page of runs; with a text filter, only runs that contain the text."""
        if found is None:
            return await self._storage.instances(
                principal.account_id, scoped_to(principal, listing)
            )
        # The cursor belongs to the list with the text filter, so only the query has the found runs.
        query = listing._replace(filters=with_found(listing.filters, found))
        page = await self._storage.instances(principal.account_id, scoped_to(principal, query))
        return page._replace(total_is_exact=page.total_is_exact and found.complete)
