"""Live events: follow runs and spans as they change."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.events.hub import Subscription
from prefactor_server.api.kernel.operation import Call, Live, Parameter
from prefactor_server.api.kernel.query import flag
from prefactor_server.api.views.event import EventChanges
from prefactor_server.domain.errors import (
    BadRequest,
    NotFound,
    Overloaded,
    Unavailable,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.event import EventFilter

_MAX_IDS: Final = 50
_MAX_DIGITS: Final = 19


async def _open(call: Call, last_event_id: str | None) -> Subscription:
    reader, principal = call.services.reader, call.principal
    runs = [
        await reader.agent_instances.show(principal, run_id)
        for run_id in _ids(call, "agent_instance_ids")
    ]
    agents = [await reader.agents.show(principal, ref) for ref in _ids(call, "agent_ids")]
    event_filter = EventFilter.for_caller(
        principal,
        instance_ids=[run.id for run in runs],
        agent_ids=[record.agent.id for record in agents],
        with_spans="include_spans" not in call.query or flag(call.query, "include_spans"),
        spans_of=_ids(call, "include_spans_of"),
    )
    return await call.services.events.subscribe(event_filter, _position(last_event_id))


def _ids(call: Call, name: str) -> list[str]:
    if name not in call.query:
        return []
    ids = list(dict.fromkeys(one for one in call.query[name].split(",") if one))
    # An empty list, as of a shell's unset variable, must not mean everything.
    if not 0 < len(ids) <= _MAX_IDS:
        raise invalid(name, f"must be 1 to {_MAX_IDS} ids, separated by commas, got {len(ids)}")
    return ids


def _position(last_event_id: str | None) -> int | None:
    if not last_event_id:
        return None
    if not (
        last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < _MAX_DIGITS
    ):
        raise BadRequest(
            "The header Last-Event-ID must be an id that this stream sent, a whole number, got "
            f"{last_event_id[:40]!r}"
        )
    return int(last_event_id)


OPERATIONS = (
    Live(
        name="events.stream",
        method="GET",
        path="/api/v1/events",
        summary="Follow changes",
        description=(
            "A stream of server-sent events about runs and spans as they change. It begins with a "
            "ready event, followed by changes events, whose data the schema shows. A reload event "
            "means that changes were lost: read everything that you show again, and continue. "
            "Every id is a position. A disconnected client sends the last one as Last-Event-ID, "
            "and receives the events that it missed. With runs or agents, the stream contains only "
            "these runs and the runs of these agents. A deployment token receives only its own "
            "agent's runs."
        ),
        right="read",
        reply=EventChanges,
        refusals=(NotFound, ValidationFailed, Overloaded, Unavailable),
        parameters=(
            Parameter("agent_instance_ids", f"Up to {_MAX_IDS} ids of runs, separated by commas."),
            Parameter(
                "agent_ids",
                f"Up to {_MAX_IDS} ids or external identifiers of agents, separated by commas.",
            ),
            Parameter(
                "include_spans",
                "Whether to send changes of spans as well. A list of runs does not need them.",
                schema={"type": "boolean", "default": True},
            ),
            Parameter(
                "include_spans_of",
                f"Up to {_MAX_IDS} ids of runs, separated by commas. Spans of other runs are not "
                "sent, which suits a list next to an open run. The runs need not exist.",
            ),
        ),
        open=_open,
    ),
)
