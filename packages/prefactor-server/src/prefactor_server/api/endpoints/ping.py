"""Ping: checks whether a token works, and shows its scope."""

from __future__ import annotations

from typing import Literal

import msgspec

from prefactor_server.api.kernel.operation import Call, Read
from prefactor_server.api.views.base import Success
from prefactor_server.domain.api_token import TokenScope


class PingView(msgspec.Struct, frozen=True, kw_only=True):
    """The scope of a token. A deployment token has an agent and an environment."""

    type: Literal["ping"] = "ping"
    account_id: str
    token_scope: TokenScope
    agent_id: str | None
    environment_id: str | None
    agent_deployment_id: str | None


async def _answer(call: Call) -> Success[PingView]:
    principal = call.principal
    return Success(
        details=PingView(
            account_id=principal.account_id,
            token_scope=principal.scope,
            agent_id=principal.agent_id,
            environment_id=principal.environment_id,
            agent_deployment_id=principal.agent_deployment_id,
        )
    )


OPERATIONS = (
    Read(
        name="ping",
        method="GET",
        path="/api/v1/ping",
        right="read",
        summary="Check a token",
        description="Accepts any valid token, and shows its scope.",
        reply=Success[PingView],
        answer=_answer,
    ),
)
