"""The skeleton of a run: all its spans as columns, without payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel


class SkeletonSchema(ReplyModel):
    """A span type that occurs in the run."""

    name: str
    title: str | None = None


class SkeletonColumns(ReplyModel):
    """Columns with one entry per span, parents before children.

    The column of span types is `schema_` here and `schema` on the wire. Older servers omit the
    columns that may be None.
    """

    id: list[str]
    parent: list[int | None]
    """The index of the parent in these columns; None for a root."""
    schema_: list[int] = Field(alias="schema")
    """An index into the skeleton's `schemas`."""
    status: list[str]
    started_at: list[int | None]
    """Microseconds since the skeleton's `origin`; None for a span that has not started."""
    duration: list[int | None]
    """Microseconds from start to finish; None for a span that has not finished."""
    summary: list[str | None]
    flags: list[int]
    """Sums of values in the skeleton's `flag_values`."""
    kind: list[str] | None = None
    """`llm`, `tool`, `agent`, `retrieval`, `http`, `guard`, `human` or `other`."""
    tool_name: list[int | None] | None = None
    """An index into the skeleton's `tool_names`."""
    model: list[int | None] | None = None
    """An index into the skeleton's `models`."""
    total_tokens: list[int | None] | None = None
    cost: list[float | None] | None = None
    """In the skeleton's `currency`; None for a span without a price."""


class AgentInstanceSkeleton(ReplyModel):
    """All spans of a run, in the order of their tree."""

    type: Literal["agent_instance_skeleton"]
    agent_instance_id: str
    total: int
    origin: datetime | None = None
    """The start of the run or of its first span, whichever was earlier."""
    schemas: list[SkeletonSchema]
    flag_values: dict[str, int] = Field(default_factory=dict)
    tool_names: list[str] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)
    currency: str | None = None
    columns: SkeletonColumns
