"""Alerts that callers raise: one per name, checked, and kept after they are cleared."""

import asyncio
from typing import Any

import pytest

from prefactor_server.domain.runs.alert import MAX_PAYLOAD_BYTES, RESERVED_NAMES

DECLARED = {
    "external_identifier": "s1",
    "span_type_schemas": [],
    "alert_schemas": [
        {
            "name": "budget.low",
            "title": "Budget nearly spent",
            "severity": "critical",
            "schema": {"type": "object", "properties": {"left": {"type": "integer"}}},
            "template": "{{ left }} left",
        },
        {"name": "odd", "severity": "dreadful"},
    ],
}


def _named(run: Any, name: str = "budget.low", **fields: Any) -> Any:
    return {"agent_instance_id": run["id"], "name": name, **fields}


async def _raise(api_client: Any, run: Any, name: str = "budget.low", **fields: Any) -> Any:
    return (await api_client.post("/alerts/raise", _named(run, name, **fields))).details


@pytest.mark.parametrize("status", ["pending", "terminated"])
async def test_an_alert_is_raised_and_shown(api_client: Any, status: str) -> None:
    """An alert can be raised in every run status, and reading it returns the write's answer."""
    run = await api_client.run(status)

    answer = await api_client.post(
        "/alerts/raise", _named(run, payload={"left": 3}, severity="info")
    )

    alert = answer.details
    assert alert | {"id": "", "raised_at": "", "at": ""} == {
        "type": "alert",
        "id": "",
        **{name: run[name] for name in ("account_id", "agent_id", "environment_id")},
        **_named(run),
        "title": "budget.low",
        "severity": "info",
        "status": "raised",
        "raised_at": "",
        "cleared_at": None,
        "payload": {"left": 3},
        "payload_validation": None,
        "summary": None,
        "version": 1,
        **dict.fromkeys(("kind", "termination_reason", "risk_score", "risk_level", "agreed_risk")),
        "at": "",
    }
    assert (await api_client.get(f"/alerts/{alert['id']}")).details == alert
    assert ("control" in answer.body) == (status == "terminated")


async def test_raising_again_updates_the_alert(api_client: Any) -> None:
    """Raising an alert again updates the given fields and keeps the others."""
    run = await api_client.run()
    first = await _raise(api_client, run, payload={"left": 3}, severity="info")

    second = await _raise(api_client, run, severity="critical")
    third = await _raise(api_client, run, payload={"left": 1})

    assert {one["id"] for one in (first, second, third)} == {first["id"]}
    assert (second["payload"], second["severity"], second["version"]) == (
        {"left": 3},
        "critical",
        2,
    )
    assert (third["payload"], third["severity"], third["version"]) == ({"left": 1}, "critical", 3)
    assert third["raised_at"] == first["raised_at"]
    assert (await _raise(api_client, run, "another"))["id"] != first["id"]


async def test_raising_after_clearing_creates_another_alert(api_client: Any) -> None:
    """Clearing keeps the row with its time; raising the name again makes a new one."""
    run = await api_client.run()
    first = await _raise(api_client, run, payload={"left": 3})

    cleared = (await api_client.post("/alerts/clear", _named(run))).details
    second = await _raise(api_client, run)

    assert cleared == first | {
        "status": "cleared",
        "cleared_at": cleared["cleared_at"],
        "version": 2,
    }
    assert cleared["cleared_at"] > first["raised_at"]
    assert (await api_client.get(f"/alerts/{first['id']}")).details == cleared
    assert second["id"] != first["id"]
    done = await api_client.rows("SELECT action, resource_id, detail FROM audit_entry")
    assert ("alerts.clear", first["id"], "budget.low") in done


async def test_only_a_raised_alert_can_be_cleared(api_client: Any) -> None:
    """An alert that is not raised, or already cleared, is a 404; so is an unknown run."""
    run = await api_client.run()
    await _raise(api_client, run)
    await api_client.post("/alerts/clear", _named(run))

    for body in (_named(run), _named(run, "never"), _named({"id": "nobody"})):
        (await api_client.post("/alerts/clear", body)).refused(404, "not_found")
    (await api_client.post("/alerts/raise", _named({"id": "nobody"}))).refused(404, "not_found")
    (await api_client.get("/alerts/nobody")).refused(404, "not_found")


async def test_a_declared_alert_has_its_title_severity_and_summary(api_client: Any) -> None:
    """The name's declared schema gives an alert its title and summary, and checks its payload."""
    run = await api_client.run(agent_schema_version=DECLARED)

    good = await _raise(api_client, run, payload={"left": 3})
    bad = await _raise(api_client, run, payload={"left": "none"}, severity="info")
    odd = await _raise(api_client, run, "odd")

    assert (good["title"], good["severity"], good["summary"]) == (
        "Budget nearly spent",
        "critical",
        "3 left",
    )
    assert good["payload_validation"] == {"status": "success", "message": None}
    assert bad["payload_validation"]["status"] == "error"
    assert "left" in bad["payload_validation"]["message"]
    assert bad["severity"] == "info"
    assert (odd["title"], odd["severity"], odd["summary"]) == ("odd", "warning", None)
    version = (
        await api_client.get(f"/agent_schema_version/{run['agent_schema_version_id']}")
    ).details
    assert version["alert_schemas"]["budget.low"] == {
        **DECLARED["alert_schemas"][0],  # type: ignore[dict-item]
        "description": None,
        "schema_validation": {"status": "success", "message": None},
    }
    assert version["alert_schemas"]["odd"]["severity"] == "warning"


async def test_reserved_names_are_refused(api_client: Any) -> None:
    """Callers cannot raise an alert under a name that the server uses."""
    run = await api_client.run()
    for name in RESERVED_NAMES:
        refused = await api_client.post("/alerts/raise", _named(run, name))
        errors = refused.refused(422, "validation_errors")["errors"]
        assert "is reserved for the server" in errors["name"]["message"]


async def test_an_oversized_payload_is_refused(api_client: Any) -> None:
    """A payload over the limit is refused, so that a page of alerts stays small."""
    run = await api_client.run()
    payload = {"text": "x" * (MAX_PAYLOAD_BYTES - 11)}

    await _raise(api_client, run, payload=payload)
    refused = await api_client.post(
        "/alerts/raise", _named(run, payload={"text": payload["text"] + "x"})
    )

    assert refused.refused(413, "bad_request")["limit"] == MAX_PAYLOAD_BYTES


async def test_a_run_has_at_most_a_thousand_raised_alerts(api_client: Any) -> None:
    """At the limit new names are refused, while raised ones can be raised again and cleared."""
    run = await api_client.run()

    async def raise_all(*names: str) -> list[Any]:
        items = [
            {"_type": "alerts/raise", "idempotency_key": f"raised-{name}", **_named(run, name)}
            for name in names
        ]
        return list((await api_client.post("/bulk", {"items": items})).body["outputs"].values())

    for start in (0, 499):
        outputs = await raise_all(*(f"{start + number}" for number in range(500)))
        assert {one["status"] for one in outputs} == {"success"}
    last, full = await raise_all("last", "one-more")
    again = await _raise(api_client, run, "499", severity="info")
    await api_client.post("/alerts/clear", _named(run, "0"))

    assert (last["status"], full["status"]) == ("success", "error")
    assert full["limit_of"] == "raised_alerts"
    assert again["version"] == 2
    assert (await _raise(api_client, run, "one-more"))["version"] == 1
    items = [
        {"_type": f"alerts/{step}", "idempotency_key": f"{step}-at-once", **_named(run, name)}
        for step, name in (("clear", "1"), ("raise", "instead"))
    ]
    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]
    assert [one["status"] for one in outputs.values()] == ["success", "success"]


async def test_items_of_a_bulk_request_see_each_other(api_client: Any) -> None:
    """Raise, clear and raise in one request are two alerts, the first of them cleared."""
    run = await api_client.run()
    steps = ("raise", "raise", "clear", "raise", "clear", "raise")
    items = [
        {"_type": f"alerts/{step}", "idempotency_key": f"step-{number}-of-all", **_named(run)}
        for number, step in enumerate(steps)
    ]

    outputs = list((await api_client.post("/bulk", {"items": items})).body["outputs"].values())

    details = [one["details"] for one in outputs]
    assert [one["version"] for one in details] == [1, 2, 3, 1, 2, 1]
    assert len({one["id"] for one in details}) == 3
    rows = await api_client.rows("SELECT id, status, version FROM alert ORDER BY id")
    made = {(details[2]["id"], "cleared", 3), (details[4]["id"], "cleared", 2)}
    assert set(rows) == {*made, (details[5]["id"], "raised", 1)}


async def test_concurrent_raises_create_one_alert(api_client: Any) -> None:
    """However many callers raise one name at once, one alert is raised and no call is lost."""
    run = await api_client.run()

    raised = await asyncio.gather(*(_raise(api_client, run) for _ in range(20)))

    assert len({one["id"] for one in raised}) == 1
    assert sorted(one["version"] for one in raised) == list(range(1, 21))


async def test_a_repeated_write_is_done_once(api_client: Any) -> None:
    """A request repeated with its key raises once, clears once, and returns the alert."""
    run = await api_client.run()
    for path, version in (("/alerts/raise", 1), ("/alerts/clear", 2)):
        body = {**_named(run), "idempotency_key": "a-key-of-mine"}
        first, second = await api_client.post(path, body), await api_client.post(path, body)

        assert first.details == second.details
        assert first.details["version"] == version
        assert (first.replayed, second.replayed) == (False, True)
        other = await api_client.post(path, {**body, "name": "another"})
        other.refused(409, "idempotency_key_already_used")


async def test_a_deployment_raises_and_clears_on_its_own_runs(api_client: Any) -> None:
    """An agent's token works on its own runs only, and sees no sensitive value."""
    run, other = await api_client.run(), await api_client.run(agent_id="agent-2")
    token = await api_client.deployment_token(run)
    secret = {"who": {"$sensitive": "name", "value": "Ada"}}

    raised = await api_client.post("/alerts/raise", _named(run, payload=secret), token=token)
    beyond = await api_client.post("/alerts/raise", _named(other), token=token)
    read = await api_client.get(f"/alerts/{raised.details['id']}", token=token)
    await _raise(api_client, other)

    assert raised.details["payload"] == {"who": {"$sensitive": "name", "value": None}}
    assert (await api_client.get(f"/alerts/{raised.details['id']}")).details["payload"] == secret
    beyond.refused(404, "not_found")
    read.refused(403, "not_permitted")
    (await api_client.post("/alerts/clear", _named(other), token=token)).refused(404, "not_found")
    cleared = await api_client.post("/alerts/clear", _named(run), token=token)
    assert cleared.details["status"] == "cleared"
