"""Bulk requests of the scripted server follow the rules of the API."""

from __future__ import annotations

from typing import Any

import pytest

from prefactor_http.testing import ScriptedServer

from .conftest import Api


def span(key: str, instance: str, **more: object) -> dict[str, Any]:
    """Return an item that creates a span, with its fields flat."""
    return {
        "_type": "agent_spans/create",
        "idempotency_key": key,
        "agent_instance_id": instance,
        "schema_name": "s",
        "status": "active",
        **more,
    }


async def test_items_run_in_order(server: ScriptedServer, api: Api) -> None:
    """Items run in order and are answered by key; span fields may be flat or wrapped."""
    instance = server.add_instance(status="pending")
    wrapped = {"_type": "agent_spans/create", "idempotency_key": "key-0002"}
    items = [
        {
            "_type": "agent_instances/start",
            "idempotency_key": "key-0000",
            "agent_instance_id": instance,
        },
        span("key-0001", instance, id="one"),
        {**wrapped, "details": {"agent_instance_id": instance, "schema_name": "s", "id": "two"}},
        {"_type": "agent_spans/finish", "idempotency_key": "key-0003", "agent_span_id": "one"},
        {
            "_type": "agent_spans/list",
            "idempotency_key": "key-0004",
            "agent_instance_id": instance,
        },
    ]

    status, body = await api.post("bulk", {"items": items})

    assert status == 200
    assert list(body["outputs"]) == [f"key-000{n}" for n in range(5)]
    assert {output["status"] for output in body["outputs"].values()} == {"success"}
    assert server.instances[instance]["status"] == "active"
    assert {id_: row["status"] for id_, row in server.spans.items()} == {
        "one": "complete",
        "two": "active",
    }
    assert len(body["outputs"]["key-0004"]["summaries"]) == 2


@pytest.mark.parametrize("bad", ["agents/fly", "agent_instances/start"])
async def test_the_first_error_ends_it(server: ScriptedServer, api: Api, bad: str) -> None:
    """Processing stops at the first failing item: it is answered, and later ones are absent."""
    instance = server.add_instance()
    items = [
        span("key-0001", instance),
        {"_type": bad, "idempotency_key": "key-0002", "agent_instance_id": instance},
        span("key-0003", instance),
    ]

    status, body = await api.post("bulk", {"items": items})

    assert (status, body["status"]) == (200, "success")
    assert [output["status"] for output in body["outputs"].values()] == ["success", "error"]
    assert len(server.spans) == 1


async def test_a_repeated_request_continues_where_it_failed(
    server: ScriptedServer, api: Api
) -> None:
    """Items that succeeded are replayed, so repeating the request applies none twice."""
    instance = server.add_instance()
    items = [span("key-0001", instance), span("key-0002", "later"), span("key-0003", instance)]
    await api.post("bulk", {"items": items})
    items[1]["agent_instance_id"] = instance

    _, body = await api.post("bulk", {"items": items})

    assert {output["status"] for output in body["outputs"].values()} == {"success"}
    assert server.applied == {"key-0001": 1, "key-0002": 1, "key-0003": 1}
    assert server.replayed == {"key-0001": 1}


@pytest.mark.parametrize(
    "items",
    [
        None,
        [],
        ["text"],
        [{"_type": "ping"}],
        [{"_type": "ping", "idempotency_key": "short"}],
        [{"idempotency_key": "long-enough"}],
        [{"_type": "ping", "idempotency_key": "same-same"}] * 2,
    ],
)
async def test_a_malformed_request_executes_nothing(api: Api, items: object) -> None:
    """A bulk request without items, keys or types, or with a duplicate key, is refused whole."""
    status, body = await api.post("bulk", {"items": items})

    assert (status, list(body["errors"])) == (422, ["items"])


async def test_an_item_carries_the_control_signal(server: ScriptedServer, api: Api) -> None:
    """A span written in bulk to a terminated run carries the control signal."""
    instance = server.add_instance()
    server.terminate(instance, "stop")

    _, body = await api.post("bulk", {"items": [span("key-0001", instance)]})

    assert body["outputs"]["key-0001"]["control"] == {"terminate": True, "reason": "stop"}
