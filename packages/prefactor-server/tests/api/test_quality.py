"""Quality through the API: evaluations of runs, in every spelling."""

import json
from typing import Any

import pytest
from served_api import PutRows

from prefactor_server.commands.base import Request
from prefactor_server.domain.runs.quality import no_quality

DECLARED = {
    "external_identifier": "s1",
    "span_type_schemas": [],
    "quality_schemas": [
        {
            "name": "helpful",
            "schema": {"type": "object", "properties": {"grade": {"type": "string"}}},
            "template": "Grade {{ grade }}",
        },
        {"name": "default", "schema": {"type": "object"}, "template": "Overall {{ grade }}"},
        {"name": "silent", "schema": {"type": "object"}},
    ],
}


async def _record(api_client: Any, run: Any, name: str, payload: Any, **more: Any) -> Any:
    body = {"name": name, "payload": payload, **more}
    return await api_client.post(f"/agent_instance/{run['id']}/record_quality", body)


async def _show(api_client: Any, run: Any, **more: Any) -> Any:
    return (await api_client.get(f"/agent_instance/{run['id']}", **more)).details


@pytest.mark.parametrize(
    "status", ["pending", "active", "complete", "failed", "cancelled", "terminated"]
)
async def test_quality_is_recorded_in_every_state(api_client: Any, status: str) -> None:
    """Quality is accepted in every status, and leaves the run's status and times unchanged."""
    run = await api_client.run(status, agent_schema_version=DECLARED)

    recorded = (await _record(api_client, run, "helpful", {"grade": "A"})).details

    assert recorded["quality_payloads"] == {"helpful": {"grade": "A"}}
    assert recorded["quality_summaries"] == {"helpful": "Grade A"}
    assert recorded["quality_payload"] is recorded["quality_summary"] is None
    assert recorded["status"] == status
    assert recorded["finished_at"] == run["finished_at"]
    assert recorded["updated_at"] > run["updated_at"]
    shown = await _show(api_client, run)
    # Answers to writes omit what is computed on reading.
    computed = {
        name: shown[name] for name in ("span_schema_counts", "cost_breakdown", "raised_alert_count")
    }
    assert shown == recorded | computed


async def test_names_are_independent(api_client: Any) -> None:
    """Recording a name leaves the others, recording it again replaces it, and null removes it."""
    run = await api_client.run("complete", agent_schema_version=DECLARED)
    await _record(api_client, run, "helpful", {"grade": "A"})
    await _record(api_client, run, "silent", {"grade": "B"})
    await _record(api_client, run, "helpful", {"mark": 1})
    both = await _show(api_client, run)
    await _record(api_client, run, "helpful", None)
    await _record(api_client, run, "never-there", None)
    one = await _show(api_client, run)

    assert both["quality_payloads"] == {"helpful": {"mark": 1}, "silent": {"grade": "B"}}
    assert both["quality_summaries"] == {"helpful": "Grade"}
    assert one["quality_payloads"] == {"silent": {"grade": "B"}}
    assert one["quality_summaries"] == {}


async def test_a_name_that_was_not_declared_is_stored(api_client: Any) -> None:
    """An evaluator may run later than the agent: an unknown name is stored, without a summary."""
    run = await api_client.run()

    recorded = (await _record(api_client, run, "invented", {"grade": "A"})).details

    assert recorded["quality_payloads"] == {"invented": {"grade": "A"}}
    assert recorded["quality_summaries"] == {}
    assert recorded["quality_payload_validations"] == {"invented": None}


async def test_a_payload_is_checked_against_the_declaration(api_client: Any) -> None:
    """A mismatch is stored and flagged, like a span's payload, and shown that way."""
    run = await api_client.run(agent_schema_version=DECLARED)
    broken = {"name": "broken", "schema": {"type": 5}}
    late = {**DECLARED, "quality_schemas": [broken]}
    other = await api_client.run(agent_schema_version=late)

    await _record(api_client, run, "helpful", {"grade": 5})
    await _record(api_client, run, "default", {"grade": 5})
    marked = (await _record(api_client, run, "silent", {"grade": "A"})).details
    again = (await _record(api_client, run, "helpful", {"grade": "A"})).details
    unchecked = (await _record(api_client, other, "broken", {"grade": 5})).details

    found = marked["quality_payload_validations"]
    assert found["helpful"]["status"] == "error"
    assert "grade" in found["helpful"]["message"]
    fine = {"status": "success", "message": None}
    assert (found["default"], found["silent"]) == (fine, fine)
    assert marked["quality_payload_validation"] == fine
    assert marked["quality_payloads"]["helpful"] == {"grade": 5}
    assert again["quality_payload_validations"]["helpful"] == fine
    assert (await _show(api_client, run))["quality_payload_validations"] == {
        **found,
        "helpful": fine,
    }
    assert unchecked["quality_payload_validations"] == {"broken": None}
    assert unchecked["quality_payload_validation"] is None


async def test_quality_of_older_servers_is_shown(api_client: Any) -> None:
    """Entries that an older server stored have no validation, and are otherwise unchanged."""
    run = await api_client.run(agent_schema_version=DECLARED)
    old = json.dumps({"helpful": {"payload": {"grade": 5}, "summary": "Grade 5"}}).encode()
    quality = no_quality(run["account_id"], run["id"], 1)._replace(document=old)
    request = Request(run["account_id"], "test", 1, None, b"")
    await api_client.writer.submit([PutRows(request, (quality,))], 0)

    shown = await _show(api_client, run)

    assert shown["quality_summaries"] == {"helpful": "Grade 5"}
    assert shown["quality_payload_validations"] == {"helpful": None}


async def test_later_declarations_do_not_change_earlier_runs(api_client: Any) -> None:
    """A run's quality is summarised by what was declared when the run was registered."""
    old = await api_client.run(agent_schema_version=DECLARED)
    newer = {**DECLARED, "quality_schemas": [{**DECLARED["quality_schemas"][0], "template": "New"}]}
    new = await api_client.run(agent_schema_version=newer)

    summaries = [
        (await _record(api_client, run, "helpful", {"grade": "A"})).details["quality_summaries"]
        for run in (old, new)
    ]

    assert summaries == [{"helpful": "Grade A"}, {"helpful": "New"}]


@pytest.mark.parametrize(("method", "tail"), [("POST", "/update"), ("PUT", "")])
async def test_older_clients_use_the_name_default(api_client: Any, method: str, tail: str) -> None:
    """The single quality_payload of older clients is the complete entry named default."""
    run = await api_client.run("complete", agent_schema_version=DECLARED)
    await _record(api_client, run, "helpful", {"grade": "A"})
    path = f"/agent_instance/{run['id']}{tail}"

    said = await api_client.call(method, path, {"details": {"quality_payload": {"grade": "C"}}})
    replaced = await api_client.call(method, path, {"details": {"quality_payload": {"other": 1}}})
    cleared = await api_client.call(method, path, {"details": {"quality_payload": None}})

    assert said.details["quality_payload"] == {"grade": "C"}
    assert said.details["quality_summary"] == "Overall C"
    assert said.details["quality_payloads"]["default"] == {"grade": "C"}
    assert replaced.details["quality_payload"] == {"other": 1}
    assert cleared.details["quality_payload"] is cleared.details["quality_summary"] is None
    assert cleared.details["quality_payloads"] == {"helpful": {"grade": "A"}}


async def test_one_declared_quality_is_the_one_named_default(api_client: Any) -> None:
    """A registration with the single quality_schema of older clients gives that entry summaries."""
    schema = {"quality_schema": {"schema": {"type": "object"}, "template": "Mark {{ mark }}"}}
    run = await api_client.run(agent_schema_version=schema)

    recorded = (await _record(api_client, run, "default", {"mark": 1})).details

    assert recorded["quality_summary"] == "Mark 1"


async def test_every_answer_about_a_run_has_its_quality(api_client: Any) -> None:
    """Starting, finishing and terminating a run return its current quality."""
    ended = []
    for last, body in (("finish", {}), ("terminate", {"reason": "enough"})):
        run = await api_client.register()
        await _record(api_client, run, "q", {"a": 1})
        path = f"/agent_instance/{run['id']}"
        ended += [
            await api_client.post(f"{path}/start"),
            await api_client.post(f"{path}/{last}", body),
        ]

    assert [one.details["quality_payloads"] for one in ended] == [{"q": {"a": 1}}] * 4


async def test_a_repeat_records_nothing(api_client: Any) -> None:
    """A repeated key returns the current run, and a changed request is refused."""
    run = await api_client.run()
    first = await _record(api_client, run, "q", {"a": 1}, idempotency_key="k")
    await _record(api_client, run, "q", {"a": 2})
    again = await _record(api_client, run, "q", {"a": 1}, idempotency_key="k")
    other = await _record(api_client, run, "q", {"a": 3}, idempotency_key="k")

    assert not first.replayed
    assert again.replayed
    assert again.details["quality_payloads"] == {"q": {"a": 2}}
    other.refused(409, "idempotency_key_already_used")


async def test_quality_in_bulk_uses_earlier_declarations(api_client: Any) -> None:
    """A run that is registered and evaluated in one request has its summary."""
    answer = await api_client.post(
        "/bulk",
        {
            "items": [
                {
                    "_type": "agent_instances/register",
                    "idempotency_key": "register-1",
                    "id": "run-1",
                    "agent_id": "agent-1",
                    "agent_schema_version": DECLARED,
                },
                *(
                    {
                        "_type": "agent_instances/record_quality",
                        "idempotency_key": f"quality-{name}",
                        "agent_instance_id": "run-1",
                        "name": name,
                        "payload": {"grade": "A"},
                    }
                    for name in ("helpful", "default")
                ),
                {
                    "_type": "agent_instances/update",
                    "idempotency_key": "update-01",
                    "agent_instance_id": "run-1",
                    "details": {"quality_payload": {"grade": "B"}},
                },
            ]
        },
    )

    last = answer.body["outputs"]["update-01"]["details"]
    assert last["quality_summary"] == "Overall B"
    shown = await _show(api_client, {"id": "run-1"})
    assert shown["quality_summaries"] == {"helpful": "Grade A", "default": "Overall B"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payload": {}}, "name"),
        ({"name": "", "payload": {}}, "name"),
        ({"name": "q"}, "payload"),
        ({"name": "q", "payload": []}, "payload"),
    ],
)
async def test_errors_of_quality_are_named(api_client: Any, body: Any, field: str) -> None:
    """A name and a payload that is an object or null are needed."""
    run = await api_client.run()

    refused = await api_client.post(f"/agent_instance/{run['id']}/record_quality", body)

    assert list(refused.refused(422, "validation_errors")["errors"]) == [field]


async def test_the_quality_of_a_run_is_bounded(api_client: Any) -> None:
    """The quality of a run is limited in total to the size of one payload."""
    run = await api_client.run()
    half = {"text": "x" * 600_000}
    await _record(api_client, run, "first", half)

    refused = await _record(api_client, run, "second", half)

    assert "1048576" in refused.refused(413, "bad_request")["message"]
    assert list((await _show(api_client, run))["quality_payloads"]) == ["first"]


async def test_a_deployment_evaluates_its_own_runs(api_client: Any) -> None:
    """A deployment token evaluates its own runs; another's and an unknown one are not found."""
    run = await api_client.run()
    other = await api_client.run(agent_id="agent-2")
    token = await api_client.deployment_token(run)
    path = "/agent_instance/{}/record_quality"
    body = {"name": "q", "payload": {"a": 1}}

    own = await api_client.post(path.format(run["id"]), body, token=token)
    foreign = await api_client.post(path.format(other["id"]), body, token=token)
    unknown = await api_client.post(path.format("nobody"), body)

    assert own.details["quality_payloads"] == {"q": {"a": 1}}
    foreign.refused(404, "not_found")
    unknown.refused(404, "not_found")


async def test_a_run_counts_its_spans_by_type(api_client: Any) -> None:
    """A run's details count its spans by type, whatever their status."""
    run = await api_client.run()
    for name in ("llm", "tool", "llm"):
        await api_client.span(run, schema_name=name)

    counts = {"llm": 2, "tool": 1}
    assert (await _show(api_client, run))["span_schema_counts"] == {**counts, "by_name": counts}


async def test_a_type_named_like_a_key_keeps_its_count(api_client: Any) -> None:
    """A type named like the map's reserved key keeps its own count."""
    run = await api_client.run()
    await api_client.span(run, schema_name="by_name")

    assert (await _show(api_client, run))["span_schema_counts"] == {"by_name": 1}
