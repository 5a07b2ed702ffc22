"""Messages that come as log records are added to the span that they name."""

from itertools import permutations
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_request import CHAT, JSON, PROTOBUF, TRACE, attributes, export, outcome, runs, span, value


def _record(name: str, body: Any, at: int, *, number: int = 1, trace: str = TRACE) -> Any:
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "timeUnixNano": str(at),
        "eventName": name,
        "attributes": attributes({"gen_ai.system": "vendor"}),
        "body": value(body),
    }


def _logs(*records: Any) -> Any:
    named = attributes({"service.name": "support"})
    scope = {"logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": named}, "scopeLogs": [scope]}]}


async def _send(api_client: Any, *records: Any) -> None:
    answer = await api_client.post("/otlp/v1/logs", _logs(*records), headers=JSON)
    assert (answer.status, answer.body) == (200, {})


async def test_messages_are_added_in_every_order(api_client: Any) -> None:
    """Question, answer and span are merged into one span, in any order and if repeated."""
    found = []
    for number, order in enumerate(permutations(("question", "answer", "span"))):
        trace = f"{number + 1:032x}"
        question = _record("gen_ai.user.message", {"content": "Hello?"}, 1, trace=trace)
        message = {"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}
        reply = _record("gen_ai.choice", message, 2, trace=trace)
        steps: dict[str, Any] = {
            "question": lambda one=question: _send(api_client, one),
            "answer": lambda one=reply: _send(api_client, one),
            "span": lambda one=trace: export(api_client, [span(1, None, CHAT, trace=one)]),
        }
        for step in (*order, *order):
            await steps[step]()
        found.append(await outcome(api_client, trace))

    _, spans = found[0]
    payload, result = spans[1][7:]
    assert [one["content"] for one in payload["messages"]] == ["Hello?"]
    assert (result["text"], result["finish_reason"]) == ("Hi", "stop")
    assert result["token_usage"]["total_tokens"] == 15
    assert spans[1][3] == "m-1: Hi"
    assert [one for one in found if one != found[0]] == []


async def test_other_records_are_ignored(api_client: Any) -> None:
    """Ordinary log lines are accepted with 200, in protobuf and JSON, and discarded."""
    line = {"severityText": "INFO", "body": value("a line of a log")}
    message = ParseDict(_logs(line), ExportLogsServiceRequest())
    packed = await api_client.post("/otlp/v1/logs", message.SerializeToString(), headers=PROTOBUF)
    await _send(api_client, line, {**_record("http.request", {}, 1)})

    assert (packed.status, packed.text) == (200, "")
    assert await runs(api_client) == []
    assert await api_client.rows("SELECT count(*) FROM otlp_trace") == [(0,)]


async def test_messages_of_the_span_take_precedence(api_client: Any) -> None:
    """Messages in the span itself win over those in its log records."""
    own = {**CHAT, "gen_ai.input.messages": msgspec.json.encode([{"content": "own"}]).decode()}
    await export(api_client, [span(1, None, own)])
    await _send(api_client, _record("gen_ai.user.message", {"content": "other"}, 1))
    _, spans = await outcome(api_client)

    assert spans[1][7]["messages"] == [{"content": "own"}]


async def test_a_record_with_zeros_as_ids_has_no_span(api_client: Any) -> None:
    """Ids of zeros mean that a record has no span, so it is ignored and not reported as invalid."""
    record = _record("gen_ai.user.message", {"content": "Hello?"}, 1, number=0, trace="0" * 32)
    message = ParseDict(_logs({**record, "traceId": "", "spanId": ""}), ExportLogsServiceRequest())
    sent = message.resource_logs[0].scope_logs[0].log_records[0]
    sent.trace_id, sent.span_id = bytes(16), bytes(8)

    await _send(api_client, record)
    answer = await api_client.post("/otlp/v1/logs", message.SerializeToString(), headers=PROTOBUF)

    assert answer.status == 200
    assert await api_client.rows("SELECT id FROM otlp_trace") == []
