"""The lines of an export: one JSON object for each stored row, with its ``type``.

A line has the columns of its row, except for the account and columns that can be derived. Times are
ISO 8601 text. Stored JSON documents are part of the line, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_skeleton import FLAG_NAMES
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.times import format_time
from prefactor_server.queries.runs.export import ExportedRow, SchemaVersionRecord
from prefactor_server.storage.base import SpanRecord

FORMAT_VERSION: Final = 1

HEAD: Final = "export"
"""The type of the first line, which identifies the file and its account."""

END: Final = "export_end"
"""The type of the last line. A file without it is incomplete."""

Visible = Callable[[bytes], bytes]
"""Returns a JSON document as the reader of an export may see it."""

Members = dict[str, Any]
"""The members of a line: texts, numbers, booleans, None, or a JSON document as ``msgspec.Raw``."""

# The skeleton derives the flag parent_missing from the tree. It is never stored.
SPAN_FLAGS: Final[Mapping[str, int]] = {
    name: flag for name, flag in FLAG_NAMES.items() if name != "parent_missing"
}

_encoder: Final = msgspec.json.Encoder()
_NULL: Final = msgspec.Raw(b"null")


class LineKind(NamedTuple):
    """One type of line. ``left_out`` are the columns that can be derived from others."""

    name: str
    row: type[Any]
    left_out: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are members of a line."""
        return _columns(self)


@cache
def _columns(kind: LineKind) -> Sequence[str]:
    left_out = kind.left_out | {"account_id"}
    return tuple(one for one in kind.row._fields if one not in left_out)


_COUNTERS: Final = frozenset(one for one in AgentInstance._fields if one.endswith("_spans"))

KINDS: Final[Sequence[LineKind]] = (
    LineKind("environment", Environment),
    LineKind(
        "risk_profile",
        RiskProfile,
        documents=frozenset({"category_weights", "action_multipliers", "thresholds"}),
    ),
    LineKind("agent", Agent),
    LineKind(
        "agent_schema_version",
        AgentSchemaVersion,
        left_out=frozenset({"content_hash", "span_type_count"}),
    ),
    LineKind(
        "agent_version",
        AgentVersion,
        left_out=frozenset({"metadata_hash"}),
        documents=frozenset({"runtime_environment"}),
    ),
    LineKind("agent_deployment", AgentDeployment),
    LineKind("agent_instance", AgentInstance, left_out=_COUNTERS | {"imported_at"}),
    LineKind("agent_instance_metadata", InstanceMetadata, documents=frozenset({"document"})),
    LineKind("agent_instance_quality", InstanceQuality, documents=frozenset({"document"})),
    LineKind(
        "agent_span",
        AgentSpan,
        left_out=frozenset({"agent_id", "environment_id", "payload_size", "result_size"}),
    ),
    LineKind("alert", Alert, documents=frozenset({"payload"})),
)
BY_ROW: Final[Mapping[type[Any], LineKind]] = {kind.row: kind for kind in KINDS}
BY_NAME: Final[Mapping[str, LineKind]] = {kind.name: kind for kind in KINDS}


def head_line(account_id: str, *, masked: bool) -> bytes:
    """Return the first line of an export."""
    members = {
        "type": HEAD,
        "format_version": FORMAT_VERSION,
        "account_id": account_id,
        "sensitive_values": "masked" if masked else "included",
    }
    return encode_line(members)


def end_line(runs: int, spans: int) -> bytes:
    """Return the last line of an export."""
    return encode_line({"type": END, "agent_instances": runs, "agent_spans": spans})


def encode_line(members: Members) -> bytes:
    """Return an encoded line."""
    return _encoder.encode(members) + b"\n"


def members_of(exported: ExportedRow, visible: Visible) -> Members:
    """Return the members of the line for a row, as a reader may see them."""
    if isinstance(exported, SpanRecord):
        return _span(exported, visible)
    if isinstance(exported, SchemaVersionRecord):
        members = _row(exported.version, visible)
        return {**members, "document": msgspec.Raw(exported.document)}
    return _row(exported, visible)


def _span(record: SpanRecord, visible: Visible) -> Members:
    span, members = record.span, _row(record.span, visible)
    members["flags"] = [name for name, flag in SPAN_FLAGS.items() if span.flags & flag]
    # The API shows an empty payload for a span that was recorded without one.
    members["payload"] = msgspec.Raw(visible(record.payload)) if span.payload_size else _NULL
    members["result_payload"] = (
        _NULL if record.result is None else msgspec.Raw(visible(record.result))
    )
    return members


def _row(row: Any, visible: Visible) -> Members:
    kind = BY_ROW[type(row)]
    members: Members = {"type": kind.name}
    for column in kind.columns:
        value = getattr(row, column)
        if column in kind.documents:
            members[column] = _document(value, visible)
        elif column.endswith("_at") and value is not None:
            members[column] = format_time(value)
        else:
            members[column] = value
    return members


def _document(value: bytes | str | None, visible: Visible) -> msgspec.Raw:
    if value is None:
        return _NULL
    return msgspec.Raw(visible(value.encode() if isinstance(value, str) else value))
