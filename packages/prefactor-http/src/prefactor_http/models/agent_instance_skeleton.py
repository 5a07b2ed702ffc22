"""The skeleton of a run: all of its spans at once, as columns, without their payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class SkeletonSchema(ReplyModel):
    """A kind of span that the run has."""

    name: str
    title: str | None = None


class SkeletonColumns(ReplyModel):
    """One entry of each column for each span, parents before children.

    The column of the types is `schema_` here and `schema` on the wire. Older servers leave out the
    columns that may be None.
    """

    id: list[str]
    parent: list[int | None]
    """The place of the parent in these columns; None for a root."""
    schema_: list[int] = Field(alias="schema")
    """A place in the skeleton's `schemas`."""
    status: list[str]
    started_at: list[int | None]
    """Microseconds since the skeleton's `origin`; None for a span that has not started."""
    duration: list[int | None]
    """Microseconds from start to finish; None for a span that has not finished."""
    summary: list[str | None]
    flags: list[int]
    """Sums of numbers in the skeleton's `flag_values`."""
    kind: list[str] | None = None
    """`llm`, `tool`, `agent`, `retrieval`, `http`, `guard`, `human` or `other`."""
    tool_name: list[int | None] | None = None
    """A place in the skeleton's `tool_names`."""
    model: list[int | None] | None = None
    """A place in the skeleton's `models`."""
    total_tokens: list[int | None] | None = None
    cost: list[float | None] | None = None
    """In the skeleton's `currency`; None for a span that has no price."""


class AgentInstanceSkeleton(ReplyModel):
    """All spans of a run, however many they are, in the order of their tree."""

    type: Literal["agent_instance_skeleton"]
    agent_instance_id: str
    total: int
    origin: datetime | None = None
    """When the run or its first span started, whichever was first."""
    schemas: list[SkeletonSchema]
    flag_values: dict[str, int] = Field(default_factory=dict)
    tool_names: list[str] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)
    currency: str | None = None
    columns: SkeletonColumns
