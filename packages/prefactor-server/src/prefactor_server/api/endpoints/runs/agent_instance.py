"""Runs: start, finish, terminate, show and list. See also `agent_instance_register`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta

from prefactor_server.api.endpoints.runs.agent_instance_filters import (
    AGENT,
    FILTERS,
    agent_filters,
)
from prefactor_server.api.kernel.fields import Timestamp
from prefactor_server.api.kernel.listing import ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import flag
from prefactor_server.api.views.agent_instance import (
    AgentInstanceDetails,
    Annotations,
    Entries,
    InstanceWritten,
    instance_details,
    instance_summary,
    instance_written,
)
from prefactor_server.api.views.base import Success, listed, written_row
from prefactor_server.api.views.risk import COMPUTED, with_figures, with_scores, with_totals
from prefactor_server.api.views.search import (
    ListedRuns,
    derived_view,
    search_view,
    with_matches,
)
from prefactor_server.commands.agent_instance import (
    FinishInstance,
    StartInstance,
    TerminateInstance,
)
from prefactor_server.commands.base import Command, Done
from prefactor_server.domain.errors import (
    BadRequest,
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.runs.agent_instance import (
    MAX_REASON_LENGTH,
    AgentInstance,
    FinishStatus,
)
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality

_REASON_RULE: Final = f"must be 1 to {MAX_REASON_LENGTH} characters, not all of them blank"


class StartFields(msgspec.Struct, kw_only=True):
    """The time at which a run started, now by default."""

    timestamp: Timestamp | None = None


class FinishFields(msgspec.Struct, kw_only=True):
    """The status and time of a run's end, complete and now by default."""

    status: FinishStatus | None = None
    timestamp: Timestamp | None = None


Reason: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_REASON_LENGTH,
        pattern="^[^\\u0000]*$",
        description=_REASON_RULE,
    ),
]


class TerminateFields(msgspec.Struct, kw_only=True):
    """The reason for terminating a run. Its agent receives this text."""

    reason: Reason


_LIST = ListQuery(
    filters=FILTERS,
    sorts=(
        "id",
        "status",
        "started_at",
        "finished_at",
        "inserted_at",
        "updated_at",
        "external_identifier",
    ),
    sort_cost=50,
)
_TOTALS: Final = Parameter(
    "include_totals",
    "Whether to include the summary of each run's first span, and its tokens and cost when it was "
    "last counted.",
    schema={"type": "boolean", "default": False},
    cost=50,
)
_NO_ANNOTATIONS: Final = Annotations(None, msgspec.UNSET)


async def _prepare_start(call: Call, body: StartFields) -> Prepared:
    at = call.now if body.timestamp is None else int(body.timestamp)
    full_response = not call.is_item
    command = StartInstance(call.request(), call.principal, call.path_id, at, full_response)
    return _prepared(call, command)


async def _prepare_finish(call: Call, body: FinishFields) -> Prepared:
    at = call.now if body.timestamp is None else int(body.timestamp)
    status = body.status or "complete"
    full_response = not call.is_item
    command = FinishInstance(
        call.request(), call.principal, call.path_id, status, at, full_response
    )
    return _prepared(call, command)


async def _prepare_terminate(call: Call, body: TerminateFields) -> Prepared:
    reason, full_response = checked_reason(body.reason), not call.is_item
    command = TerminateInstance(call.request(), call.principal, call.path_id, reason, full_response)
    return _prepared(call, command)


def checked_reason(reason: str) -> str:
    """Return the reason of a termination.

    Raises:
        ValidationFailed: it is blank.
    """
    if not reason.strip():
        raise invalid("reason", _REASON_RULE)
    return reason


def _prepared(call: Call, command: Command) -> Prepared:
    return Prepared(command, written_by(call))


def written_by(call: Call, name: str | None = None) -> Callable[[Done], InstanceWritten]:
    """Return the answer to a write of a run, or of one entry of its quality.

    The answer to a bulk item has only the quality that the item recorded. With all of it, the size
    of the response would be quadratic in that of the request.
    """

    def written(done: Done) -> InstanceWritten:
        row = written_row(done, AgentInstance)
        return instance_written(row, _annotations_of(call, done, name), call.principal)

    return written


async def show(call: Call, instance_id: str) -> InstanceWritten:
    """Return the answer to a repeated write of a run, with the run's current state."""
    run = await call.services.reader.agent_instances.show(call.principal, instance_id)
    annotations = _NO_ANNOTATIONS if call.is_item else await _annotations(call, run)
    return instance_written(run, annotations, call.principal)


def _annotations_of(call: Call, done: Done, name: str | None) -> Annotations:
    quality = done.quality
    if not call.is_item:
        return Annotations(_entries(quality), _texts(done.metadata))
    if name is None or not isinstance(quality, RunQuality):
        return _NO_ANNOTATIONS
    entry = quality.entry(name)
    return _NO_ANNOTATIONS._replace(quality={} if entry is None else {name: entry})


async def _annotations(call: Call, run: AgentInstance) -> Annotations:
    reader = call.services.reader.agent_instances
    metadata = await reader.metadata(run.account_id, [run.id])
    return Annotations(_entries(await reader.quality(run)), _texts(metadata.get(run.id)))


def _texts(metadata: InstanceMetadata | None) -> Mapping[str, str]:
    return {} if metadata is None else metadata.texts()


def _entries(quality: RunQuality | InstanceQuality | None) -> Entries:
    return {} if quality is None else quality.entries()


async def show_in_full(call: Call) -> Success[AgentInstanceDetails]:
    """Return the full answer about the run in the path."""
    run = await call.services.reader.agent_instances.show(call.principal, call.path_id)
    return await _in_full(call, run)


async def _find(call: Call) -> Success[AgentInstanceDetails]:
    reader, principal = call.services.reader.agent_instances, call.principal
    run_id, name = call.query.get("agent_instance_id"), call.query.get("external_identifier")
    if run_id is not None and name is None:
        return await _in_full(call, await reader.show(principal, run_id))
    if name is not None and run_id is None:
        return await _in_full(call, await reader.by_external_identifier(principal, name))
    raise BadRequest("Send exactly one of agent_instance_id and external_identifier")


async def _in_full(call: Call, run: AgentInstance) -> Success[AgentInstanceDetails]:
    details = instance_details(run, await _annotations(call, run), call.principal)
    return Success(details=await with_figures(call, run, details))


async def _list(call: Call) -> ListedRuns:
    listing = _LIST.read(call.query, *await agent_filters(call))
    reader = call.services.reader
    found = await reader.search.find(call.principal, listing.filters, call.now)
    page = await reader.agent_instances.page(call.principal, listing, found)
    ids = [run.id for run in page.rows]
    metadata = await reader.agent_instances.metadata(call.principal.account_id, ids)
    summaries = [instance_summary(run, _texts(metadata.get(run.id))) for run in page.rows]
    rows = await with_scores(call, page.rows, summaries)
    if flag(call.query, _TOTALS.name):
        rows = await with_totals(call, rows)
    if found is not None:
        rows = with_matches(rows, await reader.search.show(call.principal, found, ids))
    derived = await reader.derived.of_filters(listing.filters, call.now)
    answer = listed(listing, page, rows)
    return ListedRuns(
        summaries=answer.summaries,
        pagination=answer.pagination,
        sorting=answer.sorting,
        search=UNSET if found is None else search_view(found),
        derived=UNSET if derived is None else derived_view(derived),
    )


_REFUSALS: Final = (NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed)
_WRITE: Final[dict[str, Any]] = {
    "method": "POST",
    "reply": InstanceWritten,
    "refusals": _REFUSALS,
    "show": show,
}

OPERATIONS = (
    Write(
        **_WRITE,
        name="agent_instances.start",
        path="/api/v1/agent_instance/{agent_instance_id}/start",
        right="operate",
        summary="Start a run",
        description="Only a pending run can start. The body is optional.",
        body=StartFields,
        prepare=_prepare_start,
        examples=(Example("At a given time", {"timestamp": "2026-04-13T00:46:31.218Z"}),),
    ),
    Write(
        **_WRITE,
        name="agent_instances.finish",
        path="/api/v1/agent_instance/{agent_instance_id}/finish",
        right="operate",
        summary="Finish a run",
        description=(
            "An active run becomes complete, failed or cancelled; a pending one can only be "
            "cancelled. The body is optional."
        ),
        body=FinishFields,
        prepare=_prepare_finish,
        examples=(Example("A failure", {"status": "failed"}),),
    ),
    Write(
        **_WRITE,
        name="agent_instances.terminate",
        path="/api/v1/agent_instance/{agent_instance_id}/terminate",
        right="operate",
        summary="Terminate a run",
        description=(
            "Ends an active run permanently. Its open spans are cancelled, and the response to "
            "each later write of its agent has a control signal."
        ),
        access="account",
        body=TerminateFields,
        prepare=_prepare_terminate,
        examples=(Example("Budget exceeded", {"reason": "budget exceeded"}),),
    ),
    Read(
        name="agent_instances.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/agent_instance",
        right="read",
        summary="List runs",
        reply=ListedRuns,
        refusals=(ValidationFailed,),
        parameters=(AGENT, _TOTALS, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="agent_instances.find",
        method="GET",
        path="/api/v1/agent_instance/show",
        right="read",
        summary="Find a run by its id or its external identifier",
        description=(
            "Takes exactly one of the two. If runs of several agents have the external identifier, "
            "the response is 409."
        ),
        reply=Success[AgentInstanceDetails],
        refusals=(NotFound, InvalidAction, ValidationFailed),
        parameters=(
            Parameter("agent_instance_id", "The run's id."),
            Parameter("external_identifier", "The client's own identifier of the run."),
            *COMPUTED,
        ),
        answer=_find,
    ),
    Read(
        name="agent_instances.show",
        method="GET",
        path="/api/v1/agent_instance/{agent_instance_id}",
        right="read",
        summary="Show a run",
        reply=Success[AgentInstanceDetails],
        refusals=(NotFound, ValidationFailed),
        parameters=COMPUTED,
        answer=show_in_full,
    ),
)
