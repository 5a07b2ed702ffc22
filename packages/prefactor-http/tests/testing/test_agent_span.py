"""Spans of the scripted server follow the rules of the API."""

from __future__ import annotations

from typing import Any

import pytest

from prefactor_http.testing import ScriptedServer

from .conftest import Api


def details(instance: str, **changes: object) -> dict[str, Any]:
    """Return the body of a span create."""
    fields = {"agent_instance_id": instance, "schema_name": "llm", "status": "active"}
    return {"details": {**fields, "payload": {"n": None}, **changes}}


async def test_create_and_finish(server: ScriptedServer, api: Api) -> None:
    """A span is created active and finished with a result, and its instance counts it."""
    instance = server.add_instance()

    _, created = await api.post("agent_spans", details(instance, parent_span_id=None))
    id_ = created["details"]["id"]
    _, finished = await api.post(
        f"agent_spans/{id_}/finish", {"status": "failed", "result_payload": {"e": 1}}
    )

    assert created["details"]["payload"] == {"n": None}
    assert created["details"]["finished_at"] is None
    assert "control" not in created
    assert finished["details"]["status"] == "failed"
    assert finished["details"]["result_payload"] == {"e": 1}
    assert (await api.get(f"agent_spans/{id_}"))[1]["details"] == server.spans[id_]
    counts = server.instances[instance]["span_counts"]
    assert (counts["total"], counts["active"], counts["failed"], counts["finished"]) == (1, 0, 1, 1)


@pytest.mark.parametrize("state", ["pending", "active", "complete"])
async def test_spans_may_come_early_and_late(server: ScriptedServer, api: Api, state: str) -> None:
    """A span is accepted in every state of its instance."""
    instance = server.add_instance(status="pending" if state == "pending" else "active")
    if state == "complete":
        await api.post(f"agent_instance/{instance}/finish", {})

    assert (await api.post("agent_spans", details(instance)))[0] == 200


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("active", "complete", 200),
        ("active", "cancelled", 200),
        ("pending", "cancelled", 200),
        ("pending", "complete", 409),
        ("complete", "complete", 409),
    ],
)
async def test_the_state_machine(
    server: ScriptedServer, api: Api, before: str, after: str, status: int
) -> None:
    """A span finishes from active, is cancelled from pending, and never finishes twice."""
    instance = server.add_instance()
    _, created = await api.post("agent_spans", details(instance, status=before))

    answer, body = await api.post(
        f"agent_spans/{created['details']['id']}/finish", {"status": after}
    )

    assert answer == status
    assert body.get("code") == (None if status == 200 else "invalid_action")


async def test_writes_to_a_terminated_run_carry_the_signal(
    server: ScriptedServer, api: Api
) -> None:
    """After a termination span writes succeed with the signal, and a closed span finishes once."""
    instance = server.add_instance()
    _, created = await api.post("agent_spans", details(instance))
    server.terminate(instance, "budget exceeded")
    signal = {"terminate": True, "reason": "budget exceeded"}

    status, late = await api.post("agent_spans", details(instance))
    path = f"agent_spans/{created['details']['id']}/finish"
    _, finished = await api.post(path, {"status": "complete"})
    again, _ = await api.post(path, {"status": "complete"})

    assert (status, late["control"]) == (200, signal)
    assert finished["control"] == signal
    assert finished["details"]["status"] == "complete"
    assert again == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema_name": None}, "schema_name"),
        ({"agent_instance_id": None}, "agent_instance_id"),
        ({"status": "terminated"}, "status"),
        ({"payload": "text"}, "payload"),
        ({"result_payload": {}}, "result_payload"),
        ({"started_at": "yesterday"}, "started_at"),
    ],
)
async def test_wrong_fields_are_named(
    server: ScriptedServer, api: Api, changes: dict[str, object], field: str
) -> None:
    """A missing or wrong field is named in the error, and no span is created."""
    status, body = await api.post("agent_spans", details(server.add_instance(), **changes))

    assert (status, list(body["errors"])) == (422, [field])
    assert server.spans == {}


async def test_a_list_needs_an_owner(server: ScriptedServer, api: Api) -> None:
    """Spans are listed by instance or agent and by time; without an owner the list is refused."""
    instance, other = server.add_instance(), server.add_instance()
    for hour in ("09", "10", "11"):
        started_at = f"2026-01-01T{hour}:00:00Z"
        await api.post("agent_spans", details(instance, started_at=started_at))
    await api.post("agent_spans", details(other))

    _, body = await api.get(
        "agent_spans",
        agent_instance_id=instance,
        start_time="2026-01-01T09:30:00Z",
        end_time="2026-01-01T10:30:00Z",
    )

    assert [row["started_at"] for row in body["summaries"]] == ["2026-01-01T10:00:00.000000Z"]
    assert (await api.get("agent_spans"))[0] == 422


async def test_an_id_is_used_once(server: ScriptedServer, api: Api) -> None:
    """A span keeps the id its client chose, and a second span cannot have it."""
    instance = server.add_instance()

    first, _ = await api.post("agent_spans", details(instance, id="mine"))
    second, body = await api.post("agent_spans", details(instance, id="mine"))

    assert (first, second, body["code"]) == (200, 409, "invalid_action")
    assert list(server.spans) == ["mine"]
