"""Live events about runs and spans."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from prefactor_http.models.agent_instance import AgentInstance
from prefactor_http.models.agent_span import AgentSpan
from prefactor_http.models.base import OpenWord, ReplyModel

EventKind: TypeAlias = Literal["ready", "changes", "reload"]
"""The kind of an event: the stream began, rows changed, or changes were lost."""


class LiveEvent(ReplyModel):
    """One event of a stream.

    `kind` is an `EventKind`. A kind unknown to this version is kept.
    """

    kind: Annotated[str, OpenWord(EventKind)]
    position: int
    """The position up to which changes were sent; pass it as `last_event_id` to continue."""
    runs: list[AgentInstance] = Field(default_factory=list[AgentInstance])
    """The current state of changed runs, as in lists, without data computed from spans."""
    spans: list[AgentSpan] = Field(default_factory=list[AgentSpan])
    """The current state of changed spans, with summaries and without payloads."""
    deleted_runs: list[str] = Field(default_factory=list[str])
    """The ids of runs that were deleted with their spans."""
    reason: str | None = None
    """For a `reload`: why changes were lost."""
