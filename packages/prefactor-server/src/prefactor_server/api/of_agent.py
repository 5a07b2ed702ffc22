"""Lists of what belongs to one agent, which has to be named unless the token names it."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.kernel.operation import Call, Parameter
from prefactor_server.domain.errors import required
from prefactor_server.domain.listing import Filter

AGENT: Final = Parameter(
    "agent_id",
    "The agent's id, or its external identifier. Required with an account token; a deployment "
    "token has its own.",
)


async def of_agent(call: Call) -> Filter:
    """The filter of a list that is about one agent.

    Raises:
        ValidationFailed: an account token names none.
    """
    ref = call.query.get("agent_id", call.principal.agent_id)
    if ref is None:
        raise required("agent_id")
    return Filter("agent_id", "=", await call.services.reader.agents.id_of(call.principal, ref))
