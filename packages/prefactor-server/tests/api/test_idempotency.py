"""Idempotency keys: one effect for a request, however often and in whatever form it arrives."""

import asyncio
from typing import Any

import pytest

WRITES = [
    ("/agent", {"details": {"name": "A"}}, {"details": {"name": "B"}}),
    ("/agent_instance/register", {"agent_id": "a"}, {"agent_id": "b"}),
    ("/agent_instance/run-1/start", {}, {"timestamp": "2026-01-01T00:00:00Z"}),
    ("/agent_instance/run-2/finish", {"status": "failed"}, {"status": "complete"}),
    ("/agent_instance/run-2/terminate", {"reason": "a"}, {"reason": "b"}),
    (
        "/agent_spans",
        {"details": {"agent_instance_id": "run-2", "schema_name": "s", "payload": {"a": 1}}},
        {"details": {"agent_instance_id": "run-2", "schema_name": "s", "payload": {"a": 2}}},
    ),
    ("/agent_spans/span-1/finish", {"result_payload": {"a": 1}}, {"result_payload": {"a": 2}}),
]
IDS = [path for path, _, _ in WRITES]


async def _prepare(api_client: Any) -> None:
    await api_client.register("run-1")
    await api_client.run(id="run-2")
    await api_client.span("run-2", id="span-1")


@pytest.mark.parametrize(("path", "body", "other"), WRITES, ids=IDS)
async def test_a_repeated_request_has_one_effect(
    api_client: Any, path: str, body: Any, other: Any
) -> None:
    """The same key and request get the same answer, marked as a repeat, and do nothing more."""
    await _prepare(api_client)
    body = {**body, "idempotency_key": "key-1"}

    first = await api_client.post(path, body)
    second = await api_client.post(path, body)

    assert not first.replayed
    assert second.replayed
    assert second.body == first.body
    del other


@pytest.mark.parametrize(("path", "body", "other"), WRITES, ids=IDS)
async def test_a_key_belongs_to_one_request(
    api_client: Any, path: str, body: Any, other: Any
) -> None:
    """The same key with another request is a conflict with its own code, and does nothing."""
    await _prepare(api_client)

    done = await api_client.post(path, {**body, "idempotency_key": "key-1"})
    refused = await api_client.post(path, {**other, "idempotency_key": "key-1"})

    assert done.status == 200
    refused.refused(409, "idempotency_key_already_used")


async def test_header_and_body_hold_the_same_key(api_client: Any) -> None:
    """A key in the header, at the top of the body and among a span's details is one key."""
    run = await api_client.run()
    details = {"agent_instance_id": run["id"], "schema_name": "step"}
    header = {"Idempotency-Key": "key-1"}

    first = await api_client.post("/agent_spans", {"details": details}, headers=header)
    others = [
        await api_client.post("/agent_spans", {"details": details, "idempotency_key": "key-1"}),
        await api_client.post("/agent_spans", {"details": {**details, "idempotency_key": "key-1"}}),
        await api_client.post(
            "/agent_spans",
            {"details": {**details, "idempotency_key": "key-1"}, "idempotency_key": "key-1"},
            headers=header,
        ),
    ]

    assert all(other.replayed for other in others)
    assert {other.details["id"] for other in others} == {first.details["id"]}


async def test_header_and_body_must_not_differ(api_client: Any) -> None:
    """Two different keys on one request are refused."""
    answer = await api_client.post(
        "/agent",
        {"details": {"name": "A"}, "idempotency_key": "key-1"},
        headers={"Idempotency-Key": "key-2"},
    )

    answer.refused(400, "bad_request")


@pytest.mark.parametrize("key", ["", "x" * 129, 5, ["key"], "a\0b"])
async def test_an_invalid_key_is_refused(api_client: Any, key: Any) -> None:
    """A key that is empty, too long or not text is refused, wherever it is in the request."""
    answer = await api_client.post("/agent", {"details": {"name": "A"}, "idempotency_key": key})

    errors = answer.refused(422, "validation_errors")["errors"]
    assert errors["idempotency_key"]["code"] == "invalid_value"


@pytest.mark.parametrize("key", ["k", "x" * 128, "ключ 1"])
async def test_a_key_is_any_text_up_to_its_limit(api_client: Any, key: str) -> None:
    """A key is any text of 1 to 128 characters, in any script."""
    body = {"details": {"name": "A"}, "idempotency_key": key}

    await api_client.post("/agent", body)

    assert (await api_client.post("/agent", body)).replayed


async def test_order_and_spelling_do_not_matter(api_client: Any) -> None:
    """Reordered members, explicit nulls and another form of a time make no other request."""
    await api_client.register("run-1")
    run = await api_client.run()
    first = (
        '{"details": {"agent_instance_id": "%s", "schema_name": "s", "payload": {"a": 1, "b": 2},'
        ' "started_at": "2026-01-01T00:00:00Z"}, "idempotency_key": "key-1"}'
    )
    second = (
        '{"idempotency_key":"key-1","details":{"started_at":"2026-01-01T01:00:00+01:00",'
        '"payload":{"b":2,"a":1},"parent_span_id":null,"schema_name":"s","new":1,'
        '"agent_instance_id":"%s"}}'
    )

    await api_client.post("/agent_spans", first % run["id"])

    assert (await api_client.post("/agent_spans", second % run["id"])).replayed


async def test_a_key_belongs_to_one_operation(api_client: Any) -> None:
    """The same key can be used once by each operation."""
    await api_client.register("run-1")

    for path in ("/agent_instance/run-1/start", "/agent_instance/run-1/finish"):
        assert not (await api_client.post(path, {"idempotency_key": "key-1"})).replayed


async def test_the_id_in_the_path_is_part_of_the_request(api_client: Any) -> None:
    """A key that started one run is not a repeat for another run."""
    await api_client.register("run-1")
    await api_client.register("run-2")
    await api_client.post("/agent_instance/run-1/start", {"idempotency_key": "key-1"})

    refused = await api_client.post("/agent_instance/run-2/start", {"idempotency_key": "key-1"})

    refused.refused(409, "idempotency_key_already_used")


async def test_a_refused_request_leaves_its_key_free(api_client: Any) -> None:
    """Only success uses up a key: the same request may succeed later."""
    body = {
        "details": {"agent_instance_id": "run-1", "schema_name": "step"},
        "idempotency_key": "key-1",
    }
    (await api_client.post("/agent_spans", body)).refused(404, "not_found")
    await api_client.register("run-1")

    assert not (await api_client.post("/agent_spans", body)).replayed


async def test_a_repeat_returns_the_current_state(api_client: Any) -> None:
    """A repeated create returns the span as it is now, with its current signal."""
    run = await api_client.run()
    body = {
        "details": {"agent_instance_id": run["id"], "schema_name": "step"},
        "idempotency_key": "key-1",
    }
    span = (await api_client.post("/agent_spans", body)).details
    await api_client.post(f"/agent_spans/{span['id']}/finish", {"result_payload": {"a": 1}})
    await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})

    again = await api_client.post("/agent_spans", body)

    assert again.replayed
    assert (again.details["status"], again.details["result_payload"]) == ("complete", {"a": 1})
    assert again.body["control"] == {"terminate": True, "reason": "enough"}


async def test_requests_at_the_same_time_have_one_effect(api_client: Any) -> None:
    """Of twenty copies of a request in flight, one is done and the others are repeats."""
    run = await api_client.run()
    body = {
        "details": {"agent_instance_id": run["id"], "schema_name": "step"},
        "idempotency_key": "key-1",
    }

    answers = await asyncio.gather(*(api_client.post("/agent_spans", body) for _ in range(20)))

    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert len({answer.details["id"] for answer in answers}) == 1
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert counts["total"] == 1


async def test_one_of_two_concurrent_ends_wins(api_client: Any) -> None:
    """Of two different finishes at once, one takes effect and the other is a conflict."""
    run = await api_client.run()
    path = f"/agent_instance/{run['id']}/finish"

    answers = await asyncio.gather(
        api_client.post(path, {"status": "failed"}), api_client.post(path, {"status": "complete"})
    )

    assert sorted(answer.status for answer in answers) == [200, 409]


async def test_a_deletion_takes_its_key_from_the_query(api_client: Any) -> None:
    """A key in the query counts too, so a repeated deletion is not a 404."""
    made = [
        (await api_client.post("/environment", {"details": {"name": name}})).details["id"]
        for name in ("one", "two")
    ]
    first, second = (f"/environment/{one}" for one in made)
    key = "key of mine"

    done = await api_client.call("DELETE", first, idempotency_key=key, account_id="")
    assert done.status == 403
    done = await api_client.call("DELETE", first, idempotency_key=key)
    again = await api_client.call("DELETE", first, idempotency_key=key)
    by_header = await api_client.call("DELETE", first, headers={"Idempotency-Key": key})
    by_body = await api_client.call("DELETE", first, {"idempotency_key": key}, idempotency_key=key)
    other = await api_client.call("DELETE", second, idempotency_key=key)

    assert not done.replayed
    assert again.replayed
    assert by_header.replayed
    assert by_body.replayed
    other.refused(409, "idempotency_key_already_used")
    assert (await api_client.get(second)).status == 200


async def test_an_unknown_parameter_stops_a_deletion(api_client: Any) -> None:
    """Unknown parameters, two keys and invalid keys are refused, and nothing is deleted."""
    environment = (await api_client.post("/environment", {"details": {"name": "one"}})).details
    path = f"/environment/{environment['id']}"

    async def delete(query: str, **more: Any) -> Any:
        return await api_client.call("DELETE", path + query, **more)

    unknown = await delete("?dry_run=true")
    twice = await delete("?idempotency_key=a&idempotency_key=a")
    header = await delete("?idempotency_key=a", headers={"Idempotency-Key": "b"})
    body = await delete("?idempotency_key=a", body={"idempotency_key": "b"})
    too_long = await delete("?idempotency_key=" + "x" * 129)

    assert "dry_run" in unknown.refused(400, "bad_request")["message"]
    twice.refused(400, "bad_request")
    for answer in (header, body):
        assert "differ" in answer.refused(400, "bad_request")["message"]
    too_long.refused(422, "validation_errors")
    assert (await api_client.get(path)).status == 200


@pytest.mark.parametrize("in_bulk", [False, True])
async def test_a_key_stored_by_an_earlier_version_stays_a_repeat(
    api_client: Any, in_bulk: bool
) -> None:
    """The fingerprint of a span's request stays the same between versions, alone and in bulk."""
    await api_client.register("run")
    asked = {
        "agent_instance_id": "run",
        "schema_name": "step",
        "status": "complete",
        "payload": {"b": [1, 2.5, None], "a": "ä"},
        "started_at": "2026-01-01T00:00:00Z",
    }
    item = {"_type": "agent_spans/create", "idempotency_key": "key-of-span", **asked}

    if in_bulk:
        await api_client.post("/bulk", {"items": [item]})
    else:
        await api_client.post("/agent_spans", {"details": asked, "idempotency_key": "key-of-span"})

    stored = "SELECT fingerprint FROM idempotency_key WHERE operation = 'agent_spans.create'"
    ((fingerprint,),) = await api_client.rows(stored)
    assert fingerprint.hex() == "4673cf99623e74ab59b5c0d9180309a8"


_SCHEMA = {
    "external_identifier": "v1",
    "span_type_schemas": [{"name": "step", "params_schema": {"type": "object"}}],
}


@pytest.mark.parametrize(
    ("method", "path", "fields", "fingerprint"),
    [
        (
            "POST",
            "/agent_instance/register",
            {"agent_id": "a", "id": "run-1", "agent_schema_version": _SCHEMA},
            "f45ecd560e41c1079220d9d56d5ed0f4",
        ),
        (
            "POST",
            "/agent_schema_version",
            {"details": {"agent_id": "mine", **_SCHEMA}},
            "5a77bbaeb308c062b95e74e9a6ebfe9b",
        ),
        (
            "POST",
            "/agent",
            {"details": {"name": "Other", "id": "other"}},
            "c606d42054b424f6fbf3a398fa12c3f1",
        ),
        (
            "PUT",
            "/risk_profile/mine",
            {"details": {"name": "New"}},
            "129346db0d31a2cb259907cf81e9c9a4",
        ),
        (
            "POST",
            "/admin_user_invite",
            {"details": {"email": "kim@example.org"}},
            "1a721cae0ce6764140df6c41a51cfd83",
        ),
    ],
)
async def test_a_field_that_was_added_does_not_change_the_other_fingerprints(
    api_client: Any, method: str, path: str, fields: dict[str, Any], fingerprint: str
) -> None:
    """A request of version 1.0.0 is still a repeat after an upgrade: these are its fingerprints."""
    await api_client.post("/agent", {"details": {"name": "Mine", "id": "mine"}})
    await api_client.post("/risk_profile", {"details": {"name": "Mine", "id": "mine"}})

    answer = await api_client.call(method, path, {**fields, "idempotency_key": "key-1"})

    assert answer.status == 200, answer.body
    ((stored,),) = await api_client.rows("SELECT fingerprint FROM idempotency_key")
    assert bytes(stored).hex() == fingerprint
