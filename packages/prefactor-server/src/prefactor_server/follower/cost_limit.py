"""The cost of runs whose agents have a limit for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.cost import PriceTable, TokenUse, cost_of
from prefactor_server.domain.runs.cost_limit import LimitedCost
from prefactor_server.domain.runs.run_total import cost_units
from prefactor_server.storage.base import Storage


class RunCostQueries:
    """Reads the cost of runs so far, at the prices of this server."""

    def __init__(self, storage: Storage, prices: PriceTable) -> None:
        self._storage = storage
        self._prices = prices

    async def limited(
        self, account_id: str, runs: Sequence[AgentInstance]
    ) -> Mapping[str, LimitedCost]:
        """Return the cost of each run whose agent has a limit; None stands for an unknown price."""
        ids = sorted({run.agent_id for run in runs})
        agents = await self._storage.rows_by_id(Agent, account_id, ids) if ids else ()
        limits = {
            agent.id: agent.run_cost_limit for agent in agents if agent.run_cost_limit is not None
        }
        priced = [run for run in runs if run.agent_id in limits]
        if not priced:
            return {}
        uses: dict[str, list[TokenUse]] = defaultdict(list)
        for one in await self._storage.span_usage(account_id, [run.id for run in priced]):
            tokens = (int(one.prompt_tokens), int(one.completion_tokens))
            counted = (one.spans, one.counted_spans, one.split_spans)
            uses[one.agent_instance_id].append(TokenUse(one.model, *counted, *tokens))
        return {run.id: self._cost(uses[run.id], limits[run.agent_id]) for run in priced}

    def _cost(self, uses: Sequence[TokenUse], limit: int) -> LimitedCost:
        total = cost_of(uses, self._prices).total_cost
        return LimitedCost(
            None if total is None else cost_units(total), limit, self._prices.currency
        )
