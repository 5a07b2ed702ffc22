"""The skeleton of a run: all its spans in one answer, as columns and without payloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.kernel.operation import Call, Streamed
from prefactor_server.api.views.base import Success, show_optional_time
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.runs.agent_instance_skeleton import FLAG_NAMES, Skeleton
from prefactor_server.domain.runs.agent_span import SpanStatus
from prefactor_server.domain.runs.span_kind import Kind

# About a hundred kilobytes.
_ENTRIES: Final = 8192
# Its row, its entries in the columns, and its JSON.
_BYTES_PER_SPAN: Final = 1024
_encoder: Final = msgspec.json.Encoder()


class SkeletonSchema(msgspec.Struct, frozen=True):
    """A span type of the run."""

    name: str
    title: str


class SkeletonColumns(msgspec.Struct, frozen=True):
    """One entry of each column for each span.

    ``parent`` is the index of the parent in these columns. It is smaller than that of the child,
    and null for a root. ``schema`` is an index into ``schemas``. ``started_at`` is in microseconds
    since ``origin``, and null for a span that has not started. ``duration`` is in microseconds, and
    null for a span that has not finished. ``flags`` is a sum of the numbers in ``flag_values``.
    ``tool_name`` is an index into ``tool_names``, and ``model`` into ``models``. ``cost`` is in the
    ``currency``, and null without a price.
    """

    id: list[str]
    parent: list[int | None]
    schema: list[int]
    status: list[SpanStatus]
    started_at: list[int | None]
    duration: list[int | None]
    summary: list[str | None]
    flags: list[int]
    kind: list[Kind]
    tool_name: list[int | None]
    model: list[int | None]
    total_tokens: list[int | None]
    cost: list[float | None]


class AgentInstanceSkeleton(msgspec.Struct, frozen=True, kw_only=True):
    """All spans of a run, parents before children, and siblings ordered by start time.

    ``origin`` is the start of the run or of its first span, whichever is earlier. A span whose
    parent is not in the run, or that is its own ancestor, is a root with ``parent_missing``.
    """

    type: Literal["agent_instance_skeleton"] = "agent_instance_skeleton"
    agent_instance_id: str
    total: int
    origin: str | None
    schemas: list[SkeletonSchema]
    flag_values: dict[str, int]
    tool_names: list[str]
    models: list[str]
    currency: str | None
    columns: SkeletonColumns


async def _answer(call: Call) -> Iterator[bytes]:
    reader = call.services.reader
    run = await reader.agent_instances.show(call.principal, call.path_id)
    call.memory.reserve(run.span_total * _BYTES_PER_SPAN)
    prices = call.services.prices
    skeleton = await reader.agent_instance_skeletons.show(run, prices)
    return _pieces(run.id, skeleton, prices.currency)


def _pieces(run_id: str, skeleton: Skeleton, currency: str | None) -> Iterator[bytes]:
    """Yield the answer, a ``Success[AgentInstanceSkeleton]``, column by column."""
    head = {
        "type": "agent_instance_skeleton",
        "agent_instance_id": run_id,
        "total": len(skeleton.columns.id),
        "origin": show_optional_time(skeleton.origin),
        "schemas": [SkeletonSchema(name, title or name) for name, title in skeleton.schemas],
        "flag_values": FLAG_NAMES,
        "tool_names": skeleton.tool_names,
        "models": skeleton.models,
        "currency": currency,
    }
    yield b'{"status":"success","details":' + _encoder.encode(head)[:-1] + b',"columns":{'
    for number, (name, column) in enumerate(skeleton.columns._asdict().items()):
        yield (b"," if number else b"") + b'"%s":[' % name.encode()
        yield from _entries(column)
        yield b"]"
    yield b"}}}"


def _entries(column: Sequence[Any]) -> Iterator[bytes]:
    for start in range(0, len(column), _ENTRIES):
        comma = b"," if start else b""
        yield comma + _encoder.encode(column[start : start + _ENTRIES])[1:-1]


OPERATIONS = (
    Streamed(
        name="agent_instances.skeleton",
        method="GET",
        path="/api/v1/agent_instance/{agent_instance_id}/skeleton",
        right="read",
        summary="Show the skeleton of a run",
        description=(
            "Returns any number of spans in one response, as columns in the order of the tree. "
            "Payloads are not included, and are read span by span. The response is compressed with "
            "zstd or gzip if Accept-Encoding allows it."
        ),
        reply=Success[AgentInstanceSkeleton],
        refusals=(NotFound,),
        answer=_answer,
    ),
)
