"""Test suites of applications replace sessions by doubles, and keep working.

This is the one file of this package's tests that mocks, because users' tests do.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, patch

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from client_fixture import INSTANCE, SPAN
from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorResponseContractError,
    PrefactorRetryExhaustedError,
)
from prefactor_http.endpoints import AgentInstanceClient
from prefactor_http.retry import RetryHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Response(aiohttp.ClientResponse):
    """A response of aioresponses, whose own class lacks an argument of the newest aiohttp."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        newest = inspect.signature(aiohttp.ClientResponse).parameters
        missing = {"stream_writer": MagicMock()} if "stream_writer" in newest else {}
        super().__init__(*args, **missing, **kwargs)


BASE = "https://api.test.example"


def config(**changes: Any) -> HttpClientConfig:
    """A configuration that retries without a noticeable wait."""
    settings: dict[str, Any] = {"initial_retry_delay": 0.001, "max_retry_delay": 0.01, **changes}
    return HttpClientConfig(BASE, "test-token", **settings)


@pytest.fixture
async def client() -> AsyncIterator[PrefactorHttpClient]:
    """A client that only a double answers."""
    async with PrefactorHttpClient(config(max_retries=1)) as opened:
        yield opened


@pytest.fixture
def web() -> Iterator[aioresponses]:
    """The network, replaced by aioresponses."""
    with aioresponses() as mocked:
        yield mocked


def answer(status: int, body: Any) -> MagicMock:
    """A response double with only status and text."""
    response = MagicMock()
    response.status = status
    response.text = AsyncMock(return_value=body if isinstance(body, str) else json.dumps(body))
    context = MagicMock()
    context.__aenter__ = AsyncMock(return_value=response)
    context.__aexit__ = AsyncMock(return_value=False)
    return context


async def test_a_patched_session_request(client: PrefactorHttpClient) -> None:
    """The session call has five keyword arguments, and the body is a readable dict."""
    reply = answer(200, {"status": "success", "details": SPAN})
    with patch.object(client._session, "request", return_value=reply) as request:
        span = await client.agent_spans.create("i1", "x", "active", {"a": None})
    assert span.id == "s1"
    call: Any = request.call_args
    assert call.args == ()
    assert set(call.kwargs) == {"method", "url", "params", "json", "headers"}
    assert call.kwargs["method"] == "POST"
    assert call.kwargs["url"] == f"{BASE}/api/v1/agent_spans"
    assert call.kwargs["params"] is None
    assert call.kwargs["json"]["details"]["status"] == "active"
    assert call.kwargs["json"]["details"]["payload"] == {"a": None}
    assert isinstance(call.kwargs["json"], dict)
    assert call.kwargs["headers"]["Authorization"] == "Bearer test-token"


async def test_a_session_double(client: PrefactorHttpClient) -> None:
    """A double can replace the whole session, and is closed like one."""
    original, double = client._session, MagicMock()
    double.closed = False
    double.close = AsyncMock()
    double.request.return_value = answer(404, {"code": "not_found", "message": "No such thing"})
    client._session = double
    with pytest.raises(PrefactorNotFoundError, match="No such thing"):
        await client.request("GET", "/api/v1/x")
    await client.close()
    double.close.assert_awaited_once()
    assert original is not None
    assert original.closed


async def test_doubles_of_error_replies(client: PrefactorHttpClient) -> None:
    """Headers that are not a mapping are ignored, for HTML and JSON errors alike."""
    replies = [answer(503, "<html>busy</html>"), answer(503, "<html>busy</html>")]
    with (
        patch.object(client._session, "request", side_effect=replies) as request,
        pytest.raises(PrefactorRetryExhaustedError, match="failed after") as info,
    ):
        await client.request("GET", "/api/v1/x")
    last: Any = info.value.last_error
    assert isinstance(last, PrefactorResponseContractError)
    assert (last.status_code, request.call_count) == (503, 2)
    assert "busy" in last.body_snippet


@pytest.mark.parametrize("failure", [aiohttp.ClientError("Network error"), TimeoutError()])
@pytest.mark.parametrize("typed", [False, True])
async def test_failures_raised_by_the_session_call(
    client: PrefactorHttpClient, failure: Exception, typed: bool
) -> None:
    """An error from `session.request(...)` itself is retried like an error while reading."""
    with (
        patch.object(client._session, "request", side_effect=failure) as request,
        pytest.raises(PrefactorRetryExhaustedError) as info,
    ):
        await (client.agent_instances.start("i1") if typed else client.request("GET", "/api/v1/x"))
    assert request.call_count == 2
    assert isinstance(info.value.last_error, type(failure))


async def test_a_bare_client_error_without_a_key(client: PrefactorHttpClient) -> None:
    """The bare base class, which aiohttp never raises itself, means that nothing was sent."""
    failure = aiohttp.ClientError("Network error")
    with (
        patch.object(client._session, "request", side_effect=failure) as request,
        pytest.raises(PrefactorRetryExhaustedError),
    ):
        await client.request("POST", "/api/v1/x", json_data={})
    assert request.call_count == 2


async def test_without_retries_the_failure_surfaces() -> None:
    """With `max_retries=0` callers catch what aiohttp raised, after one call."""
    async with PrefactorHttpClient(config(max_retries=0)) as client:
        failure = aiohttp.ServerDisconnectedError()
        with (
            patch.object(client._session, "request", side_effect=failure) as request,
            pytest.raises(aiohttp.ServerDisconnectedError),
        ):
            await client.agent_instances.start("i1")
    assert request.call_count == 1


async def test_a_patched_attempt(client: PrefactorHttpClient) -> None:
    """`_make_request` is one attempt, called with the path by position and the rest by name."""
    attempt = AsyncMock(
        side_effect=[aiohttp.ClientError(), {"status": "success", "details": INSTANCE}]
    )
    with patch.object(client, "_make_request", attempt):
        instance = await client.agent_instances.finish("i1", idempotency_key="key-1")
    assert instance.id == "i1"
    assert attempt.await_count == 2
    attempt.assert_awaited_with(
        "POST",
        "/api/v1/agent_instance/i1/finish",
        params=None,
        json_data={"idempotency_key": "key-1"},
        idempotency_key="key-1",
    )


async def test_one_attempt_by_hand(client: PrefactorHttpClient, web: aioresponses) -> None:
    """`_ensure_session` and `_make_request` can be called directly."""
    web.post(f"{BASE}/api/v1/x", payload={"status": "success"}, response_class=Response)
    await client._ensure_session()
    reply = await client._make_request("POST", "/api/v1/x", params=None, json_data={"a": 1})
    assert reply == {"status": "success"}


async def test_a_replaced_resource_transport() -> None:
    """A resource client works with anything that has `config` and `request`."""
    http = MagicMock()
    http.config = config()
    http.request = AsyncMock(return_value={"status": "success", "details": INSTANCE})
    instance = await AgentInstanceClient(http).register("agent", {}, {}, idempotency_key="key-1")
    assert instance.status == "pending"
    assert http.request.await_args.args == ("POST", "/api/v1/agent_instance/register")


async def test_aioresponses_reads_the_body(client: PrefactorHttpClient, web: aioresponses) -> None:
    """A callback of aioresponses sees the body under `json`."""
    seen: list[Any] = []

    def reply(_url: object, **kwargs: Any) -> CallbackResult:
        seen.append(kwargs["json"])
        body = {"status": "success", "details": INSTANCE}
        return CallbackResult(status=200, payload=body, response_class=Response)

    web.post(f"{BASE}/api/v1/agent_instance/register", callback=reply)
    await client.agent_instances.register("ag", {"name": "n"}, {}, update_current_version=False)
    assert seen[0]["update_current_version"] is False
    assert seen[0]["agent_version"] == {"name": "n"}
    assert "id" not in seen[0]


async def test_aioresponses_errors_and_exceptions(
    client: PrefactorHttpClient, web: aioresponses
) -> None:
    """Error statuses and exceptions of aioresponses behave like a server's."""
    url = f"{BASE}/api/v1/x"
    web.get(url, exception=aiohttp.ClientConnectionError("down"))
    web.get(
        url, status=503, payload={"code": "unknown", "message": "busy"}, response_class=Response
    )
    with pytest.raises(PrefactorRetryExhaustedError) as info:
        await client.request("GET", "/api/v1/x")
    assert isinstance(info.value.last_error, PrefactorApiError)
    web.get(url, exception=aiohttp.ServerDisconnectedError())
    web.get(url, payload={"status": "success"}, response_class=Response)
    assert await client.request("GET", "/api/v1/x") == {"status": "success"}


async def test_a_patched_sleep() -> None:
    """Tests that patch `asyncio.sleep` away do not wait for real."""
    slow = HttpClientConfig(BASE, "test-token", max_retries=1, initial_retry_delay=50)
    operation = AsyncMock(side_effect=[aiohttp.ClientError(), "done"])
    with patch("asyncio.sleep", new=AsyncMock()) as sleep:
        assert await RetryHandler(slow).execute(operation, lambda _error: True) == "done"
    assert 37.5 <= sleep.await_args.args[0] <= 60  # type: ignore[union-attr]


async def test_the_retry_handler_is_reachable(client: PrefactorHttpClient) -> None:
    """`_retry_handler` runs the attempts of a client, and its delay can be patched."""
    assert isinstance(client._retry_handler, RetryHandler)
    assert client.config is client._retry_handler.config
