"""Live events: what is told about runs and spans while they change."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from prefactor_http.models.agent_instance import AgentInstance
from prefactor_http.models.agent_span import AgentSpan
from prefactor_http.models.base import OpenWord, ReplyModel

EventKind: TypeAlias = Literal["ready", "changes", "reload"]
"""What an event says: the stream has begun, rows have changed, or changes were lost."""


class LiveEvent(ReplyModel):
    """One event of a stream.

    `kind` is an `EventKind`. A kind that this version does not know is passed on as it is.
    """

    kind: Annotated[str, OpenWord(EventKind)]
    position: int
    """Up to where everything has been told; `last_event_id` of a later stream."""
    runs: list[AgentInstance] = Field(default_factory=list[AgentInstance])
    """Changed runs as they are now, as lists show them, without what is computed from spans."""
    spans: list[AgentSpan] = Field(default_factory=list[AgentSpan])
    """Changed spans as they are now, with summaries and without payloads."""
    deleted_runs: list[str] = Field(default_factory=list[str])
    """Ids of runs that are gone, with their spans."""
    reason: str | None = None
    """Of a `reload`: why changes were lost."""
