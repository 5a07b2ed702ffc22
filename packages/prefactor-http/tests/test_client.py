"""Calls of a real client over real sockets."""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from typing import Any

import aiohttp
import pytest

from client_fixture import PING, error
from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorClientError,
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRateLimitError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    PrefactorTimeoutError,
    PrefactorValidationError,
    RequestOptions,
)
from prefactor_http.testing import HtmlReply, Reply, ScriptedServer, Stall

OK = Reply(200, {"status": "success"})


# --- What is sent ---------------------------------------------------------------------------------


async def test_headers(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A raw request carries token, types and origin, and a key only if one is passed."""
    await client.request("GET", PING)
    await client.request("GET", PING, idempotency_key="key-1")
    plain, keyed = (request.headers for request in server.requests)
    assert plain["authorization"] == "Bearer test-token"
    assert plain["content-type"] == plain["accept"] == "application/json"
    assert plain["x-prefactor-sdk"].startswith("prefactor-http@")
    assert "idempotency-key" not in plain
    assert keyed["idempotency-key"] == "key-1"


async def test_sdk_header_is_replaced(server: ScriptedServer) -> None:
    """A library on top of the client can put its own name in the SDK header."""
    async with PrefactorHttpClient(server.config(), "test-sdk@0.0.0") as client:
        await client.request("GET", PING)
    assert server.requests[0].headers["x-prefactor-sdk"] == "test-sdk@0.0.0"


async def test_a_base_path_is_kept(server: ScriptedServer) -> None:
    """A deployment below a prefix works, with or without a slash at its end."""
    server.script(OK, OK)
    for url in (f"{server.url}/base", f"{server.url}/base//"):
        async with PrefactorHttpClient(server.config(api_url=url)) as client:
            await client.request("GET", "/api/v1/x")
    assert [request.path for request in server.requests] == ["/base/api/v1/x"] * 2


async def test_extra_headers_win_except_over_the_key(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A call's headers replace the client's in any case, but not the key."""
    headers = {"accept": "text/plain", "X-Tenant": "t", "Idempotency-Key": "theirs"}
    options = RequestOptions(headers=headers)
    await client.request("GET", PING, idempotency_key="ours", options=options)
    sent = server.requests[0].headers
    assert (sent["accept"], sent["x-tenant"]) == ("text/plain", "t")
    assert sent["idempotency-key"] == "ours"


async def test_bad_input_is_not_sent(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """An invalid body, query, key or header raises before anything is sent."""
    nan: dict[str, Any] = {"payload": {"scores": [1.0, math.nan]}}
    with pytest.raises(PrefactorRequestError, match=r"json_data\.payload\.scores\[1\]"):
        await client.request("POST", "/x", json_data=nan)
    with pytest.raises(PrefactorRequestError, match=r"params\.q"):
        await client.request("GET", "/x", params={"q": object()})
    options = RequestOptions(headers={"X-A": "a\r\nX-B: b"})
    with pytest.raises(PrefactorRequestError):
        await client.request("GET", "/x", options=options)
    with pytest.raises(PrefactorRequestError):
        await client.request("GET", "/x", idempotency_key="a\nb")
    assert server.requests == []


def test_a_token_with_a_line_break_is_refused() -> None:
    """The newline of a secrets file is reported at once, without showing the token."""
    with pytest.raises(PrefactorRequestError, match="api_token contains a line break") as info:
        PrefactorHttpClient(HttpClientConfig("https://h", "s3cr3t-value\n"))
    assert "s3cr3t" not in str(info.value)


@pytest.mark.parametrize("url", ["api.example", "ftp://api.example", "http://", "http://a:b@h"])
async def test_an_unusable_url_is_a_request_error(url: str) -> None:
    """An unusable URL raises this package's error at once, without retries."""
    async with PrefactorHttpClient(HttpClientConfig(url, "test-token")) as client:
        with pytest.raises(PrefactorRequestError) as info:
            await client.request("GET", PING)
    assert isinstance(info.value, ValueError)
    assert info.value.attempts == 1


# --- Replies
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, PrefactorValidationError),
        (401, PrefactorAuthError),
        (403, PrefactorAuthError),
        (404, PrefactorNotFoundError),
        (409, PrefactorConflictError),
        (418, PrefactorApiError),
        (422, PrefactorValidationError),
        (429, PrefactorRateLimitError),
        (501, PrefactorApiError),
    ],
)
@pytest.mark.parametrize("html", [False, True])
async def test_statuses(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    status: int,
    expected: type[PrefactorApiError],
    html: bool,
) -> None:
    """The status decides the class of the error, whether the body is JSON or a proxy's page."""
    if html and status == 501:
        expected = PrefactorResponseContractError  # type: ignore[assignment]
    server.script(HtmlReply(status) if html else error(status, x_request_id="req-7"))
    options = RequestOptions(max_retries=0)
    with pytest.raises(PrefactorHttpError) as info:
        await client.request("GET", PING, options=options)
    caught: Any = info.value
    assert type(caught) is expected
    assert (caught.status_code, caught.attempts) == (status, 1)
    if not html:
        assert (caught.code, caught.message) == ("some_code", "Some message")
        assert caught.request_id == "req-7"


async def test_field_errors_and_request_id(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A validation error's fields are available, in either of its forms."""
    body = {"code": "c", "message": "m", "errors": {"a": ["Required"]}, "request_id": "r1"}
    server.script(Reply(422, body), Reply(422, body | {"errors": ["one", "two"]}))
    for errors in ({"a": ["Required"]}, {"errors": ["one", "two"]}):
        with pytest.raises(PrefactorValidationError) as info:
            await client.request("POST", "/x")
        assert (info.value.errors, info.value.request_id) == (errors, "r1")


async def test_a_head_request_has_no_body(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The missing body of a HEAD response is not an error."""
    server.script(Reply(200, None))
    assert await client.request("HEAD", PING) == {}


async def test_deeply_nested_replies_are_read(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A reply that is nested too deeply for the fast parser is still read."""
    server.script(Reply(200, b'{"x":' + b"[" * 500 + b"]" * 500 + b"}"))
    assert list(await client.request("GET", PING)) == ["x"]


# --- Sessions -------------------------------------------------------------------------------------


async def test_without_a_context_manager(server: ScriptedServer) -> None:
    """A request opens a session by itself, also after `close()`, and closing twice is harmless."""
    client = PrefactorHttpClient(server.config())
    await client.request("GET", PING)
    await client.close()
    await client.close()
    await client.request("GET", PING)
    await client.close()
    assert client._session is None


def test_one_client_in_two_loops() -> None:
    """A client can be used in another event loop after its first, and leaves nothing open."""
    with ScriptedServer() as server:
        client = PrefactorHttpClient(server.config())
        for _ in range(2):
            assert asyncio.run(client.request("GET", PING))["status"] == "success"
        asyncio.run(client.close())
    assert len(server.requests) == 2


async def test_an_unclosed_client_is_closed_with_its_loop(server: ScriptedServer) -> None:
    """A dropped client leaks no session, because its loop closes it (a warning would fail this)."""
    client = PrefactorHttpClient(server.config())
    await client.request("GET", PING)
    session: Any = client._session
    del client
    for _ in range(10):
        await asyncio.sleep(0)
    assert session.closed


async def test_hundreds_of_tasks_share_one_session(server: ScriptedServer) -> None:
    """Tasks that all start at once open one session and get their own answers."""
    client = PrefactorHttpClient(server.config())
    instance = server.add_instance()

    async def task(number: int) -> None:
        span = await client.agent_spans.create(instance, "s", "active", {"n": number})
        assert span.payload == {"n": number}

    await asyncio.gather(*map(task, range(300)))
    assert len(server.spans) == 300
    assert server.connections <= 100
    await client.close()


async def test_cancellation_leaks_nothing(server: ScriptedServer) -> None:
    """A cancelled call returns its connection, and the client continues to work."""
    server.script(*[Stall(30)] * 5)
    async with PrefactorHttpClient(server.config()) as client:
        tasks = [asyncio.create_task(client.request("GET", PING)) for _ in range(5)]
        while len(server.requests) < 5:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert (await client.request("GET", PING))["status"] == "success"


async def test_closing_ends_calls_in_flight(server: ScriptedServer) -> None:
    """A call in flight when the client is closed fails, and does not open the client again."""
    server.script(Stall(30))
    client = PrefactorHttpClient(server.config(max_retries=50))
    task = asyncio.create_task(client.request("GET", PING))
    while not server.requests:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.001)
    await client.close()
    with pytest.raises(PrefactorNetworkError):
        await task
    assert client._session is None
    assert len(server.requests) == 1


async def test_a_session_from_the_caller(server: ScriptedServer) -> None:
    """A caller's session keeps its own settings, gets plain JSON, and stays open."""
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with PrefactorHttpClient(server.config(), session=session) as client:
            instance = await client.agent_instances.register("agent", {"name": "é"}, {})
            await client.agent_instances.start(instance.id)
        assert not session.closed
        await client.request("GET", PING)
    register, start, _ = server.requests
    assert register.json["agent_version"] == {"name": "é"}
    assert register.headers["x-mine"] == "yes"
    assert start.json["timestamp"] is None
    with pytest.raises(PrefactorClientError, match="passed to the client is closed"):
        await client.request("GET", PING)


async def test_the_timeout_applies_to_a_session_from_the_caller(server: ScriptedServer) -> None:
    """The configured limit of an attempt holds on any session."""
    server.script(Stall(30))
    config = server.config(request_timeout=0.05, max_retries=0)
    async with aiohttp.ClientSession() as session:
        client = PrefactorHttpClient(config, session=session)
        with pytest.raises(PrefactorTimeoutError):
            await client.request("GET", PING)


async def test_one_attempt_needs_a_session(server: ScriptedServer) -> None:
    """A single attempt without an open session raises an error that says what is missing."""
    client = PrefactorHttpClient(server.config())
    with pytest.raises(PrefactorClientError, match=r"^HTTP session not initialized$"):
        await client._make_request("GET", PING)


async def test_a_proxy_is_used(server: ScriptedServer) -> None:
    """Requests go through the proxy and name the target in full."""
    server.script(OK)
    config = HttpClientConfig("http://api.example", "test-token", max_retries=0)
    async with PrefactorHttpClient(config, proxy=server.url) as client:
        await client.request("GET", PING)
    assert server.requests[0].target == "http://api.example/api/v1/ping"


async def test_with_options_shares_the_session(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A child has other defaults, its own resources, and the parent's session."""
    child = client.with_options(headers={"X-Child": "1"}, max_retries=0)
    assert child.agent_spans is not client.agent_spans
    assert child.agent_spans is child.agent_spans
    await child.request("GET", PING)
    await client.request("GET", PING)
    first, second = server.requests
    assert first.headers["x-child"] == "1"
    assert "x-child" not in second.headers
    assert child._session is client._session
    assert first.connection == second.connection


async def test_a_call_can_override_the_deadline(server: ScriptedServer) -> None:
    """A call can have a longer deadline than the client's default, or none."""
    async with PrefactorHttpClient(server.config(deadline=0.001)) as client:
        options = RequestOptions(deadline=math.inf, request_timeout=math.inf)
        assert (await client.request("GET", PING, options=options))["status"] == "success"


# --- Secrets
# ---------------------------------------------------------------------------------------


async def test_the_token_is_never_shown(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """However a server echoes the token, it is in no message, attribute, log, repr or traceback."""
    token = "tok-5f0c1a9b2d"
    echo = f"you sent Bearer {token}"
    server.token = token
    caplog.set_level(logging.DEBUG, "prefactor_http")
    body = {"code": token, "message": echo, "errors": {token: [echo]}, "request_id": token}
    replies = [
        Reply(status, content, {"X-Request-Id": token})
        for status in (200, 401, 404, 422, 503)
        for content in (echo, {**body}, [echo])
        if (status, type(content)) != (200, dict)
    ]
    replies.append(Reply(200, {"status": "success", "details": {"type": echo}}))
    config = HttpClientConfig(server.url, token, max_retries=0)
    async with PrefactorHttpClient(config) as client:
        assert token not in repr(client)
        for reply in replies:
            server.script(reply)
            with pytest.raises(PrefactorHttpError) as info:
                await client.agent_instances.start("i")
            caught = info.value
            texts = [str(caught), repr(caught), repr(vars(caught))]
            texts += traceback.format_exception(caught)
            assert [text for text in texts if token in text] == []
    assert token not in caplog.text


async def test_a_log_line_names_method_path_and_status(
    client: PrefactorHttpClient, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A log line has method, path and status; never a query, a header or a body."""
    caplog.set_level(logging.DEBUG, "prefactor_http")
    server.script(error(503))
    await client.request(
        "GET", f"{PING}?q=private", params={"p": "private"}, json_data={"b": "private"}
    )
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "DEBUG"]
    assert "GET /api/v1/ping answered with status 503" in caplog.text
    assert "GET /api/v1/ping failed in attempt 1 (PrefactorApiError 503)" in caplog.text
    assert "private" not in caplog.text


async def test_validate_token(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A good token gets the reply of a ping, a bad one an auth error."""
    assert (await client.validate_token())["status"] == "success"
    async with PrefactorHttpClient(server.config(api_token="another-token")) as stranger:
        with pytest.raises(PrefactorAuthError):
            await stranger.validate_token()
