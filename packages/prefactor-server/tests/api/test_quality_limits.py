"""The quality of runs with many evaluations: bounded answers, and limits."""

import json
from typing import Any

import pytest
from served_api import PutRows

from prefactor_server.commands.base import Request
from prefactor_server.domain.runs.quality import MAX_QUALITY_NAMES, no_quality

QUALITY = {
    "quality_payload",
    "quality_summary",
    "quality_payload_validation",
    "quality_payloads",
    "quality_summaries",
    "quality_payload_validations",
}


def _records(run: Any, names: range, size: int = 800) -> list[dict[str, Any]]:
    return [
        {
            "_type": "agent_instances/record_quality",
            "idempotency_key": f"quality-{number}",
            "agent_instance_id": run["id"],
            "name": f"q{number}",
            "payload": {"text": "x" * (size - 11)},
        }
        for number in names
    ]


async def _record(api_client: Any, run: Any, name: str, payload: Any) -> Any:
    path = f"/agent_instance/{run['id']}/record_quality"
    return await api_client.post(path, {"name": name, "payload": payload})


async def _names(api_client: Any, run: Any) -> set[str]:
    return set((await api_client.get(f"/agent_instance/{run['id']}")).details["quality_payloads"])


async def test_an_item_returns_only_its_own_entry(api_client: Any) -> None:
    """A bulk answer holds each item's quality once, so it grows linearly with the request."""
    run = await api_client.run()
    items = _records(run, range(1000))

    answer = await api_client.post("/bulk", {"items": items})

    outputs = answer.body["outputs"]
    told = [outputs[one["idempotency_key"]]["details"]["quality_payloads"] for one in items]
    assert told == [{one["name"]: one["payload"]} for one in items]
    assert len(answer.text) < 3 * len(json.dumps(items))
    assert await _names(api_client, run) == {one["name"] for one in items}


async def test_other_items_return_no_quality(api_client: Any) -> None:
    """In bulk, starting and ending a run, and all repeats, return no quality."""
    run = await api_client.register()
    (record,) = _records(run, range(1))
    steps = [
        {
            "_type": f"agent_instances/{verb}",
            "idempotency_key": f"{verb}-0001",
            "agent_instance_id": run["id"],
            **more,
        }
        for verb, more in (("start", {}), ("terminate", {"reason": "enough"}))
    ]
    taken_back = {**record, "idempotency_key": "taken-back", "payload": None}

    items = [record, *steps, taken_back]
    first = (await api_client.post("/bulk", {"items": items})).body["outputs"]
    again = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert first["taken-back"]["details"]["quality_payloads"] == {}
    assert not QUALITY & set(first["start-0001"]["details"])
    assert not QUALITY & set(first["terminate-0001"]["details"])
    assert [one["status"] for one in again.values()] == ["success"] * 4
    assert not any(QUALITY & set(one["details"]) for one in again.values())


async def test_a_run_has_a_limited_number_of_quality_names(api_client: Any) -> None:
    """One name too many is refused with a reason; existing names can be replaced or removed."""
    run = await api_client.run()
    items = _records(run, range(MAX_QUALITY_NAMES + 1), size=20)
    await api_client.post("/bulk", {"items": items[:-1]})

    over = (await api_client.post("/bulk", {"items": items[-1:]})).body["outputs"]
    older = await api_client.call(
        "PUT", f"/agent_instance/{run['id']}", {"details": {"quality_payload": {"a": 1}}}
    )
    replaced = await _record(api_client, run, "q0", {"a": 1})
    freed = await _record(api_client, run, "q1", None)
    added = await _record(api_client, run, "another", {"a": 1})

    refused = over[items[-1]["idempotency_key"]]
    assert (refused["status"], refused["code"]) == ("error", "validation_errors")
    assert str(MAX_QUALITY_NAMES) in refused["errors"]["name"]["message"]
    assert (refused["limit_of"], refused["limit"]) == ("quality_names", MAX_QUALITY_NAMES)
    assert list(older.refused(422, "validation_errors")["errors"]["details"]) == ["quality_payload"]
    assert [one.status for one in (replaced, freed, added)] == [200] * 3
    assert len(await _names(api_client, run)) == MAX_QUALITY_NAMES


@pytest.mark.parametrize("size", [1, 1_000])
async def test_stored_rows_over_the_limit_may_only_shrink(api_client: Any, size: int) -> None:
    """Oversized rows of an older server are shown, and only accept changes that shrink them."""
    run = await api_client.run()
    names = [f"old-{number}" for number in range(MAX_QUALITY_NAMES + 200)]
    old = {name: {"payload": {"text": "x" * size}, "summary": None} for name in names}
    quality = no_quality(run["account_id"], run["id"], 1)._replace(
        document=json.dumps(old).encode()
    )
    request = Request(run["account_id"], "test", 1, None, b"")
    await api_client.writer.submit([PutRows(request, (quality,))], 0)

    shown = await _names(api_client, run)
    new = await _record(api_client, run, "new", {})
    shorter = await _record(api_client, run, "old-0", {})
    fewer = await _record(api_client, run, "old-1", None)

    assert shown == set(names)
    assert new.refused(422, "validation_errors")["limit"] == MAX_QUALITY_NAMES
    assert (shorter.status, fewer.status) == (200, 200)
    assert await _names(api_client, run) == shown - {"old-1"}
