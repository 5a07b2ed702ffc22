"""Errors of the OTLP endpoints are a Status in the encoding of the request, as OTLP requires.

Only a temporary failure has a status that exporters retry, and the seconds to wait.
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import ParseDict
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_request import (
    AGENT,
    CHAT,
    JSON,
    PROTOBUF,
    TRACE,
    attributes,
    protobuf,
    request,
    span,
    told,
)
from people import WRITE, signed_in
from starlette.types import Message

from prefactor_server.api import Limits
from prefactor_server.api.asgi.body import read_document
from prefactor_server.domain.errors import (
    DatabaseUnusable,
    OutcomeUnknown,
    Overloaded,
    Refusal,
    Unavailable,
)
from prefactor_server.domain.rate_limit import BURST_SECONDS
from prefactor_server.http.memory_budget import BudgetExhausted, MemoryBudget
from prefactor_server.otlp.status import PATHS

SPANS = [span(1, None, AGENT), span(2, 1, CHAT)]
RETRYABLE = (429, 503)
FORMS = pytest.mark.parametrize("form", [PROTOBUF, JSON], ids=["protobuf", "json"])


def _event(form: Any) -> Any:
    trace = TRACE if form is JSON else TRACE[::-1]
    record = {
        "traceId": trace,
        "spanId": f"{1:016x}",
        "timeUnixNano": "1",
        "eventName": "gen_ai.user.message",
        "attributes": attributes({"content": "Hello?"}),
    }
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    if form is JSON:
        return body
    bare = {name: given for name, given in record.items() if not name.endswith("Id")}
    message = ParseDict(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [bare]}]}]}, ExportLogsServiceRequest()
    )
    made = message.resource_logs[0].scope_logs[0].log_records[0]
    made.trace_id, made.span_id = bytes.fromhex(trace), bytes.fromhex(f"{1:016x}")
    return message.SerializeToString()


def _body(form: Any) -> Any:
    return protobuf(request(SPANS)) if form is PROTOBUF else request(SPANS)


def _check(answer: Any, status: int, code: int, form: Any) -> Any:
    """The Status and its details, by name."""
    error = told(answer, status)
    assert answer.headers["Content-Type"] == form["Content-Type"]
    assert (error.code, bool(error.message)) == (code, True)
    assert ("Retry-After" in answer.headers) == (status in RETRYABLE)
    found: dict[str, Any] = {}
    for kind in (BadRequest, ErrorInfo, RequestInfo):
        for detail in error.details:
            if detail.Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind.FromString(detail.value)
    assert found["RequestInfo"].request_id == answer.headers["X-Request-Id"]
    assert ("BadRequest" in found) == (status == 400)
    return error, found


@pytest.fixture
def limits(limits: Limits) -> Limits:
    """A server with a small request limit and a low rate for each token."""
    return replace(limits, max_request_bytes=20_000, requests_per_second=10)


@pytest.mark.parametrize("path", sorted(PATHS))
@FORMS
async def test_a_caller_without_access_gets_a_clear_error(
    api_client: Any, path: str, form: Any
) -> None:
    """Without a token 401, with the rights of a viewer 403, at every endpoint."""
    path = path.removeprefix("/api/v1")
    viewer = await signed_in(api_client, "viewer")
    viewer.headers = {**WRITE, **form}
    refused = await viewer.post(path, _body(form))
    api_client.token = None
    unknown = await api_client.post(path, _body(form), headers=form)

    _, details = _check(unknown, 401, Code.UNAUTHENTICATED, form)
    assert details["ErrorInfo"].reason == "NOT_AUTHENTICATED"
    assert unknown.headers["WWW-Authenticate"] == "Bearer"
    _check(refused, 403, Code.PERMISSION_DENIED, form)


@FORMS
async def test_an_unreadable_body_gets_a_clear_error(api_client: Any, form: Any) -> None:
    """A malformed body is a 400 that names the place; size and encoding have their own errors."""
    packed = {**form, "Content-Encoding": "br"}
    odd = {**form, "Content-Encoding": "gzip"}
    answers = [
        await api_client.post("/v1/traces", sent, headers=headers)
        for sent, headers in (("{", form), (b"x" * 30_000, form), ("{}", packed), ("{}", odd))
    ]

    error, details = _check(answers[0], 400, Code.INVALID_ARGUMENT, form)
    (violation,) = details["BadRequest"].field_violations
    assert violation.description == error.message
    _check(answers[1], 413, Code.INVALID_ARGUMENT, form)
    error, _ = _check(answers[2], 415, Code.INVALID_ARGUMENT, form)
    assert "gzip or zstd" in error.message
    _check(answers[3], 400, Code.INVALID_ARGUMENT, form)


async def test_a_field_of_another_type_is_a_400(api_client: Any) -> None:
    """A field of the wrong type, a 422 in the API, is a 400 here, as OTLP requires."""
    answer = await api_client.post("/v1/traces", {"resourceSpans": "none"}, headers=JSON)

    _, details = _check(answer, 400, Code.INVALID_ARGUMENT, JSON)
    assert details["BadRequest"].field_violations[0].field == "resourceSpans"


@pytest.mark.parametrize(
    "fields",
    [
        {"endTimeUnixNano": str(2**64)},
        {"startTimeUnixNano": 2**64},
        {"startTimeUnixNano": "-1"},
        {"startTimeUnixNano": "1_000"},
        {"flags": 2**32},
        {"attributes": [{"key": "a", "value": {"intValue": str(2**63)}}]},
    ],
)
async def test_an_integer_that_protobuf_cannot_hold_is_a_400(api_client: Any, fields: Any) -> None:
    """A time, flag or integer in JSON that is too large for its protobuf field is a 400."""
    answer = await api_client.post("/v1/traces", request([{**SPANS[0], **fields}]), headers=JSON)

    error, _ = _check(answer, 400, Code.INVALID_ARGUMENT, JSON)
    assert "is not an integer from" in error.message


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_another_content_type_is_a_415(api_client: Any, path: str) -> None:
    """A content type other than protobuf and JSON gets an error that names both."""
    headers = {"Content-Type": "text/plain"}
    answer = await api_client.post(path.removeprefix("/api/v1"), "hello", headers=headers)

    error, _ = _check(answer, 415, Code.INVALID_ARGUMENT, JSON)
    assert "'text/plain'" in error.message
    assert answer.headers["Accept"] == "application/x-protobuf, application/json"


@FORMS
async def test_over_the_rate_exporters_get_a_retry_after(api_client: Any, form: Any) -> None:
    """A token that sends too often gets 429 and the seconds to wait, and is then served."""
    api_client.clock.stop()
    answers = [
        await api_client.post("/v1/metrics", "", headers=form) for _ in range(10 * BURST_SECONDS)
    ]
    refused = await api_client.post("/v1/traces", _body(form), headers=form)
    api_client.clock.leap(seconds=int(refused.headers["Retry-After"]))
    again = await api_client.post("/v1/traces", _body(form), headers=form)

    assert {one.status for one in answers} == {200}
    _check(refused, 429, Code.RESOURCE_EXHAUSTED, form)
    assert again.status == 200


@pytest.mark.parametrize(
    ("refusal", "answered"),
    [
        (Overloaded("Too many writes are waiting", retry_after=7), (429, "7")),
        (Unavailable("The disk is full"), (503, "30")),
        (DatabaseUnusable("The database is read-only"), (503, "30")),
        (OutcomeUnknown("The connection was lost"), (503, "1")),
        (BudgetExhausted("Other requests hold the memory"), (503, "1")),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("noun", ["traces", "logs"])
async def test_a_retryable_error_has_a_retry_after(
    api_client: Any, noun: str, refusal: Any, answered: tuple[int, str]
) -> None:
    """A server that cannot store answers with a retryable status, and the retry succeeds."""
    submit = api_client.writer.submit

    async def refuse(commands: Any, size: int) -> Any:
        del commands, size
        raise refusal

    for form in (PROTOBUF, JSON):
        sent = _body(form) if noun == "traces" else _event(form)
        api_client.writer.submit = refuse
        answer = await api_client.post(f"/v1/{noun}", sent, headers=form)
        api_client.writer.submit = submit
        again = await api_client.post(f"/v1/{noun}", sent, headers=form)

        status, seconds = answered
        code = Code.RESOURCE_EXHAUSTED if status == 429 else Code.UNAVAILABLE
        error, _ = _check(answer, status, code, form)
        assert (error.message, answer.headers["Retry-After"]) == (refusal.message, seconds)
        assert again.status == 200


@FORMS
async def test_a_failure_of_the_server_is_not_retryable(
    api_client: Any, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error would recur with each retry, so it is a 500 without details."""

    async def fail(*given: Any) -> Any:
        raise ValueError("a secret", given)

    monkeypatch.setattr(api_client.writer, "submit", fail)
    answer = await api_client.post("/v1/traces", _body(form), headers=form)

    error, _ = _check(answer, 500, Code.INTERNAL, form)
    assert "secret" not in error.message


async def test_the_wrong_method_has_the_form_of_the_api(api_client: Any) -> None:
    """A GET is not an export, so its error has the API's form."""
    answer = await api_client.call("GET", "/v1/traces")

    answer.refused(405, "bad_request")
    assert answer.headers["Allow"] == "POST"


async def test_a_truncated_zstd_body_is_rejected(api_client: Any) -> None:
    """A zstd body that ends early is rejected, because its spans would be lost with a success."""
    packed = zstandard.compress(protobuf(request(SPANS)))
    headers = {**PROTOBUF, "Content-Encoding": "zstd"}

    cut = [await api_client.post("/otlp/v1/traces", packed[:-n], headers=headers) for n in (1, 9)]
    whole = await api_client.post("/otlp/v1/traces", packed, headers=headers)

    assert [answer.status for answer in (*cut, whole)] == [400, 400, 200]
    assert len(await api_client.rows("SELECT id FROM agent_span")) == len(SPANS)


_FRAME = zstandard.compress(b"{}")
_SKIPPABLE = b"\x50\x2a\x4d\x18\x09\0\0\0" + b"skip this"


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (_SKIPPABLE + _FRAME, b"{}"),
        (_FRAME + _SKIPPABLE, b"{}"),
        (_FRAME + _SKIPPABLE + zstandard.compress(b" "), b"{} "),
        (_FRAME + _SKIPPABLE[:-1], None),
        (_FRAME + _SKIPPABLE[:6], None),
        (_FRAME + _SKIPPABLE + _FRAME[:-1], None),
    ],
    ids=["first", "last", "between", "truncated", "truncated head", "before a truncated frame"],
)
async def test_skippable_zstd_frames_are_skipped(body: bytes, read: bytes | None) -> None:
    """A skippable frame is left out wherever it is, and one that ends early is an error."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    memory = MemoryBudget(0).lease()
    document = read_document(receive, len(body), b"zstd", 1000, memory, takes_zstd=True)
    if read is None:
        with pytest.raises(Refusal, match="ends before its zstd frame"):
            await document
    else:
        assert await document == read


async def test_a_body_of_empty_zstd_frames_does_not_block_others() -> None:
    """The server serves other requests while it reads a body of many skippable frames."""
    body = zstandard.compress(b"{}") + b"\x50\x2a\x4d\x18\0\0\0\0" * 100_000
    turns = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    memory = MemoryBudget(0).lease()
    read = await read_document(receive, len(body), b"zstd", len(body), memory, takes_zstd=True)
    others.cancel()

    assert read == b"{}"
    assert turns > 10
