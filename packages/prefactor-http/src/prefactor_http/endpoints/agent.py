"""Agents: create, find, change, retire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._arguments import as_dict, as_time, checked, exactly_one
from prefactor_http.endpoints._base import Endpoint, present, to_details, to_page
from prefactor_http.models.agent import Agent, AgentForCreate, AgentForUpdate, AgentSummary
from prefactor_http.models.series import Series
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/agent"


class AgentClient(Endpoint):
    """`client.agents`.

    The filters `risk_profile_id`, `team_id` and `owner_person_id` take an id, or the text `null`
    for agents without one; None does not filter.
    """

    async def create(
        self,
        details: Mapping[str, Any] | AgentForCreate,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Create an agent.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorConflictError: Its id is in use.
            PrefactorValidationError: Its external identifier is in use, or the server rejected
                other content.
        """
        part = as_dict("details", details) or {}
        checked(AgentForCreate, part, within="details")
        key = self._key(idempotency_key)
        reply = await self._write("POST", PATH, {"details": part}, key, options)
        return to_details(reply, Agent, "agents.create")

    async def get(
        self,
        agent_id: str,
        *,
        environment_id: str | None = None,
        include_counts: bool | None = None,
        include_risk_rollup: bool | None = None,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Read one agent.

        Args:
            agent_id: Its id.
            environment_id: Count only in this environment.
            include_counts: Include `instance_counts`.
            include_risk_rollup: Include the risk rollups.
            options: Limits and headers of this call only.

        Raises:
            PrefactorNotFoundError: The agent does not exist.
        """
        params = {
            "environment_id": environment_id,
            "include_counts": include_counts,
            "include_risk_rollup": include_risk_rollup,
        }
        return _shown(await self._read(_path(agent_id), params, options), "agents.get")

    async def show(
        self,
        *,
        agent_id: str | None = None,
        external_identifier: str | None = None,
        environment_id: str | None = None,
        include_counts: bool | None = None,
        include_risk_rollup: bool | None = None,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Read one agent by exactly one of its id and its external identifier.

        Raises:
            ValueError: Neither or both were given.
            PrefactorNotFoundError: The agent does not exist.
        """
        params = exactly_one(agent_id=agent_id, external_identifier=external_identifier) | {
            "environment_id": environment_id,
            "include_counts": include_counts,
            "include_risk_rollup": include_risk_rollup,
        }
        return _shown(await self._read(f"{PATH}/show", params, options), "agents.show")

    async def series(
        self,
        agent_id: str,
        *,
        bucket: str | None = None,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        environment_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> Series:
        """Read the activity of an agent over time, in columns for a chart.

        Args:
            agent_id: Its id.
            bucket: `minute`, `hour` or `day`; the server's default is `hour`.
            start_time: A time in the first bucket.
            end_time: A time that the last bucket reaches; now by default.
            environment_id: Only this environment; a deployment token has a fixed one.
            options: Limits and headers of this call only.

        Raises:
            PrefactorNotFoundError: The agent does not exist.
            PrefactorValidationError: The range has too many buckets, or is not kept.
        """
        params = {
            "bucket": bucket,
            "start_time": as_time("start_time", start_time),
            "end_time": as_time("end_time", end_time),
            "environment_id": environment_id,
        }
        reply = await self._read(f"{_path(agent_id)}/series", params, options)
        return to_details(reply, Series, "agents.series")

    async def list(
        self,
        *,
        text: str | None = None,
        risk_profile_id: str | None = None,
        team_id: str | None = None,
        owner_person_id: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[AgentSummary]:
        """Return a page of agents.

        Args:
            text: Words that the name, description or external identifier contain.
            risk_profile_id: Only agents with this risk profile.
            team_id: Only agents of this team.
            owner_person_id: Only agents of this owner.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        filters = _filters(risk_profile_id, team_id, owner_person_id) | present(text=text)
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, filters | paging, AgentSummary, options)

    async def list_agents(  # noqa: PLR0917 - the order is what callers rely on
        self,
        risk_profile_id: str | None = None,
        team_id: str | None = None,
        owner_person_id: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Page[AgentSummary]:
        """Do the same as `list`, with its older name and form of sorting."""
        params = _filters(risk_profile_id, team_id, owner_person_id)
        params |= page_params(sorting=None, offset=offset, page_size=page_size)
        reply = await self._read(PATH, {**params, "sorting": sorting}, options)
        return to_page(reply, AgentSummary, "agents.list_agents")

    def iterate(
        self,
        *,
        text: str | None = None,
        risk_profile_id: str | None = None,
        team_id: str | None = None,
        owner_person_id: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[AgentSummary]:
        """Iterate over all agents that `list` returns: `async for agent in …iterate()`."""
        filters = _filters(risk_profile_id, team_id, owner_person_id) | present(text=text)
        return self._walk(
            PATH, filters, AgentSummary, sorting=sorting, page_size=page_size, options=options
        )

    async def update(
        self,
        agent_id: str,
        details: Mapping[str, Any] | AgentForUpdate,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Change an agent. Absent fields do not change, and None clears a field.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorNotFoundError: The agent does not exist.
        """
        part = as_dict("details", details) or {}
        checked(AgentForUpdate, part, within="details")
        key = self._key(idempotency_key)
        reply = await self._write("PUT", _path(agent_id), {"details": part}, key, options)
        return to_details(reply, Agent, "agents.update")

    async def retire(
        self,
        agent_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Take an agent out of service. It can no longer register runs."""
        key = self._key(idempotency_key)
        reply = await self._write("POST", f"{_path(agent_id)}/retire", {}, key, options)
        return to_details(reply, Agent, "agents.retire")

    async def reinstate(
        self,
        agent_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Agent:
        """Put a retired agent back into service."""
        key = self._key(idempotency_key)
        reply = await self._write("POST", f"{_path(agent_id)}/reinstate", {}, key, options)
        return to_details(reply, Agent, "agents.reinstate")

    async def delete(
        self,
        agent_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> Agent | None:
        """Delete an unused agent. Return its last state if the server sends it.

        Raises:
            PrefactorConflictError: It still has runs.
        """
        reply = await self._delete(_path(agent_id), idempotency_key, options)
        return to_details(reply, Agent, "agents.delete") if reply.get("details") else None


def _shown(reply: dict[str, Any], operation: str) -> Agent:
    """Return the agent in a response, with the risk rollup that is next to it."""
    agent = to_details(reply, Agent, operation)
    rollup = reply.get("risk_rollup")
    if isinstance(rollup, dict):
        agent.risk_rollup = cast("dict[str, Any]", rollup)
    return agent


def _path(agent_id: str) -> str:
    return f"{PATH}/{path_segment('agent_id', agent_id)}"


def _filters(
    risk_profile_id: str | None, team_id: str | None, owner_person_id: str | None
) -> dict[str, Any]:
    return present(
        risk_profile_id=risk_profile_id, team_id=team_id, owner_person_id=owner_person_id
    )
