"""The export of a run: everything that is stored of it, to be read elsewhere or imported."""

from __future__ import annotations

from typing import Any, Final

from prefactor_server.api.asgi.download import Download
from prefactor_server.api.kernel.operation import Call, Downloaded, Parameter
from prefactor_server.api.kernel.query import one_of
from prefactor_server.api.kernel.sensitive import visible_document
from prefactor_server.domain.errors import NotFound, Unavailable, ValidationFailed
from prefactor_server.transfer.jsonl import run_as_jsonl

FORMATS: Final = ("jsonl",)
_format: Final = one_of(*FORMATS)


async def _answer(call: Call) -> Download:
    principal, reader = call.principal, call.services.reader
    _format("format", call.query.get("format", FORMATS[0]))
    run = await reader.agent_instances.show(principal, call.path_id)
    pieces = run_as_jsonl(
        reader.exports,
        run,
        lambda document: visible_document(document, principal),
        masked=not principal.sees_sensitive,
        account=principal.scope == "account",
    )
    return Download(b"application/x-ndjson", pieces)


OPERATIONS = (
    Downloaded(
        name="agent_instances.export",
        method="GET",
        path="/api/v1/agent_instance/{agent_instance_id}/export",
        right="read",
        summary="Export a run",
        description=(
            "Everything of the run: what it belongs to, its metadata, quality, spans with payloads "
            "and alerts, as JSON Lines that `prefactor-server import` takes. It is sent while it "
            "is read, however large the run is. A body without its last line, of type "
            "export_end, is not whole. Sensitive values are null for callers who may not see "
            "them; a deployment token gets no alerts and no risk profile. Compressed with zstd or "
            "gzip if Accept-Encoding asks."
        ),
        reply=dict[str, Any],
        content=("application/x-ndjson",),
        refusals=(NotFound, ValidationFailed, Unavailable),
        parameters=(
            Parameter(
                "format",
                "jsonl: one JSON object a line.",
                schema={"type": "string", "enum": list(FORMATS), "default": FORMATS[0]},
            ),
        ),
        answer=_answer,
    ),
)
