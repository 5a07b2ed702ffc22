"""Agent instances of the scripted server follow the rules of the API."""

from __future__ import annotations

import re

import pytest

from prefactor_http.testing import ScriptedServer

from .conftest import Api

ZERO_COUNTS = {
    "total": 0,
    "pending": 0,
    "active": 0,
    "complete": 0,
    "failed": 0,
    "cancelled": 0,
    "finished": 0,
}


async def test_register_creates_a_pending_instance(server: ScriptedServer, api: Api) -> None:
    """Registering returns a pending instance and stores it."""
    status, body = await api.post(
        "agent_instance/register",
        {"agent_id": "a", "agent_version": {}, "agent_schema_version": {}},
    )

    details = body["details"]
    assert (status, body["status"]) == (200, "success")
    assert (details["agent_id"], details["status"], details["started_at"]) == ("a", "pending", None)
    assert details["span_counts"] == ZERO_COUNTS
    assert re.fullmatch(r"[0-7][0-9a-hjkmnp-tv-z]{31}", details["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", details["inserted_at"])
    assert server.instances == {details["id"]: details}


async def test_a_normal_run(server: ScriptedServer, api: Api) -> None:
    """An instance is pending, then active, and then has the status of its finish."""
    id_ = server.add_instance(status="pending")

    _, started = await api.post(
        f"agent_instance/{id_}/start", {"timestamp": "2026-01-01T12:00:00+02:00"}
    )
    _, finished = await api.post(f"agent_instance/{id_}/finish", {"status": "failed"})

    assert started["details"]["status"] == "active"
    assert started["details"]["started_at"] == "2026-01-01T10:00:00.000000Z"
    assert finished["details"]["status"] == "failed"
    assert finished["details"]["finished_at"] is not None


@pytest.mark.parametrize(
    ("history", "action", "body"),
    [
        ([], "finish", {"status": "complete"}),
        ([], "terminate", {"reason": "r"}),
        (["start"], "start", {}),
        (["start", "finish"], "start", {}),
        (["start", "finish"], "finish", {}),
        (["start", "finish"], "terminate", {"reason": "r"}),
    ],
)
async def test_invalid_transitions_are_refused(
    server: ScriptedServer, api: Api, history: list[str], action: str, body: dict[str, str]
) -> None:
    """An invalid transition is a 409 and changes nothing."""
    id_ = server.add_instance(status="pending")
    for past in history:
        await api.post(f"agent_instance/{id_}/{past}", {})
    before = dict(server.instances[id_])

    status, refusal = await api.post(f"agent_instance/{id_}/{action}", body)

    assert (status, refusal["code"]) == (409, "invalid_action")
    assert server.instances[id_] == before


async def test_cancelling_before_the_start(server: ScriptedServer, api: Api) -> None:
    """A pending instance can be cancelled, which sets both of its times."""
    id_ = server.add_instance(status="pending")

    _, body = await api.post(f"agent_instance/{id_}/finish", {"status": "cancelled"})

    assert body["details"]["status"] == "cancelled"
    assert body["details"]["started_at"] == body["details"]["finished_at"] is not None


async def test_termination_closes_open_spans(server: ScriptedServer, api: Api) -> None:
    """Terminating an instance cancels its open spans and leaves finished ones."""
    id_ = server.add_instance()
    for status in ("pending", "active", "complete"):
        details = {"agent_instance_id": id_, "schema_name": "s", "status": status, "payload": {}}
        await api.post("agent_spans", {"details": details})

    _, body = await api.post(f"agent_instance/{id_}/terminate", {"reason": "budget"})

    assert body["details"]["status"] == "terminated"
    assert body["details"]["termination_reason"] == "budget"
    assert [span["status"] for span in server.spans.values()] == [
        "cancelled",
        "cancelled",
        "complete",
    ]
    assert body["details"]["span_counts"] == {
        **ZERO_COUNTS,
        "total": 3,
        "cancelled": 2,
        "complete": 1,
        "finished": 3,
    }


async def test_a_termination_needs_a_reason(server: ScriptedServer, api: Api) -> None:
    """Terminating without a reason is refused with the field that is missing."""
    id_ = server.add_instance()

    status, body = await api.post(f"agent_instance/{id_}/terminate", {"reason": " "})

    assert status == 422
    assert body["errors"]["reason"]["code"] == "required_value"


async def test_quality_is_kept_by_name(server: ScriptedServer, api: Api) -> None:
    """An evaluation is stored under its name and removed by one without a payload."""
    id_ = server.add_instance()

    _, stored = await api.post(
        f"agent_instance/{id_}/record_quality", {"name": "tone", "payload": {"score": 1}}
    )
    _, removed = await api.post(
        f"agent_instance/{id_}/record_quality", {"name": "tone", "payload": None}
    )

    assert stored["details"]["quality_payloads"] == {"tone": {"score": 1}}
    assert removed["details"]["quality_payloads"] == {}


async def test_a_list_is_paged_and_filtered(server: ScriptedServer, api: Api) -> None:
    """A list returns one page of matches, names the next page, and can be reversed."""
    ids = [server.add_instance() for _ in range(5)]
    server.add_instance(status="pending")
    page = {"pagination[page_size]": "2", "pagination[offset]": "2"}

    _, body = await api.get("agent_instance", status="active", **page)
    _, turned = await api.get("agent_instance", status="active", sorting="-id", **page)

    assert [row["id"] for row in body["summaries"]] == ids[2:4]
    assert body["pagination"] == {
        "item_count": 5,
        "item_count_is_exact": True,
        "item_start": 3,
        "item_end": 4,
        "page_count": 3,
        "page_index": 2,
        "page_offset": 2,
        "page_size": 2,
        "next_page_offset": 4,
        "previous_page_offset": 0,
    }
    assert body["sorting"] == {"field": "id", "direction": "asc"}
    assert [row["id"] for row in turned["summaries"]] == ids[::-1][2:4]


@pytest.mark.parametrize(
    "query", [{"pagination[page_size]": "101"}, {"pagination[offset]": "x"}, {"sorting": "colour"}]
)
async def test_a_wrong_page_is_refused(
    server: ScriptedServer, api: Api, query: dict[str, str]
) -> None:
    """An impossible page is refused as a validation error."""
    server.add_instance()

    status, body = await api.get("agent_instance", **query)

    assert (status, body["code"]) == (422, "validation_errors")


async def test_an_unknown_instance_is_not_found(api: Api) -> None:
    """An unknown id is a 404, for reads and writes."""
    assert (await api.get("agent_instance/nobody"))[0] == 404
    assert (await api.post("agent_instance/nobody/start", {}))[0] == 404
