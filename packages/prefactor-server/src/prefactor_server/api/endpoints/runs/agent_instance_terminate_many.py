"""Terminates many runs. A dry run finds them by filters, and a second request names them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.endpoints.runs.agent_instance import Reason, checked_reason
from prefactor_server.api.endpoints.runs.agent_instance_filters import (
    AGENT,
    FILTERS,
    agent_filters,
)
from prefactor_server.api.kernel.decode import read_body
from prefactor_server.api.kernel.fields import ClientId
from prefactor_server.api.kernel.listing import read_filters
from prefactor_server.api.kernel.operation import Call, Example, RawOperation
from prefactor_server.api.kernel.query import read_item_query
from prefactor_server.api.views.base import Success
from prefactor_server.commands.agent_instance import TerminateInstance
from prefactor_server.commands.base import Refused
from prefactor_server.domain.errors import BadRequest, NotFound, ValidationFailed, invalid
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.runs.agent_instance import AgentInstance

MAX_RUNS: Final = 100
_IDS_RULE: Final = f"must be 1 to {MAX_RUNS} ids of runs"
_PARAMETERS: Final = (AGENT, *(one.parameter for one in FILTERS))
_ACTIVE: Final = Filter("status", "=", "active")

Why = Literal["not_found", "not_active", "no_match"]


class TerminateManyFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The runs to terminate and the reason, or the filters of a dry run."""

    filters: dict[str, Any] = {}
    dry_run: bool = False
    ids: (
        Annotated[list[ClientId], Meta(min_length=1, max_length=MAX_RUNS, description=_IDS_RULE)]
        | None
    ) = None
    reason: Reason | None = None


class SkippedRun(msgspec.Struct, frozen=True):
    """A run that was not terminated, and the reason."""

    id: str
    why: Why


class TerminateManyView(msgspec.Struct, frozen=True, kw_only=True):
    """The terminated runs or, in a dry run, those that would be terminated.

    ``matching`` counts the active runs that the filters find, before any is terminated. ``ids``
    are at most 100 of them in a dry run, ordered by id.
    """

    type: Literal["agent_instance_terminations"] = "agent_instance_terminations"
    dry_run: bool
    matching: int
    matching_is_exact: bool
    ids: list[str]
    terminated: list[str]
    skipped: list[SkippedRun]


async def _terminate_many(call: Call, document: bytes) -> Success[TerminateManyView]:
    body = read_body(document, TerminateManyFields)
    call.query = read_item_query(body.filters, _PARAMETERS, call.principal)
    filters = (*await agent_filters(call), *read_filters(FILTERS, call.query))
    if body.dry_run:
        if body.ids is not None:
            raise invalid("ids", "must not be sent with dry_run, which returns them")
        return Success(details=_shown(await _page(call, (*filters, _ACTIVE))))
    if body.ids is None:
        raise invalid(
            "ids", "must be the runs to terminate: send dry_run true to get those that match"
        )
    if body.reason is None:
        raise invalid("reason", "is required, and is shown to the agents")
    return Success(
        details=await _terminated(
            call, filters, tuple(dict.fromkeys(body.ids)), checked_reason(body.reason)
        )
    )


async def _page(call: Call, filters: tuple[Filter, ...]) -> Page[AgentInstance]:
    reader, principal = call.services.reader, call.principal
    found = await reader.search.find(principal, filters, call.now)
    listing = Listing(filters, page_size=MAX_RUNS)
    return await reader.agent_instances.page(principal, listing, found)


def _shown(page: Page[AgentInstance]) -> TerminateManyView:
    return TerminateManyView(
        dry_run=True,
        matching=page.total,
        matching_is_exact=page.total_is_exact,
        ids=[run.id for run in page.rows],
        terminated=[],
        skipped=[],
    )


async def _terminated(
    call: Call, filters: tuple[Filter, ...], ids: tuple[str, ...], reason: str
) -> TerminateManyView:
    """Terminate the runs with these ids that are active and that the filters find."""
    page = await _page(call, (*filters, _ACTIVE, Filter("id", "in", ids)))
    matching = {run.id for run in page.rows}
    known = await call.services.reader.agent_instances.among(call.principal, ids)
    skipped = [SkippedRun(one, _why(known.get(one))) for one in ids if one not in matching]
    request, writer = call.request(), call.services.writer
    # Submitted one by one, because a run that has just ended must not stop the others. They share
    # a commit.
    to_terminate = [one for one in ids if one in matching]
    outcomes = await asyncio.gather(
        *(
            writer.submit([TerminateInstance(request, call.principal, one, reason)], 0)
            for one in to_terminate
        )
    )
    terminated: list[str] = []
    for run_id, (outcome,) in zip(to_terminate, outcomes, strict=True):
        if isinstance(outcome, Refused):
            is_deleted = isinstance(outcome.refusal, NotFound)
            skipped.append(SkippedRun(run_id, "not_found" if is_deleted else "not_active"))
        else:
            terminated.append(run_id)
    return TerminateManyView(
        dry_run=False,
        matching=page.total,
        matching_is_exact=page.total_is_exact,
        ids=[],
        terminated=terminated,
        skipped=skipped,
    )


def _why(run: AgentInstance | None) -> Why:
    if run is None:
        return "not_found"
    return "no_match" if run.status == "active" else "not_active"


OPERATIONS: Final = (
    RawOperation(
        name="agent_instances.terminate_many",
        method="POST",
        path="/api/v1/agent_instance/terminate_many",
        right="operate",
        access="account",
        summary="Terminate many runs",
        description=(
            "With dry_run, counts the active runs that the filters of the list find, and returns "
            "the first 100 of them. With ids and a reason, terminates only these runs, as far as "
            "they are active and the filters still find them. The next dry run finds the remaining "
            "runs. A repeated request skips the runs that it has terminated."
        ),
        reply=Success[TerminateManyView],
        refusals=(BadRequest, NotFound, ValidationFailed),
        body=TerminateManyFields,
        answer=_terminate_many,
        examples=(
            Example("A dry run", {"filters": {"abandoned": True}, "dry_run": True}),
            Example(
                "Two runs",
                {"filters": {"abandoned": True}, "ids": ["run-1", "run-2"], "reason": "abandoned"},
            ),
        ),
    ),
)
