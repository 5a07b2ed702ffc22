"""Reads runs for the commands: one by its id or external identifier, or a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from prefactor_cli.errors import is_missing
from prefactor_cli.failure import FAILED, NOT_FOUND, Failure
from prefactor_http import (
    AgentInstance,
    Page,
    PrefactorHttpClient,
    PrefactorNotFoundError,
)

MAX_PAGE: Final = 100
ENDED: Final = frozenset({"complete", "failed", "cancelled", "terminated"})


async def find_run(client: PrefactorHttpClient, given: str | None) -> AgentInstance:
    """Return a run by its id or external identifier, or else the one registered last.

    Raises:
        Failure: There is none.
    """
    if given is None:
        page = await client.agent_instances.list(sorting="-inserted_at", page_size=1)
        if not page:
            message = "Nothing has been recorded yet."
            raise Failure(message, FAILED)
        given = page[0].id
    for run_id, name in ((given, None), (None, given)):
        try:
            return await client.agent_instances.show(
                agent_instance_id=run_id,
                external_identifier=name,
                include_counts=True,
                include_costs=True,
                include_risk_score=True,
                include_alert_count=True,
            )
        except PrefactorNotFoundError as error:
            if not is_missing(error):
                raise
    message = f"There is no run {given!r}: `prefactor runs list` finds runs"
    raise Failure(message, NOT_FOUND)


async def run_pages(
    client: PrefactorHttpClient, filters: Mapping[str, Any], sort: str, limit: int | None
) -> AsyncIterator[Page[AgentInstance]]:
    """Yield the pages of a list of runs, up to `limit` runs or all."""
    after: str | None = None
    left = limit
    while left is None or left > 0:
        size = MAX_PAGE if left is None else min(left, MAX_PAGE)
        page = await client.agent_instances.list(
            **filters, sorting=sort, page_size=size, after=after
        )
        yield page
        after = page.pagination.next_after if page.pagination is not None else None
        if after is None:
            return
        if left is not None:
            left -= len(page)


class AgentNames:
    """The names of agents by id, each read once."""

    def __init__(self, client: PrefactorHttpClient) -> None:
        """Create an empty cache."""
        self._client = client
        self._names: dict[str, str] = {}
        self._listed = False

    async def learn(self, ids: set[str]) -> None:
        """Read unknown names; those of the first agents in one request."""
        if not ids <= self._names.keys() and not self._listed:
            self._listed = True
            page = await self._client.agents.list(page_size=MAX_PAGE)
            self._names |= {agent.id: agent.name or agent.id for agent in page}
        for agent_id in ids - self._names.keys():
            try:
                agent = await self._client.agents.get(agent_id)
            except PrefactorNotFoundError:
                self._names[agent_id] = agent_id
            else:
                self._names[agent_id] = agent.name or agent_id

    def of(self, agent_id: str) -> str:
        """Return the name of an agent, or its id if it has none."""
        return self._names.get(agent_id, agent_id)
