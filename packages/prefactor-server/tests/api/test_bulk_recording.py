"""Bulk requests as a recorder sends them: what it may send, and what each answer contains."""

from typing import Any

import pytest
from bulk_items import RUN, new_item, outputs_of, register_item, span_item

from prefactor_server.api import Limits


@pytest.fixture
def limits() -> Limits:
    """Limits that a test can exceed."""
    return Limits(
        max_request_bytes=100_000,
        max_payload_bytes=10_000,
        token_cache_seconds=10,
        auto_create_agents=True,
    )


@pytest.mark.parametrize("scope", ["account", "agent_deployment"])
async def test_a_run_is_recorded_in_bulk_with_a_token_of_either_scope(
    api_client: Any, scope: str
) -> None:
    """A deployment token may send in bulk what it may send alone, and each item is answered."""
    other = await api_client.register()
    token = await api_client.deployment_token(other) if scope == "agent_deployment" else None
    run = {"id": RUN} if token else {"id": RUN, "agent_id": "agent-1"}
    items = [
        new_item("agent_instances/register", "reg", **run),
        new_item("agent_instances/start", "start", agent_instance_id=RUN),
        span_item("open", "span-1"),
        new_item("agent_spans/finish", "end", agent_span_id="span-1"),
        span_item("whole", "span-2", status="failed", result_payload={"a": 1}),
        new_item("agent_instances/finish", "finish", agent_instance_id=RUN),
    ]

    answer = await api_client.post("/bulk", {"items": items}, token=token)

    outputs = answer.body["outputs"].values()
    assert [one["status"] for one in outputs] == ["success"] * 6, answer.text
    assert {one["details"]["account_id"] for one in outputs} == {other["account_id"]}
    assert [one["details"]["status"] for one in outputs] == [
        "pending", "active", "active", "complete", "failed", "complete"
    ]  # fmt: skip
    assert not any("control" in one for one in outputs)


@pytest.mark.parametrize("scope", ["account", "agent_deployment"])
async def test_every_item_of_a_terminated_run_has_the_signal(api_client: Any, scope: str) -> None:
    """Done, repeated or refused, alone or in bulk, an answer reports the termination."""
    run = await api_client.register(RUN)
    token = (
        await api_client.deployment_token(run) if scope == "agent_deployment" else api_client.token
    )
    register = register_item("reg", id="run-2")
    start = new_item("agent_instances/start", "start", agent_instance_id="run-2")
    first = [register, start, span_item("old", "span-1", agent_instance_id="run-2")]
    await api_client.post("/bulk", {"items": first}, token=token)
    await api_client.post("/agent_instance/run-2/terminate", {"reason": "enough"})
    done = [
        *first,
        span_item("late", "span-2", agent_instance_id="run-2"),
        new_item("agent_spans/finish", "end", agent_span_id="span-1"),
        new_item("agent_spans/finish", "end", agent_span_id="span-1"),
        new_item("agent_instances/record_quality", "good", id="run-2", name="q", payload={"a": 1}),
    ]
    refused = [
        {**start, "idempotency_key": "another-start"},
        new_item("agent_instances/finish", "finish", agent_instance_id="run-2"),
        {**done[2], "idempotency_key": "another-span"},
        new_item("agent_spans/finish", "again", agent_span_id="span-1"),
    ]

    heard = []
    for item in done + refused:
        answer = await api_client.post("/bulk", {"items": [item]}, token=token)
        heard.append(answer.body["outputs"][item["idempotency_key"]])
    alone = await api_client.post("/agent_instance/run-2/finish", token=token)

    assert [one["status"] for one in heard] == ["success"] * 7 + ["error"] * 4
    assert {one["code"] for one in heard[7:]} == {"invalid_action"}
    control = {"terminate": True, "reason": "enough"}
    assert [one["control"] for one in heard] == [control] * 11
    assert alone.refused(409, "invalid_action")["control"] == control


async def test_too_many_items_are_refused_with_the_limit(api_client: Any) -> None:
    """The error says how many items a request may have."""
    items = [new_item("ping", str(number)) for number in range(1001)]

    body = (await api_client.post("/bulk", {"items": items})).refused(422, "validation_errors")
    empty = (await api_client.post("/bulk", {"items": []})).refused(422, "validation_errors")

    assert (body["limit"], body["limit_of"]) == (1000, "items")
    assert "1000" in body["message"]
    assert "limit" not in empty


async def test_too_large_payloads_and_requests_have_different_errors(api_client: Any) -> None:
    """A large payload fails its item with its own limit; a large request is refused whole."""
    await api_client.register(RUN)
    large = span_item("large", "span-1", payload={"text": "x" * 10_000})

    outputs = await outputs_of(api_client, large)
    whole = await api_client.post("/bulk", {"items": [{**large, "filler": "x" * 100_000}]})

    item, body = outputs["key-large"], whole.refused(413, "bad_request")
    assert (item["limit"], item["limit_of"]) == (10_000, "payload_bytes")
    assert (body["limit"], body["limit_of"]) == (100_000, "request_bytes")


MINIMAL = {"Prefer": "respond-async, return=minimal"}


async def test_a_minimal_answer_repeats_no_payload(api_client: Any) -> None:
    """Items that wrote a run or a span return only id, account, status and control."""
    items = [
        register_item(),
        new_item("agent_instances/start", "start", agent_instance_id=RUN),
        span_item("whole", "span-1", payload={"text": "long"}, status="complete"),
        new_item("agent_instances/terminate", "stop", agent_instance_id=RUN, reason="enough"),
        span_item("late", "span-2", payload={"text": "long"}),
        new_item("agent_spans/finish", "end", agent_span_id="span-2", result_payload={"a": 1}),
        new_item("agent_spans/show", "read", agent_span_id="span-1"),
        span_item("wrong", "span-1", agent_instance_id="nowhere"),
    ]

    answers = [await api_client.post("/bulk", {"items": items}, headers=MINIMAL) for _ in range(2)]

    account = answers[0].body["outputs"]["key-0reg"]["details"]["account_id"]

    def details(identifier: str, status: str) -> dict[str, str]:
        return {"id": identifier, "account_id": account, "status": status}

    for answer in answers:
        assert answer.headers["preference-applied"] == "return=minimal"
        *written, read, wrong = answer.body["outputs"].values()
        assert read["details"]["payload"] == {"text": "long"}
        assert (wrong["code"], bool(wrong["message"])) == ("not_found", True)
        assert {one["status"] for one in written} == {"success"}
        control = {"terminate": True, "reason": "enough"}
        assert written[4] == {
            "status": "success",
            "details": details("span-2", written[4]["details"]["status"]),
            "control": control,
        }
    first = [one["details"] for one in list(answers[0].body["outputs"].values())[:6]]
    assert first == [
        details(RUN, "pending"),
        details(RUN, "active"),
        details("span-1", "complete"),
        details(RUN, "terminated"),
        details("span-2", "active"),
        details("span-2", "complete"),
    ]


async def test_prefer_is_not_part_of_the_request(api_client: Any) -> None:
    """The same items with and without `Prefer` share their keys, and single writes ignore it."""
    await api_client.register(RUN)
    span = span_item("one", "span-1", payload={"a": 1})

    minimal = await api_client.post("/bulk", {"items": [span]}, headers=MINIMAL)
    full = await api_client.post("/bulk", {"items": [span]}, headers={"Prefer": "return=full"})
    details = {"agent_instance_id": RUN, "schema_name": "step", "payload": {"a": 1}}
    alone = await api_client.post("/agent_spans", {"details": details}, headers=MINIMAL)

    assert set(minimal.body["outputs"]["key-0one"]["details"]) == {"id", "account_id", "status"}
    assert "preference-applied" not in full.headers
    assert full.body["outputs"]["key-0one"]["details"]["payload"] == {"a": 1}
    assert alone.body["details"]["payload"] == {"a": 1}
