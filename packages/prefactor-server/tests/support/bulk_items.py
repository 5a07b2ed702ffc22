"""Items of bulk requests about one run, and the answers to them."""

from typing import Any

RUN = "run-1"


def new_item(kind: str, key: str, **fields: Any) -> dict[str, Any]:
    """An item of a kind."""
    return {"_type": kind, "idempotency_key": f"key-{key:0>4}", **fields}


def register_item(key: str = "reg", **fields: Any) -> dict[str, Any]:
    """An item that registers the run."""
    return new_item("agent_instances/register", key, **{"id": RUN, "agent_id": "agent-1", **fields})


def span_item(key: str, span_id: str, **fields: Any) -> dict[str, Any]:
    """An item that creates a span of the run."""
    fields = {"agent_instance_id": RUN, "schema_name": "step", "id": span_id, **fields}
    return new_item("agent_spans/create", key, **fields)


async def outputs_of(api_client: Any, *items: Any) -> Any:
    """Send items in one request that succeeds; return their outputs."""
    answer = await api_client.post("/bulk", {"items": list(items)})
    assert (answer.status, answer.body["status"]) == (200, "success"), answer.text
    return answer.body["outputs"]
