"""Spans: what each method sends, field by field, and how a termination is reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from prefactor_http import (
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorRequestError,
    PrefactorResponseContractError,
)
from prefactor_http.endpoints.agent_span import _STATUSES, _plainly_right
from prefactor_http.models.agent_span import CreateAgentSpanRequest
from prefactor_http.testing import Reply, ScriptedServer

PATH = "/api/v1/agent_spans"
KEY = "key-1"


async def test_get_many(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Several spans are read at once by their ids; an empty list sends no request."""
    run = server.add_instance()
    spans = [await client.agent_spans.create(run, "k", "active", {"n": n}) for n in range(2)]
    found = await client.agent_spans.get_many([spans[1].id, "nobodys", spans[0].id])
    assert sorted(span.id for span in found) == sorted(span.id for span in spans)
    assert dict(server.requests[-1].query) == {"ids": f"{spans[1].id},nobodys,{spans[0].id}"}
    assert await client.agent_spans.get_many([]) == []
    assert len(server.requests) == 3


async def test_create_with_the_least(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Four fields are always sent; the key is at top level, in the details and in the header."""
    instance = server.add_instance()
    span = await client.agent_spans.create(instance, "agent:llm", "active", idempotency_key=KEY)
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", PATH)
    assert sent.headers["idempotency-key"] == KEY
    assert sent.json == {
        "details": {
            "agent_instance_id": instance,
            "schema_name": "agent:llm",
            "status": "active",
            "payload": {},
            "idempotency_key": KEY,
        },
        "idempotency_key": KEY,
    }
    assert (span.status, span.agent_instance_id) == ("active", instance)


async def test_create_with_everything(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Every field by position, with nulls inside payloads, and datetimes with an offset."""
    instance = server.add_instance()
    moment = datetime(2026, 4, 13, tzinfo=UTC)
    await client.agent_spans.create(
        instance,
        "agent:llm",
        "complete",
        {"a": None, "b": {"c": None}},
        {"r": None},
        "span-1",
        "parent-1",
        moment,
        moment,
        KEY,
        sensitive_encoding=True,
    )
    assert server.requests[0].json["details"] == {
        "agent_instance_id": instance,
        "schema_name": "agent:llm",
        "status": "complete",
        "payload": {"a": None, "b": {"c": None}},
        "result_payload": {"r": None},
        "id": "span-1",
        "parent_span_id": "parent-1",
        "started_at": "2026-04-13T00:00:00+00:00",
        "finished_at": "2026-04-13T00:00:00+00:00",
        "sensitive_encoding": True,
        "idempotency_key": KEY,
    }


async def test_finish(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A bare finish sends only its key, and given fields are sent flat."""
    instance = server.add_instance()
    spans = [await client.agent_spans.create(instance, "x", "active") for _ in range(2)]
    finished = await client.agent_spans.finish(spans[0].id, idempotency_key=KEY)
    moment = datetime(2026, 4, 13, tzinfo=UTC)
    await client.agent_spans.finish(spans[1].id, "failed", {"e": None}, moment, "key-2")
    bare, full = (request.json for request in server.requests[2:])
    assert finished.status == "complete"
    assert bare == {"idempotency_key": KEY}
    assert full == {
        "status": "failed",
        "result_payload": {"e": None},
        "timestamp": "2026-04-13T00:00:00+00:00",
        "idempotency_key": "key-2",
    }
    with pytest.raises(PrefactorConflictError):
        await client.agent_spans.finish(spans[0].id)
    with pytest.raises(PrefactorNotFoundError):
        await client.agent_spans.finish("nobody")


async def test_checked_before_sending(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Invalid statuses, types, keys and payloads raise before anything is sent."""
    spans: Any = client.agent_spans
    with pytest.raises(ValidationError):
        await spans.create("i", "x", "terminated")
    with pytest.raises(ValidationError):
        await spans.create(None, "x", "active")
    with pytest.raises(ValidationError):
        await spans.finish("s", "pending")
    for call in (spans.create("i", "x", "active", idempotency_key="k" * 65),
                 spans.finish("s", idempotency_key="k" * 65)):  # fmt: skip
        with pytest.raises(ValueError, match="64 characters"):
            await call
    with pytest.raises(PrefactorRequestError, match=r"^json_data\.details\.payload\.a\[1\] "):
        await spans.create("i", "x", "active", {"a": [1, object()]})
    assert server.requests == []


async def test_a_model_as_payload(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A model of the caller's own can be the payload, and keeps its nulls."""

    class Prompt(BaseModel):
        text: str
        model: str | None = None

    span = await client.agent_spans.create(
        server.add_instance(), "x", "active", Prompt(text="hello")
    )
    assert span.payload == {"text": "hello", "model": None}


async def test_the_control_signal(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Both writes report a termination, with its reason, to a function or a coroutine."""
    instance = server.add_instance()
    heard: list[str | None] = []

    async def hear(reason: str | None) -> None:
        heard.append(reason)

    span = await client.agent_spans.create(instance, "x", "active", control_signal_callback=hear)
    assert heard == []
    server.terminate(instance, "budget exceeded")
    await client.agent_spans.create(instance, "x", "active", control_signal_callback=heard.append)
    await client.agent_spans.finish(span.id, control_signal_callback=hear)
    assert heard == ["budget exceeded", "budget exceeded"]


@pytest.mark.parametrize(
    ("control", "heard"),
    [
        ({"terminate": True}, [None]),
        ({"terminate": True, "reason": 7}, [None]),
        ({"terminate": False, "reason": "x"}, []),
        ("terminate", []),
        (None, []),
    ],
)
async def test_odd_control_signals(
    client: PrefactorHttpClient, server: ScriptedServer, control: object, heard: list[None]
) -> None:
    """Only an object with `terminate` is a signal, and only text is a reason."""
    details = {"type": "agent_span", "id": "s", "agent_instance_id": "i", "schema_name": "x"}
    body = {"status": "success", "details": {**details, "status": "active"}, "control": control}
    server.script(Reply(200, body))
    reasons: list[str | None] = []
    await client.agent_spans.create("i", "x", "active", control_signal_callback=reasons.append)
    assert reasons == heard


async def test_get_list_iterate(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Spans can be read one by one, by page, and all of them."""
    instance = server.add_instance()
    made = [(await client.agent_spans.create(instance, "x", "active")).id for _ in range(5)]
    server.script(Reply(200, {"status": "success", "details": server.spans[made[0]]}))
    assert (await client.agent_spans.get(made[0])).id == made[0]
    page = await client.agent_spans.list(
        agent_instance_id=instance, include_summaries=True, include_risk_level=False, page_size=2
    )
    assert [span.id for span in page] == made[:2]
    assert page.summaries is page
    assert page.pagination is not None
    assert page.pagination.item_count == 5
    assert page[0].raw == page.raw["summaries"][0]
    assert server.requests[-1].query["include_summaries"] == "true"
    assert server.requests[-1].query["include_risk_level"] == "false"
    walked = client.agent_spans.iterate(agent_instance_id=instance, page_size=2)
    assert [span.id async for span in walked] == made


@pytest.mark.parametrize("details", [None, {}, [], {"type": "agent_instance"}])
async def test_a_reply_that_does_not_fit(
    client: PrefactorHttpClient, server: ScriptedServer, details: object
) -> None:
    """A reply without a span in it breaks the contract, and names the operation."""
    server.script(Reply(200, {"status": "success", "details": details}))
    with pytest.raises(
        PrefactorResponseContractError, match=r"^Invalid response payload for agent_spans\.create$"
    ) as info:
        await client.agent_spans.create("i", "x", "active")
    assert isinstance(info.value.cause, ValidationError)


async def test_nulls_read_as_absent(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A null where a model wants a value does not turn a write that succeeded into an error."""
    details = {"type": "agent_span", "id": "s", "agent_instance_id": "i", "schema_name": "x"}
    body = {"status": "success", "details": {**details, "status": "active", "payload": None}}
    server.script(Reply(200, body))
    span = await client.agent_spans.create("i", "x", "active")
    assert span.payload == {}
    assert span.raw["payload"] is None


@given(
    st.dictionaries(
        st.sampled_from(sorted(CreateAgentSpanRequest.model_fields)),
        st.one_of(
            st.none(),
            st.booleans(),
            st.sampled_from(["active", "complete", "terminated", "1"]),
            st.integers(),
            st.dictionaries(st.one_of(st.text(max_size=2), st.integers()), st.integers()),
        ),
    )
)
def test_the_quick_check_agrees_with_the_model(fields: dict[str, Any]) -> None:
    """A span that passes the quick check is one that the model accepts unchanged."""
    fields = {"agent_instance_id": "i", "schema_name": "s", "status": "active", **fields}
    if _plainly_right(fields, _STATUSES):
        made = CreateAgentSpanRequest.model_validate(fields)
        assert {name: getattr(made, name) for name in fields} == fields


async def test_filters(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Spans are found by status, kind and parent; the text `null` finds those without a parent."""
    run = server.add_instance()
    root = await client.agent_spans.create(run, "a", "active")
    child = await client.agent_spans.create(run, "b", "active", parent_span_id=root.id)
    await client.agent_spans.finish(child.id, "failed")

    async def found(**filters: Any) -> list[str]:
        page = await client.agent_spans.list(agent_instance_id=run, **filters)
        walked = client.agent_spans.iterate(agent_instance_id=run, **filters)
        assert [span.id async for span in walked] == [span.id for span in page]
        return [span.id for span in page]

    assert await found(status="failed") == [child.id]
    assert await found(schema_name="a") == [root.id]
    assert await found(parent_span_id=root.id) == [child.id]
    assert await found(parent_span_id="null") == [root.id]


async def test_derived_fields_are_typed(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """What a server derives about a span is read into typed fields."""
    added = {
        "environment_id": "e",
        "schema_registered": True,
        "closed_by_termination": False,
        "finished_before_started": False,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "model": "large-1",
        "tool_name": None,
    }
    known = {"type": "agent_span", "id": "s", "agent_instance_id": "i", "schema_name": "x"}
    server.script(
        Reply(body={"status": "success", "details": {**known, "status": "active", **added}})
    )
    span = await client.agent_spans.get("s")
    assert {name: getattr(span, name) for name in added} == added


async def test_sensitive_values_are_hidden_and_discarded(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A span is read redacted on demand, and its sensitive values discarded under a key."""
    span = {"type": "agent_span", "id": "a/b", "agent_instance_id": "r", "schema_name": "s"}
    span |= {"status": "complete", "sensitive_discarded": True}
    server.script(*[Reply(200, {"details": span})] * 3)
    await client.agent_spans.get("a/b", redacted=True)
    await client.agent_spans.get("a/b")
    after = await client.agent_spans.discard_sensitive("a/b", "key-1")
    redacted, plain, discard = server.requests
    assert (redacted.path, dict(redacted.query)) == (plain.path, {"redacted": "true"})
    assert not plain.query
    assert after.sensitive_discarded is True
    assert discard.target == "/api/v1/agent_spans/a%2Fb/discard_sensitive"
    assert discard.json == {"idempotency_key": "key-1"}
    assert discard.headers["idempotency-key"] == "key-1"
