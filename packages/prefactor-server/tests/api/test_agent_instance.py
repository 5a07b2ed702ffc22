"""Runs through the API: what each status allows, and what an answer contains."""

from typing import Any

import pytest

FINISHES = ("complete", "failed", "cancelled")
ENDED = (*FINISHES, "terminated")


async def test_a_registered_run_is_pending_and_carries_every_field(api_client: Any) -> None:
    """A fresh run has the fields that published clients require, with empty counts and no times."""
    run = await api_client.register("run-1")

    assert run["type"] == "agent_instance"
    assert (run["id"], run["status"], run["purpose"]) == ("run-1", "pending", "live")
    assert run["started_at"] is run["finished_at"] is run["termination_reason"] is None
    assert run["span_counts"] == dict.fromkeys(
        ("total", "pending", "active", "complete", "failed", "cancelled", "finished"), 0
    )
    assert run["inserted_at"] == run["updated_at"]
    assert run["inserted_at"].startswith("2026-01-01T00:00:00.")
    assert run["inserted_at"].endswith("Z")
    assert run["quality_payloads"] == run["quality_summaries"] == {}
    for name in ("account_id", "agent_id", "agent_version_id", "environment_id"):
        assert len(run[name]) == 32
    assert len(run["agent_deployment_id"]) == len(run["agent_schema_version_id"]) == 32


async def test_a_pending_run_starts(api_client: Any) -> None:
    """Starting makes a pending run active, at the time that the client gives."""
    await api_client.register("run-1")

    started = await api_client.post(
        "/agent_instance/run-1/start", {"timestamp": "2025-12-31T23:00:00+01:00"}
    )

    assert started.details["status"] == "active"
    assert started.details["started_at"] == "2025-12-31T22:00:00.000000Z"


@pytest.mark.parametrize("body", [None, {}, {"timestamp": None}, {"unknown": 1}])
async def test_a_start_needs_no_body(api_client: Any, body: Any) -> None:
    """No body, an empty one and an explicit null all mean now."""
    await api_client.register("run-1")

    started = await api_client.post("/agent_instance/run-1/start", body)

    assert started.details["started_at"] == started.details["updated_at"]


@pytest.mark.parametrize("status", ["active", *ENDED])
async def test_only_a_pending_run_starts(api_client: Any, status: str) -> None:
    """Starting a run that is not pending is a conflict that names its status."""
    run = await api_client.run(status)

    again = await api_client.post(f"/agent_instance/{run['id']}/start")

    assert again.refused(409, "invalid_action")["message"] == f"Agent instance is already {status}"


@pytest.mark.parametrize("status", FINISHES)
async def test_an_active_run_finishes(api_client: Any, status: str) -> None:
    """An active run can finish with each of three statuses."""
    run = await api_client.run("active")

    ended = await api_client.post(
        f"/agent_instance/{run['id']}/finish",
        {"status": status, "timestamp": "2026-01-01T01:00:00Z"},
    )

    assert ended.details["status"] == status
    assert ended.details["finished_at"] == "2026-01-01T01:00:00.000000Z"


async def test_finishing_without_a_status_completes(api_client: Any) -> None:
    """The default of finish is complete, now, also without a body."""
    run = await api_client.run("active")

    ended = await api_client.post(f"/agent_instance/{run['id']}/finish")

    assert ended.details["status"] == "complete"
    assert ended.details["finished_at"] == ended.details["updated_at"]


async def test_a_pending_run_can_be_cancelled(api_client: Any) -> None:
    """Cancelling a run that never started sets both of its times to the same moment."""
    run = await api_client.run("pending")

    ended = await api_client.post(f"/agent_instance/{run['id']}/finish", {"status": "cancelled"})

    assert ended.details["status"] == "cancelled"
    assert ended.details["started_at"] == ended.details["finished_at"] is not None


@pytest.mark.parametrize("status", ["complete", "failed"])
async def test_a_pending_run_cannot_have_succeeded(api_client: Any, status: str) -> None:
    """A run that never started cannot complete or fail, and the error says what is needed."""
    run = await api_client.run("pending")

    refused = await api_client.post(f"/agent_instance/{run['id']}/finish", {"status": status})

    assert "must be active" in refused.refused(409, "invalid_action")["message"]


@pytest.mark.parametrize("before", ENDED)
@pytest.mark.parametrize("status", FINISHES)
async def test_an_ended_run_stays_as_it_ended(api_client: Any, before: str, status: str) -> None:
    """Finishing an ended run is a conflict and changes nothing, however the run ended."""
    run = await api_client.run(before)
    path = f"/agent_instance/{run['id']}"
    shown = (await api_client.get(path)).details

    refused = await api_client.post(f"{path}/finish", {"status": status})

    refused.refused(409, "invalid_action")
    assert (await api_client.get(path)).details == shown


async def test_terminating_stops_an_active_run_and_its_open_spans(api_client: Any) -> None:
    """A termination keeps its reason, cancels open spans, and leaves ended ones unchanged."""
    run = await api_client.run("active")
    pending = await api_client.span(run, status="pending")
    active = await api_client.span(run, status="active")
    failed = await api_client.span(run, status="failed")

    stopped = await api_client.post(
        f"/agent_instance/{run['id']}/terminate", {"reason": "budget exceeded"}
    )

    assert stopped.details["status"] == "terminated"
    assert stopped.details["termination_reason"] == "budget exceeded"
    assert stopped.details["finished_at"] == stopped.details["updated_at"]
    counts = stopped.details["span_counts"]
    assert (counts["cancelled"], counts["failed"], counts["active"]) == (2, 1, 0)
    assert (counts["total"], counts["finished"], counts["pending"]) == (3, 3, 0)
    for span in (pending, active):
        seen = (await api_client.get(f"/agent_spans/{span['id']}")).details
        assert (seen["status"], seen["closed_by_termination"]) == ("cancelled", True)
        assert seen["finished_at"] == stopped.details["finished_at"]
    assert (await api_client.get(f"/agent_spans/{failed['id']}")).details["status"] == "failed"


@pytest.mark.parametrize("status", ["pending", *ENDED])
async def test_only_an_active_run_is_terminated(api_client: Any, status: str) -> None:
    """Terminating a run that is not active is a conflict."""
    run = await api_client.run(status)

    refused = await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})

    refused.refused(409, "invalid_action")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "required_value"),
        ({"reason": None}, "required_value"),
        ({"reason": ""}, "invalid_value"),
        ({"reason": "  \n"}, "invalid_value"),
        ({"reason": 5}, "invalid_value"),
        ({"reason": "x" * 2001}, "invalid_value"),
        ({"reason": "a\0b"}, "invalid_value"),
    ],
)
async def test_a_termination_says_why(api_client: Any, body: Any, code: str) -> None:
    """A missing, blank, long or non-text reason is refused, and the run stays active."""
    run = await api_client.run("active")

    refused = await api_client.post(f"/agent_instance/{run['id']}/terminate", body)

    assert refused.refused(422, "validation_errors")["errors"]["reason"]["code"] == code
    assert (await api_client.get(f"/agent_instance/{run['id']}")).details["status"] == "active"


@pytest.mark.parametrize("action", ["/start", "/finish", "/terminate", ""])
@pytest.mark.parametrize("run_id", ["nobody", "a b", "x" * 65, "%00", "a%2Fb", "é"])
async def test_an_unknown_run_is_not_found(api_client: Any, action: str, run_id: str) -> None:
    """An id that does not exist, possible or not, is a 404."""
    method, body = ("POST", {"reason": "enough"}) if action else ("GET", None)

    answer = await api_client.call(method, f"/agent_instance/{run_id}{action}", body)

    answer.refused(404, "not_found")


async def test_a_bad_timestamp_or_status_names_its_field(api_client: Any) -> None:
    """Every wrong field of a request is named, not only the first."""
    run = await api_client.run("active")

    refused = await api_client.post(
        f"/agent_instance/{run['id']}/finish", {"status": "terminated", "timestamp": "soon"}
    )

    errors = refused.refused(422, "validation_errors")["errors"]
    assert errors["status"]["code"] == errors["timestamp"]["code"] == "invalid_value"
    assert "complete, failed, cancelled" in errors["status"]["message"]


async def test_the_list_filters_runs(api_client: Any) -> None:
    """Each filter of the list of runs returns exactly the matching runs."""
    first = await api_client.run("pending", purpose="eval", external_identifier="ext-1")
    second = await api_client.run("active", agent_id="agent-2")
    third = await api_client.run("failed")
    since, before = second["started_at"], third["started_at"]
    expected = [
        ({}, [first, second, third]),
        ({"agent_id": "agent-2"}, [second]),
        ({"agent_id": first["agent_id"]}, [first, third]),
        ({"agent_id": "nobody"}, []),
        ({"status": "failed"}, [third]),
        ({"purpose": "eval"}, [first]),
        ({"external_identifier": "ext-1"}, [first]),
        ({"environment_id": first["environment_id"]}, [first, second, third]),
        ({"environment_id": "elsewhere"}, []),
        ({"agent_version_id": second["agent_version_id"]}, [second]),
        ({"started_after": since}, [second, third]),
        ({"started_after": since, "started_before": before}, [second]),
        ({"account_id": first["account_id"]}, [first, second, third]),
    ]

    for query, runs in expected:
        found = (await api_client.get("/agent_instance", query)).summaries
        assert [row["id"] for row in found] == [run["id"] for run in runs], query


@pytest.mark.parametrize(
    "query",
    [{"status": "done"}, {"purpose": "fun"}, {"started_after": "soon"}, {"started_before": ""}],
)
async def test_a_filter_with_an_impossible_value_is_refused(
    api_client: Any, query: dict[str, str]
) -> None:
    """An impossible filter value is refused by name, and not answered with an empty list."""
    refused = await api_client.get("/agent_instance", query)

    (name,) = query
    assert refused.refused(422, "validation_errors")["errors"][name]["code"] == "invalid_value"
