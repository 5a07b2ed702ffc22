"""Discarding the sensitive values of a span: permanent, once, and in the audit log."""

import json
from typing import Any

import pytest

from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.legal_hold import LegalHold

SECRET = "4111-1111"
CARD = {"$sensitive": "string", "value": {SECRET: [SECRET]}, "labels": ["pii"], "raw": SECRET}
MARKER = {"$sensitive": "string", "value": None, "labels": ["pii"], "discarded": True}
SCHEMA = {
    "type": "object",
    "properties": {
        "card": {"properties": {"value": {"additionalProperties": False, "maxProperties": 0}}}
    },
}
TYPES = [
    {
        "name": "pay",
        "params_schema": SCHEMA,
        "result_schema": SCHEMA,
        "template": "paid with {{ card }} {{ card.value }} {{ list | join }}",
    }
]
BIG = 123456789012345678901234567890


async def _span(api_client: Any, status: str = "complete", **fields: Any) -> Any:
    """A span of a run with sensitive values in its payload and its result."""
    run = await api_client.run(agent_schema_version={"span_type_schemas": TYPES})
    payload = {"card": CARD, "list": [1, {"deep": CARD}], "open": "kept", "n": BIG}
    fields = {"schema_name": "pay", "status": status, "payload": payload, **fields}
    if status == "complete":
        fields["result_payload"] = {"card": CARD, "ok": True}
    return await api_client.span(run, **fields)


async def _discard(api_client: Any, span: Any, **more: Any) -> Any:
    return await api_client.post(f"/agent_spans/{span['id']}/discard_sensitive", **more)


async def _deployment_token(api_client: Any, span: Any) -> str:
    """A token of the deployment whose run has the span."""
    run = (await api_client.get(f"/agent_instance/{span['agent_instance_id']}")).details
    token: str = await api_client.deployment_token(run)
    return token


async def _everything(api_client: Any, span: Any) -> str:
    """Everything that can be read of a span."""
    paths = [
        f"/agent_spans/{span['id']}",
        f"/agent_spans?agent_instance_id={span['agent_instance_id']}&include_summaries=true",
        f"/agent_instance/{span['agent_instance_id']}/agent_context",
        f"/agent_instance/{span['agent_instance_id']}/skeleton",
    ]
    return "".join([(await api_client.get(path)).text for path in paths])


async def test_sensitive_values_are_replaced_permanently(api_client: Any) -> None:
    """Payload and result keep everything else, and no answer shows the values again."""
    span = await _span(api_client)
    assert SECRET in await _everything(api_client, span)

    answer = (await _discard(api_client, span)).details

    payload = {"card": MARKER, "list": [1, {"deep": MARKER}], "open": "kept", "n": BIG}
    assert answer["payload"] == payload
    assert answer["result_payload"] == {"card": MARKER, "ok": True}
    assert answer["sensitive_discarded"]
    assert not span["sensitive_discarded"]
    assert answer["updated_at"] > span["updated_at"]
    assert answer["payload_byte_size_estimate"] < span["payload_byte_size_estimate"]
    assert SECRET not in await _everything(api_client, span)
    assert (await api_client.get(f"/agent_spans/{span['id']}")).details == answer | {
        name: (await api_client.get(f"/agent_spans/{span['id']}")).details[name]
        for name in ("risk_level", "risk_score")
    }


async def test_derived_data_has_no_sensitive_value(api_client: Any) -> None:
    """Summary and validation messages name the wrapper alone, before and after."""
    span = await _span(api_client)
    derived = ("summary", "payload_validation", "result_payload_validation", "model", "tool_name")

    after = (await _discard(api_client, span)).details

    assert span["summary"].startswith("paid with [pii]")
    assert span["payload_validation"]["status"] == "error"
    assert span["payload_validation"]["message"] == '"/card": the sensitive value does not match'
    assert SECRET not in json.dumps({name: span[name] for name in derived})
    assert {name: after[name] for name in derived} == {name: span[name] for name in derived}


async def test_discarding_happens_once_and_is_audited(api_client: Any) -> None:
    """The first discard is in the audit log; another finds nothing and changes nothing."""
    span = await _span(api_client)
    headers = {"Idempotency-Key": "k"}

    first = await _discard(api_client, span, headers=headers)
    repeat = await _discard(api_client, span, headers=headers)
    second = await _discard(api_client, span)

    assert [one.replayed for one in (first, repeat, second)] == [False, True, False]
    assert repeat.details["payload"] == first.details["payload"]
    assert second.details == first.details
    found = await api_client.rows(
        "SELECT action, detail FROM audit_entry WHERE resource_id = ?", span["id"]
    )
    assert found == [("agent_spans.discard_sensitive", span["agent_instance_id"])]


async def test_a_span_without_sensitive_values_is_unchanged(api_client: Any) -> None:
    """A span without marked values is not written."""
    span = await api_client.span(await api_client.run(), payload={"said": "$sensitive"})

    assert (await _discard(api_client, span)).details == span


async def test_a_later_finish_does_not_restore_values(api_client: Any) -> None:
    """An open span can be finished later: its payload stays discarded, and its result is new."""
    span = await _span(api_client, "active")
    await _discard(api_client, span)

    end = {"result_payload": {"card": CARD}}
    finished = (await api_client.post(f"/agent_spans/{span['id']}/finish", end)).details
    again = (await _discard(api_client, span)).details

    assert finished["payload"]["card"] == MARKER
    assert finished["result_payload"] == {"card": CARD}
    assert again["result_payload"] == {"card": MARKER}
    assert SECRET not in await _everything(api_client, span)


async def test_a_held_run_is_not_discarded(api_client: Any) -> None:
    """Under a legal hold discarding is refused with a reason; afterwards it works."""
    span = await _span(api_client)
    account_id, run_id = span["account_id"], span["agent_instance_id"]
    maintenance, entry = (
        api_client.storage.maintenance,
        AuditEntry(span["account_id"], 1, "cli", "", "", None),
    )
    assert await maintenance.add_hold(LegalHold(account_id, run_id, "case 17", 1), entry)

    refused = (await _discard(api_client, span)).refused(409, "invalid_action")
    kept = (await api_client.get(f"/agent_spans/{span['id']}")).details
    assert await maintenance.remove_hold(account_id, run_id, entry)

    assert "legal hold" in refused["message"]
    assert kept["payload"]["card"] == CARD
    assert (await _discard(api_client, span)).details["payload"]["card"] == MARKER


async def test_only_account_tokens_discard(api_client: Any) -> None:
    """A deployment token cannot discard, and an unknown span is a 404."""
    span = await _span(api_client)
    token = await _deployment_token(api_client, span)

    (await _discard(api_client, span, token=token)).refused(403, "not_permitted")
    (await _discard(api_client, {"id": "nobody"})).refused(404, "not_found")


async def test_a_bulk_request_discards_what_it_created(api_client: Any) -> None:
    """In a bulk request, an item may discard the values of a span that an earlier one created."""
    run = await api_client.run()
    items = [
        {
            "_type": "agent_spans/create",
            "idempotency_key": "key-0001",
            "id": "span-1",
            "agent_instance_id": run["id"],
            "schema_name": "pay",
            "payload": {"card": CARD},
        },
        {
            "_type": "agent_spans/discard_sensitive",
            "idempotency_key": "key-0002",
            "agent_span_id": "span-1",
        },
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert outputs["key-0002"]["details"]["payload"] == {"card": MARKER}


@pytest.mark.parametrize("kind", ["number", {"what": SECRET}])
async def test_a_wrapper_keeps_only_type_and_labels(api_client: Any, kind: Any) -> None:
    """Anything in a wrapper other than its type and labels is discarded with the value."""
    odd = {"$sensitive": kind, "value": 7, "labels": ["a", {"b": SECRET}], SECRET: 1}
    span = await api_client.span(await api_client.run(), payload={"odd": odd})

    after = (await _discard(api_client, span)).details["payload"]["odd"]

    shown = kind if isinstance(kind, str) else True
    assert after == {"$sensitive": shown, "value": None, "labels": ["a"], "discarded": True}


async def test_a_span_is_shown_redacted_on_demand(api_client: Any) -> None:
    """Callers who may see sensitive values can ask for null; others always get null."""
    span = await _span(api_client)
    token = await _deployment_token(api_client, span)
    path = f"/agent_spans/{span['id']}"

    async def shown(redacted: str, **more: Any) -> Any:
        return (await api_client.get(path, {"redacted": redacted}, **more)).details["payload"][
            "card"
        ]

    assert await shown("false") == CARD
    masked = {**CARD, "value": None}
    assert await shown("true") == await shown("true", token=token) == masked
    assert await shown("false", token=token) == masked
    odd = await api_client.get(path, {"redacted": "maybe"})
    assert list(odd.refused(422, "validation_errors")["errors"]) == ["redacted"]
