"""The reads of alerts."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import ALERTS_CONSUMER, Alert
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import Storage


class Freshness(NamedTuple):
    """How up to date the server's own alerts are.

    They are ``complete`` once the runs of older versions have been evaluated. ``behind`` is the age
    of the oldest commit that they do not reflect yet, in microseconds.
    """

    complete: bool
    behind: int


class AlertQueries:
    """Reads alerts."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, alert_id: str) -> Alert:
        """Return an alert by its id.

        Raises:
            NotFound: no such alert, or the caller may not see it.
        """
        alert = await self._storage.row(Alert, principal.account_id, alert_id)
        if alert is None or not principal.can_see(alert.agent_id, alert.environment_id):
            raise NotFound(f"Alert {alert_id!r} not found")
        return alert

    async def page(self, principal: Principal, listing: Listing) -> Page[Alert]:
        """Return a page of alerts."""
        listing = scoped_to(principal, listing)
        return await self._storage.rows(Alert, principal.account_id, listing)

    async def freshness(self, now: int) -> Freshness:
        """Return how up to date the server's own alerts are."""
        feed = self._storage.feed
        state = (await feed.states()).get(ALERTS_CONSUMER)
        if state is None:
            return Freshness(complete=False, behind=0)
        unseen = await feed.changes(state.position, 1)
        behind = max(now - unseen[0].at, 0) if unseen else 0
        return Freshness(state.backfill is None, behind)

    async def raised(self, run: AgentInstance) -> int:
        """Return the number of raised alerts of a run."""
        filters = (Filter("agent_instance_id", "=", run.id), Filter("status", "=", "raised"))
        page = await self._storage.rows(Alert, run.account_id, Listing(filters, page_size=1))
        return page.total
