"""The public API as a caller types it. Type-checked by `make check` and never run.

A line that must not pass has an ignore for the expected complaint. Unused ignores are errors too,
so every line is checked in both directions.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, assert_type

import aiohttp

from prefactor_http import (
    AgentInstance,
    AgentSpan,
    BulkItem,
    BulkOutput,
    BulkRequest,
    BulkResponse,
    HttpClientConfig,
    PrefactorApiError,
    PrefactorClientError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorResponseContractError,
    PrefactorRetryExhaustedError,
    PrefactorTimeoutError,
    PrefactorValidationError,
    RequestOptions,
    SpanTypeSchemaForCreate,
)
from prefactor_http.models import (
    AgentSchemaVersionForRegister,
    AgentSummary,
    AgentVersionForRegister,
)
from prefactor_http.pages import Page
from prefactor_http.testing import Delay, Drop, ScriptedServer


async def opened() -> None:
    """Open a client as a context manager with every argument."""
    config = HttpClientConfig("https://api.example", "token", max_retries=2, deadline=10)
    async with PrefactorHttpClient(config) as client:
        assert_type(client, PrefactorHttpClient)
        assert_type(await client.validate_token(), dict[str, Any])
        assert_type(await client.request("GET", "/x", params={"a": True}), dict[str, Any])
        patient = client.with_options(request_timeout=60.0, headers={"X-Team": "a"})
        assert_type(patient, PrefactorHttpClient)
    async with aiohttp.ClientSession() as session:
        PrefactorHttpClient(HttpClientConfig.from_env(max_retries=0), session=session)
    PrefactorHttpClient(config, "sdk@1", ssl=ssl.create_default_context(), proxy="http://proxy")
    PrefactorHttpClient(config, api_token="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def runs(client: PrefactorHttpClient) -> None:
    """A run, registered with dicts or with models."""
    kind = {"name": "agent:llm", "params_schema": {"type": "object"}}
    run = await client.agent_instances.register(
        "agent", {"name": "A"}, {"span_type_schemas": [kind]}
    )
    assert_type(run, AgentInstance)
    await client.agent_instances.register(
        agent_version=AgentVersionForRegister(name="A"),
        agent_schema_version=AgentSchemaVersionForRegister(
            span_type_schemas=[SpanTypeSchemaForCreate(name="s", params_schema={})]
        ),
        purpose="eval",
    )
    await client.agent_instances.start(run.id, datetime.now(UTC))
    await client.agent_instances.update(run.id, {"score": 1})
    finished = await client.agent_instances.finish(run.id, "failed", idempotency_key="finish-1")
    assert_type(finished.finished_at, datetime | None)
    assert_type(finished.raw, dict[str, Any])
    await client.agent_instances.finish(run.id, "active")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.agent_instances.finish()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def spans(client: PrefactorHttpClient, run: AgentInstance) -> None:
    """Spans, written and read."""
    payload: Mapping[str, Any] = {"model": "m"}
    span = await client.agent_spans.create(
        run.id,
        "agent:llm",
        "active",
        payload,
        started_at="2026-04-13T00:00:00Z",
        control_signal_callback=print,
        options=RequestOptions(max_retries=0),
    )
    assert_type(span, AgentSpan)
    assert_type(span.total_tokens, int | None)
    assert_type(await client.agent_spans.finish(span.id, "complete", {"text": "x"}), AgentSpan)
    await client.agent_spans.create(run.id, "agent:llm", "begun")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.agent_spans.finish(span.id, payload={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def pages(client: PrefactorHttpClient) -> None:
    """Pages, and what walks them."""
    roots = await client.agent_spans.list(agent_id="a", status="failed", parent_span_id="null")
    assert_type(roots, Page[AgentSpan])
    assert_type([span.id for span in roots], list[str])
    every = client.agent_spans.iterate(agent_instance_id="i", schema_name="agent:llm")
    assert_type(every, AsyncIterator[AgentSpan])
    async for run in client.agent_instances.iterate(agent_id="a"):
        assert_type(run, AgentInstance)
    agents = await client.agents.list(page_size=10)
    assert_type(agents.pagination.next_after if agents.pagination else None, str | None)
    assert_type([agent for agent in agents], list[AgentSummary])  # noqa: C416 - it is iterated
    await client.agent_spans.list(sorted="id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def bulk(client: PrefactorHttpClient) -> None:
    """Pass items with a type, a key, and the operation's fields."""
    item = BulkItem(_type="agents/list", idempotency_key="list-0001", page_size=10)
    assert_type(item.type, str)
    reply = await client.bulk.execute(BulkRequest(items=[item]))
    assert_type(reply, BulkResponse)
    assert_type(reply.outputs["list-0001"], BulkOutput)
    BulkItem(type="agents/list", idempotency_key="list-0001")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    BulkItem(_type="agents/list")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def errors(client: PrefactorHttpClient) -> None:
    """Read the attributes of errors."""
    try:
        await client.validate_token()
    except PrefactorValidationError as error:
        assert_type(error.errors, dict[str, Any])
    except PrefactorApiError as error:
        assert_type((error.code, error.status_code), tuple[str, int])
    except PrefactorTimeoutError as error:
        assert_type(error, PrefactorTimeoutError)
        as_asyncio_raises_it: TimeoutError = error
        raise as_asyncio_raises_it from None
    except PrefactorNetworkError as error:
        assert_type(error.may_have_been_processed, bool)
    except PrefactorRetryExhaustedError as error:
        assert_type(error.last_error, Exception | None)
    except PrefactorResponseContractError as error:
        assert_type(error.body_snippet, str | None)
    except PrefactorClientError as error:
        assert_type(error.message, str)
    except PrefactorHttpError as error:
        assert_type(error.attempts, int | None)
        assert_type(error.retry_after, float | None)


async def tested() -> None:
    """Use the scripted server as in a user's tests."""
    async with ScriptedServer() as server, PrefactorHttpClient(server.config()) as client:
        server.script(Drop(), Delay(0.1))
        run = server.add_instance()
        assert_type(run, str)
        await client.agent_spans.create(run, "s", "active")
        assert_type([request.body for request in server.requests], list[bytes])
