"""Generates PFIDs for clients that choose their own ids."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.kernel.decode import read_body
from prefactor_server.api.kernel.operation import Call, Example, PureOperation
from prefactor_server.api.kernel.query import check_account
from prefactor_server.api.views.base import Success
from prefactor_server.domain.errors import NotPermitted, ValidationFailed


class GeneratePfids(msgspec.Struct, kw_only=True):
    """The number of ids to generate, for the caller's own account."""

    count: Annotated[int, Meta(ge=1, le=1000, description="must be 1 to 1000")] | None = None
    account_id: str | None = None


class PfidsView(msgspec.Struct, frozen=True, kw_only=True):
    """New ids in the account's partition."""

    type: Literal["pfids"] = "pfids"
    pfids: list[str]


async def _answer(call: Call, document: bytes) -> Success[PfidsView]:
    body = read_body(document, GeneratePfids)
    check_account(body.account_id, call.principal)
    return Success(details=PfidsView(pfids=[call.new_id() for _ in range(body.count or 1)]))


OPERATIONS = (
    PureOperation(
        name="pfids.generate",
        cost=10,
        method="POST",
        path="/api/v1/pfid/generate",
        right="read",
        summary="Generate ids",
        description=(
            "Generates ids to register or create something with later. Nothing is stored, so a "
            "repeated request generates other ids."
        ),
        reply=Success[PfidsView],
        refusals=(NotPermitted, ValidationFailed),
        body=GeneratePfids,
        answer=_answer,
        examples=(Example("Two ids", {"count": 2}),),
    ),
)
