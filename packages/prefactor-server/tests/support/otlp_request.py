"""Export requests of OpenTelemetry, built span by span, in both encodings."""

import math
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import ParseDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE = "5b8efff798038103d269b633813fc60c"
START = 1_767_225_600_000_000_000
REMOTE = 0x300
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m-1",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}
HTTP = {"http.request.method": "POST"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def value(given: Any) -> Any:
    """An AnyValue as OTLP writes it in JSON."""
    match given:
        case bool():
            return {"boolValue": given}
        case int():
            return {"intValue": str(given)}
        case float():
            return {"doubleValue": given if math.isfinite(given) else "NaN"}
        case list():
            return {"arrayValue": {"values": [value(one) for one in given]}}
        case dict():
            return {"kvlistValue": {"values": attributes(given)}}
        case _:
            return {"stringValue": given}


def attributes(given: Any) -> list[Any]:
    """Attributes as OTLP writes them."""
    return [{"key": key, "value": value(one)} for key, one in given.items()]


def span(
    number: int,
    parent: int | None = None,
    given: Any = None,
    *,
    name: str = "a span",
    trace: str = TRACE,
    seconds: tuple[float, float] | None = None,
    **more: Any,
) -> Any:
    """One span; its id is its number. It lasts longer the smaller its number is."""
    start, end = seconds or (number, 100 - number)
    above = {} if parent is None else {"parentSpanId": f"{parent:016x}"}
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "name": name,
        "startTimeUnixNano": str(START + int(start * 1e9)),
        "endTimeUnixNano": str(START + int(end * 1e9)),
        "attributes": attributes(given or {}),
        **above,
        **more,
    }


def failed(message: str, kind: str = "ValueError") -> Any:
    """The status and the event of a span that ended with an exception."""
    event = {"exception.type": kind, "exception.message": message, "exception.stacktrace": "at x"}
    return {
        "status": {"code": 2, "message": message},
        "events": [{"name": "exception", "attributes": attributes(event)}],
    }


def request(spans: Sequence[Any], **resource: str) -> Any:
    """Build an export request in JSON. Underscores in attribute names become dots."""
    named = {"service_name": "support", **resource}
    found = attributes({name.replace("_", "."): text for name, text in named.items()})
    scope = {"scope": {"name": "test"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": found}, "scopeSpans": [scope]}]}


def protobuf(body: Any) -> bytes:
    """The same request in protobuf, which has its ids as bytes."""
    message = ExportTraceServiceRequest()
    bare = {
        "resourceSpans": [
            {
                **one,
                "scopeSpans": [
                    {**scoped, "spans": [_without_ids(each) for each in scoped["spans"]]}
                    for scoped in one["scopeSpans"]
                ],
            }
            for one in body["resourceSpans"]
        ]
    }
    ParseDict(bare, message)
    for one, into in zip(body["resourceSpans"], message.resource_spans, strict=True):
        for scoped, inner in zip(one["scopeSpans"], into.scope_spans, strict=True):
            for each, made in zip(scoped["spans"], inner.spans, strict=True):
                made.trace_id = bytes.fromhex(each["traceId"])
                made.span_id = bytes.fromhex(each["spanId"])
                made.parent_span_id = bytes.fromhex(each.get("parentSpanId", ""))
    return message.SerializeToString()


def _without_ids(one: Any) -> Any:
    ids = {"traceId", "spanId", "parentSpanId"}
    return {name: found for name, found in one.items() if name not in ids}


async def export(api_client: Any, spans: Sequence[Any], **resource: str) -> Any:
    """Send spans as JSON and return the answer's body."""
    answer = await api_client.post("/otlp/v1/traces", request(spans, **resource), headers=JSON)
    assert answer.status == 200, answer.text
    return answer.body


def told(answer: Any, status: int) -> Status:
    """Return the Status in an error, decoded by its content type."""
    assert answer.status == status, answer.text
    if answer.headers["Content-Type"] == PROTOBUF["Content-Type"]:
        return Status.FromString(answer.content)
    assert answer.headers["Content-Type"] == JSON["Content-Type"]
    return ParseDict(answer.body, Status())


async def runs(api_client: Any, **query: str) -> Any:
    """All runs of the account."""
    return (await api_client.get("/agent_instance", query)).summaries


async def outcome(api_client: Any, trace: str = TRACE) -> Any:
    """Return a trace's run without ids, and its spans by number."""
    (run,) = await runs(api_client, external_identifier=trace)
    query = {"agent_instance_id": run["id"], "include_summaries": "true"}
    spans = (await api_client.get("/agent_spans", query)).summaries
    numbers = {one["id"]: int(one["payload"]["otel"]["span_id"], 16) for one in spans}
    kept = ("status", "started_at", "finished_at", "ended_by", "metadata", "span_counts")
    return {name: run[name] for name in kept}, {
        numbers[one["id"]]: (
            numbers.get(one["parent_span_id"]),
            one["schema_name"],
            one["status"],
            one["summary"],
            one["started_at"],
            one["finished_at"],
            one["total_tokens"],
            {**one["payload"], "otel": None},
            one["result_payload"],
        )
        for one in spans
    }
