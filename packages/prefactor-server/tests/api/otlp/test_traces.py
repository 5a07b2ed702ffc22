"""Spans received over OTLP become runs, each span once, however they are sent."""

import gzip
from typing import Any

import msgspec
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_request import (
    AGENT,
    CHAT,
    HTTP,
    JSON,
    PROTOBUF,
    REMOTE,
    START,
    TOOL,
    TRACE,
    export,
    failed,
    outcome,
    protobuf,
    request,
    runs,
    span,
    told,
)

OTHER = "1" * 32
CONVERSATION = [
    span(1, None, {**AGENT, "session.id": "s-1", "user.id": "u-1"}, name="invoke_agent helper"),
    span(2, 1, CHAT, name="chat m-1"),
    span(3, 1, TOOL, name="execute_tool find", **failed("no such table")),
]


async def test_a_trace_is_a_run(api_client: Any) -> None:
    """A run keeps the spans' tree, texts, tokens, statuses, times and user ids."""
    body = request(CONVERSATION, service_version="1.4")
    answer = await api_client.post("/otlp/v1/traces", protobuf(body), headers=PROTOBUF)

    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["Content-Type"] == "application/x-protobuf"
    run, spans = await outcome(api_client)
    assert (run["status"], run["ended_by"]) == ("complete", None)
    assert run["metadata"] == {"session_id": "s-1", "user_id": "u-1"}
    assert run["span_counts"]["total"] == 3
    assert [one[:4] for one in (spans[1], spans[2], spans[3])] == [
        (None, "otel:agent", "complete", "invoke_agent helper"),
        (1, "otel:llm", "complete", "m-1:"),
        (1, "otel:tool", "failed", "find:"),
    ]
    assert spans[2][6] == 15
    assert spans[3][8]["error"] == {
        "error_type": "ValueError",
        "message": "no such table",
        "stacktrace": "at x",
    }
    (listed,) = await runs(api_client)
    version = (await api_client.get(f"/agent_version/{listed['agent_version_id']}")).details
    agent = (await api_client.get(f"/agent/{listed['agent_id']}")).details
    assert version["external_identifier"] == "1.4"
    assert (agent["name"], agent["external_identifier"]) == ("support", "support")
    assert listed["started_at"] == "2026-01-01T00:00:01.000000Z"
    assert listed["finished_at"] == "2026-01-01T00:01:39.000000Z"


async def test_json_and_protobuf_are_equivalent(api_client: Any) -> None:
    """Both encodings, with every kind of value, plain or compressed, end in the same run."""
    values = {
        **CHAT,
        "yes": True,
        "big": 2**62,
        "ratio": 0.5,
        "odd": float("nan"),
        "list": ["a", 1],
        "map": {"a": {"b": "c"}},
    }
    spans = [span(1, None, AGENT), span(2, 1, values, **failed("x"))]
    others = [{**one, "traceId": OTHER} for one in spans]
    packed = gzip.compress(protobuf(request(spans)))
    answer = await api_client.post(
        "/otlp/v1/traces", packed, headers={**PROTOBUF, "Content-Encoding": "gzip"}
    )
    text = msgspec.json.encode(request(others))
    also = await api_client.post(
        "/otlp/v1/traces",
        zstandard.compress(text),
        headers={**JSON, "Content-Encoding": "zstd"},
    )

    assert (answer.status, also.status, also.body) == (200, 200, {})
    assert await outcome(api_client, TRACE) == await outcome(api_client, OTHER)


async def test_a_repeat_changes_nothing(api_client: Any) -> None:
    """However a retry regroups the spans into requests, each is stored once."""
    await export(api_client, CONVERSATION)
    before = await outcome(api_client)
    stored = await api_client.rows("SELECT id, updated_at FROM agent_span ORDER BY id")

    for again in (CONVERSATION, CONVERSATION[1:], [*CONVERSATION, *CONVERSATION]):
        assert await export(api_client, again) == {}

    assert await outcome(api_client) == before
    assert await api_client.rows("SELECT id, updated_at FROM agent_span ORDER BY id") == stored


async def test_a_span_twice_in_a_request_is_one_span(api_client: Any) -> None:
    """The first of two spans with the same id in a request is stored, and counted once."""
    await export(api_client, [span(2, 1, CHAT), span(2, 1, TOOL, **failed("late"))])

    run, spans = await outcome(api_client)
    assert run["span_counts"] | {"total": 1, "complete": 1, "failed": 0} == run["span_counts"]
    assert [(number, one[1]) for number, one in spans.items()] == [(2, "otel:llm")]


async def test_another_server_continues_a_trace(api_client: Any, database_url: str) -> None:
    """A process with no memory of a trace continues what another has stored."""
    from api_client import open_api_client  # noqa: PLC0415 - a second one, beside the fixture

    await export(api_client, CONVERSATION[1:2])
    if database_url.startswith("sqlite"):
        # Only one process can hold the file, so this one forgets the trace.
        _forget(api_client)
        await export(api_client, CONVERSATION)
    else:
        async with open_api_client(database_url) as other:
            await export(other, CONVERSATION)

    run, spans = await outcome(api_client)
    assert (run["status"], sorted(spans)) == ("complete", [1, 2, 3])


async def test_unrelated_spans_are_left_out(api_client: Any) -> None:
    """HTTP and database spans are kept only between spans about agents."""
    await export(
        api_client,
        [
            span(1, None, HTTP, name="POST /chat"),
            span(2, 1, AGENT),
            span(3, 2, HTTP, name="in between"),
            span(4, 3, CHAT),
            span(5, 4, HTTP, name="to the vendor"),
        ],
    )
    run, spans = await outcome(api_client)

    assert {number: one[:2] for number, one in spans.items()} == {
        2: (None, "otel:agent"),
        3: (2, "otel:step"),
        4: (3, "otel:llm"),
    }
    # The root that was left out still sets the start and the end of the run.
    assert run["started_at"] == "2026-01-01T00:00:01.000000Z"
    assert run["finished_at"] == "2026-01-01T00:01:39.000000Z"


async def test_a_trace_without_agents_makes_no_run(api_client: Any) -> None:
    """Ordinary traces of a service that exports to this server are not recorded."""
    await export(api_client, [span(1, None, HTTP), span(2, 1, HTTP)])

    assert await runs(api_client) == []


async def test_each_agent_of_a_trace_has_its_run(api_client: Any) -> None:
    """An agent called by another in the same trace has its own run."""
    await export(api_client, [span(1, None, AGENT), span(2, 1, CHAT)])
    await export(api_client, [span(3, 2, AGENT, flags=REMOTE)], service_name="callee")

    statuses = [(one["external_identifier"], one["status"]) for one in await runs(api_client)]
    assert statuses == [(TRACE, "complete")] * 2


async def test_a_failed_root_fails_the_run(api_client: Any) -> None:
    """A run has the status of its root, and is active until the root arrives."""
    await export(api_client, [span(2, 1, CHAT)])
    active, _ = await outcome(api_client)
    await export(api_client, [span(1, None, AGENT, **failed("boom"))])
    ended, _ = await outcome(api_client)
    await export(
        api_client, [span(1, None, AGENT, trace=OTHER, **failed("stop", "asyncio.CancelledError"))]
    )

    assert (active["status"], active["finished_at"]) == ("active", None)
    assert ended["status"] == "failed"
    assert (await outcome(api_client, OTHER))[0]["status"] == "cancelled"


async def test_metadata_keys_that_a_run_has_are_counted_once(api_client: Any) -> None:
    """Later spans may set keys up to the limit, also together with keys that the run has."""
    await export(api_client, [span(1, None, {**AGENT, "user.id": "u-1"})])
    (run,) = await runs(api_client, external_identifier=TRACE)
    changes = {f"k{number}": "v" for number in range(14)}
    path = f"/agent_instance/{run['id']}/metadata"
    assert (await api_client.call("PUT", path, {"metadata": changes})).status == 200
    await export(api_client, [span(2, 1, {**CHAT, "user.id": "u-1", "session.id": "s-1"})])

    run, _ = await outcome(api_client)
    assert run["metadata"] == {**changes, "user_id": "u-1", "session_id": "s-1"}


async def test_a_deployment_token_decides_agent_and_environment(api_client: Any) -> None:
    """Agent and environment come from the token, whatever the resource says."""
    mine = await api_client.register()
    token = await api_client.deployment_token(mine)
    body = request([span(1, None, AGENT)], deployment_environment_name="moon")
    answer = await api_client.post("/otlp/v1/traces", body, headers=JSON, token=token)

    assert answer.status == 200
    (run,) = await runs(api_client, external_identifier=TRACE)
    assert (run["agent_id"], run["environment_id"]) == (mine["agent_id"], mine["environment_id"])


async def test_an_environment_is_found_by_its_name(api_client: Any) -> None:
    """A run uses the named environment, which is created if it does not exist."""
    for number, trace in enumerate((TRACE, OTHER)):
        spans = [span(1, None, AGENT, trace=trace)]
        await export(api_client, spans, deployment_environment_name="staging", n=str(number))

    listed = (await api_client.get("/environment")).summaries
    made = {one["id"] for one in listed if one["name"] == "staging"}
    assert {one["environment_id"] for one in await runs(api_client)} == made
    assert len(made) == 1


async def test_a_deleted_environment_is_created_again(api_client: Any) -> None:
    """Spans that name an environment are stored after it was deleted."""
    await export(api_client, CONVERSATION)
    # The run stays where it is, so nothing refers to the environment.
    await export(api_client, [span(4, 1, TOOL)], deployment_environment_name="staging")
    listed = (await api_client.get("/environment")).summaries
    (first,) = (one["id"] for one in listed if one["name"] == "staging")
    assert (await api_client.call("DELETE", f"/environment/{first}")).status == 200

    spans = [span(1, None, AGENT, trace=OTHER)]
    answer = await export(api_client, spans, deployment_environment_name="staging")

    assert "partialSuccess" not in answer
    (run,) = await runs(api_client, external_identifier=OTHER)
    environment = await api_client.get(f"/environment/{run['environment_id']}")
    assert environment.details["name"] == "staging"


async def test_invalid_spans_are_named_and_others_stored(api_client: Any) -> None:
    """Spans without ids or times are counted in partial success, in either encoding."""
    bad = [{**span(4, 1, CHAT), "spanId": "zz"}, {**span(5, 1, CHAT), **_no_times()}]
    said = (await export(api_client, [*CONVERSATION, *bad]))["partialSuccess"]
    packed = await api_client.post(
        "/otlp/v1/traces",
        protobuf(request([{**span(5, 1, CHAT), **_no_times()}])),
        headers=PROTOBUF,
    )
    answer = ExportTraceServiceResponse.FromString(packed.content)

    assert said["rejectedSpans"] == 2
    assert "no valid span id" in said["errorMessage"]
    assert "0000000000000005 (a span) has no time" in said["errorMessage"]
    assert answer.partial_success.rejected_spans == 1
    assert len((await outcome(api_client))[1]) == 3


async def test_a_retired_agent_is_refused_by_name(api_client: Any) -> None:
    """A run that cannot be registered is not stored, and the answer says why."""
    await export(api_client, [span(1, None, AGENT)])
    (run,) = await runs(api_client)
    await api_client.post(f"/agent/{run['agent_id']}/retire")
    said = (await export(api_client, [span(1, None, AGENT, trace=OTHER)]))["partialSuccess"]

    assert said["rejectedSpans"] == 1
    assert "retired" in said["errorMessage"]


async def test_a_large_payload_is_truncated_and_marked(api_client: Any) -> None:
    """A span whose payload exceeds the limit keeps the beginning and is flagged."""
    text = "x" * 1_500_000
    body = gzip.compress(msgspec.json.encode(request([span(1, None, {**AGENT, "input": text})])))
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert (await api_client.post("/otlp/v1/traces", body, headers=headers)).body == {}
    _, spans = await outcome(api_client)

    payload = spans[1][7]
    assert payload["prefactor.truncated"]["original_size"] > 1_500_000
    assert len(payload["attributes"]["input"]) > 900_000


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x80",
        b"\x0a" * 3,
        b"\x0a\x00" * 100_000,
        b"\x0b",
        b"not protobuf at all",
    ],
)
async def test_a_malformed_body_is_a_400(api_client: Any, bomb: bytes) -> None:
    """Lengths beyond the body, endless numbers and too many messages reject the whole body."""
    answer = await api_client.post("/otlp/v1/traces", bomb, headers=PROTOBUF)

    told(answer, 400)


async def test_deeply_nested_values_are_a_400(api_client: Any) -> None:
    """A value nested a thousand times is refused in either encoding."""
    nested = b'{"arrayValue":{"values":[' * 1000 + b"]}}" * 1000
    plain = msgspec.json.encode(request([span(1, None, {**AGENT, "deep": "here"})]))
    text = plain.replace(b'{"stringValue":"here"}', nested)
    inner = b"\x0a\x01x"
    for _ in range(1000):
        inner = (
            b"\x2a" + _length(b"\x0a" + _length(inner) + inner) + b"\x0a" + _length(inner) + inner
        )
    pair = b"\x0a\x01k\x12" + _length(inner) + inner
    message = b"\x4a" + _length(pair) + pair
    scope = b"\x12" + _length(message) + message
    outer = b"\x12" + _length(scope) + scope
    packed = b"\x0a" + _length(outer) + outer

    told(await api_client.post("/otlp/v1/traces", text, headers=JSON), 400)
    told(await api_client.post("/otlp/v1/traces", packed, headers=PROTOBUF), 400)


async def test_too_many_values_cost_one_span(api_client: Any) -> None:
    """A span of thousands of tiny values is rejected by itself."""
    many = span(4, 1, {**CHAT, "list": [0] * 30_000})
    said = (await export(api_client, [*CONVERSATION, many]))["partialSuccess"]

    assert said["rejectedSpans"] == 1
    assert "more than 20000 values" in said["errorMessage"]


async def test_a_span_that_is_too_large_is_named(api_client: Any) -> None:
    """A span over the size limit is rejected by its id, undecoded."""
    large = span(4, 1, {**CHAT, "text": "x" * 2_200_000})
    body = gzip.compress(protobuf(request([*CONVERSATION, large])))
    headers = {**PROTOBUF, "Content-Encoding": "gzip"}
    answer = await api_client.post("/otlp/v1/traces", body, headers=headers)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success

    assert partial.rejected_spans == 1
    assert partial.error_message.startswith("span 0000000000000004 has 22")
    assert len((await outcome(api_client))[1]) == 3


async def test_metrics_are_accepted_and_discarded(api_client: Any) -> None:
    """Metrics sent to the same address are accepted with 200 and discarded."""
    answer = await api_client.post("/otlp/v1/metrics", b"\x0a\x00", headers=PROTOBUF)
    also = await api_client.post("/otlp/v1/metrics", {"resourceMetrics": []}, headers=JSON)

    assert [(answer.status, answer.text), (also.status, also.text)] == [(200, ""), (200, "{}")]


async def test_the_path_of_the_specification_works(api_client: Any) -> None:
    """`/v1/traces`, to which exporters append nothing, is the same operation, and needs a token."""
    auth = {"Authorization": f"Bearer {api_client.token}", **JSON}
    body = msgspec.json.encode(request(CONVERSATION))
    async with api_client.session.post(
        f"{api_client.url}/v1/traces", data=body, headers=auth
    ) as answer:
        assert answer.status == 200
    async with api_client.session.post(
        f"{api_client.url}/v1/traces", data=body, headers=JSON
    ) as answer:
        assert answer.status == 401

    assert len((await outcome(api_client))[1]) == 3


def _no_times() -> Any:
    return {"startTimeUnixNano": "0", "endTimeUnixNano": "0"}


def _length(message: bytes) -> bytes:
    size, out = len(message), bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])


def _forget(api_client: Any) -> None:
    """Make the server forget the trace, as a restart does."""
    memory = api_client.otlp
    memory._known = type(memory._known)(1 << 20)


assert START


async def test_spans_are_counted_by_outcome(api_client: Any) -> None:
    """The metrics count stored, dropped and rejected spans separately."""
    await export(
        api_client, [*CONVERSATION, span(7, 2, HTTP), {**span(8, 1, CHAT), "spanId": "zz"}]
    )

    assert api_client.otlp.spans == {"kept": 3, "noise": 1, "rejected": 1}
