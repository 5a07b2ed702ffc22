"""The export of a run: everything that is stored of it, to read elsewhere or to import."""

from __future__ import annotations

from typing import Any, Final

from prefactor_server.api.asgi.download import Download
from prefactor_server.api.kernel.operation import Call, Downloaded, Parameter
from prefactor_server.api.kernel.query import one_of
from prefactor_server.api.kernel.sensitive import visible_document
from prefactor_server.domain.errors import NotFound, Unavailable, ValidationFailed
from prefactor_server.transfer.export import Encoding, export_run
from prefactor_server.transfer.jsonl import JsonlEncoding
from prefactor_server.transfer.otlp import OtlpEncoding

FORMATS: Final = ("jsonl", "otlp")
_CONTENT: Final = {"jsonl": "application/x-ndjson", "otlp": "application/json"}
_format: Final = one_of(*FORMATS)


async def _answer(call: Call) -> Download:
    principal, reader = call.principal, call.services.reader
    format_ = _format("format", call.query.get("format", FORMATS[0]))
    encoding: Encoding = JsonlEncoding() if format_ == "jsonl" else OtlpEncoding(one_message=True)
    run = await reader.agent_instances.show(principal, call.path_id)
    pieces = export_run(
        reader.exports,
        encoding,
        run,
        lambda document: visible_document(document, principal),
        masked=not principal.sees_sensitive,
        account=principal.scope == "account",
    )
    in_turns = call.services.costly_reads.each(principal.token_id, pieces)
    return Download(_CONTENT[format_].encode(), in_turns)


OPERATIONS = (
    Downloaded(
        name="agent_instances.export",
        method="GET",
        path="/api/v1/agent_instance/{agent_instance_id}/export",
        right="read",
        summary="Export a run",
        description=(
            "Returns the run, the resources that it belongs to, its metadata, quality, spans with "
            "payloads, and alerts, as JSON Lines or OTLP. `prefactor-server import` reads both. A "
            "run of any size is sent while it is read. The response is truncated if JSON Lines do "
            "not end with a line of type export_end, or if OTLP is not a complete JSON document. "
            "Sensitive values are null for callers who may not see them. A deployment token gets "
            "no alerts and no risk profile. The response is compressed with zstd or gzip if "
            "Accept-Encoding allows it."
        ),
        reply=dict[str, Any],
        content=tuple(_CONTENT.values()),
        refusals=(NotFound, ValidationFailed, Unavailable),
        parameters=(
            Parameter(
                "format",
                "jsonl: one JSON object per line. otlp: one TracesData message in JSON.",
                schema={"type": "string", "enum": list(FORMATS), "default": FORMATS[0]},
            ),
        ),
        answer=_answer,
    ),
)
