"""Agents through the API."""

from typing import Any

import pytest
from yarl import URL


async def _create(api_client: Any, **fields: Any) -> Any:
    return (await api_client.post("/agent", {"details": {"name": "A", **fields}})).details


async def test_an_agent_is_created_and_found_by_each_of_its_names(api_client: Any) -> None:
    """An agent is found by its id and its external identifier, in the path and in the query."""
    created = await _create(
        api_client, external_identifier="ext", description="D", team_id="t", id="my-agent"
    )

    assert created["type"] == "agent"
    assert created["status"] == "pending"
    assert (created["name"], created["description"], created["team_id"]) == ("A", "D", "t")
    assert created["risk_profile_id"] is created["instance_counts"] is None
    for answer in (
        await api_client.get("/agent/my-agent"),
        await api_client.get("/agent/ext"),
        await api_client.get("/agent/show", {"agent_id": "my-agent"}),
        await api_client.get("/agent/show", {"agent_id": "ext"}),
        await api_client.get("/agent/show", {"external_identifier": "ext"}),
    ):
        assert answer.details == created


async def test_any_text_can_name_an_agent_in_a_path(api_client: Any) -> None:
    """A name with a slash, a space and a foreign letter finds its agent when it is encoded."""
    created = await _create(api_client, external_identifier="a/b ü?")

    url = URL(f"{api_client.url}/api/v1/agent/a%2Fb%20%C3%BC%3F", encoded=True)
    headers = {"Authorization": f"Bearer {api_client.token}"}
    async with api_client.session.get(url, headers=headers) as response:
        assert (await response.json())["details"] == created


async def test_an_external_identifier_is_not_taken_for_an_id(api_client: Any) -> None:
    """A lookup by external identifier does not match another agent's id."""
    await _create(api_client, id="my-agent")

    answer = await api_client.get("/agent/show", {"external_identifier": "my-agent"})

    answer.refused(404, "not_found")


@pytest.mark.parametrize("query", [{}, {"agent_id": "a", "external_identifier": "b"}])
async def test_finding_an_agent_takes_exactly_one_name(
    api_client: Any, query: dict[str, str]
) -> None:
    """A lookup with neither name, or with both, is refused."""
    (await api_client.get("/agent/show", query)).refused(400, "bad_request")


async def test_names_of_agents_are_unique(api_client: Any) -> None:
    """A second agent of the same id is a conflict; one of the same identifier names the field."""
    await _create(api_client, id="my-agent", external_identifier="ext")

    same_id = await api_client.post("/agent", {"details": {"name": "B", "id": "my-agent"}})
    same_name = await api_client.post(
        "/agent", {"details": {"name": "B", "external_identifier": "ext"}}
    )

    same_id.refused(409, "invalid_action")
    errors = same_name.refused(422, "validation_errors")["errors"]["details"]
    assert errors["external_identifier"]["code"] == "invalid_value"


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"details": "required_value"}),
        ({"details": None}, {"details": "required_value"}),
        ({"details": []}, {"details": "invalid_value"}),
        ({"details": "A"}, {"details": "invalid_value"}),
        ({"name": "A"}, {"details": "required_value"}),
        ({"details": {}}, {"details": {"name": "required_value"}}),
        ({"details": {"name": None}}, {"details": {"name": "required_value"}}),
        ({"details": {"name": ""}}, {"details": {"name": "invalid_value"}}),
        ({"details": {"name": "A\0"}}, {"details": {"name": "invalid_value"}}),
        ({"details": {"name": "A", "id": "a b"}}, {"details": {"id": "invalid_value"}}),
    ],
)
async def test_errors_of_a_new_agent_are_named(
    api_client: Any, body: Any, errors: dict[str, Any]
) -> None:
    """Errors of fields are nested as the request is nested, each with its code."""

    def codes(nested: Any) -> Any:
        if nested.get("status") == "error":
            return nested["code"]
        return {name: codes(error) for name, error in nested.items()}

    refused = await api_client.post("/agent", body)

    assert codes(refused.refused(422, "validation_errors")["errors"]) == errors


async def test_the_status_follows_from_the_runs(api_client: Any) -> None:
    """Without a run an agent is pending, then active, and dormant after thirty days without one."""
    created = await _create(api_client, external_identifier="agent-1")
    await api_client.register()
    active = (await api_client.get("/agent/agent-1")).details
    api_client.clock.leap(seconds=31 * 24 * 3600)
    dormant = (await api_client.get("/agent/agent-1")).details

    assert [one["status"] for one in (created, active, dormant)] == ["pending", "active", "dormant"]
    assert [one["available_actions"]["delete"] for one in (created, active)] == [True, False]


async def test_runs_are_counted_on_request(api_client: Any) -> None:
    """With include_counts an agent carries its runs by status, in one environment or in all."""
    run = await api_client.run("failed")
    for status in ("pending", "active", "terminated"):
        await api_client.run(status)
    query = {"include_counts": "true"}

    counts = (await api_client.get("/agent/agent-1", query)).details["instance_counts"]
    here = await api_client.get(
        "/agent/agent-1", {**query, "environment_id": run["environment_id"]}
    )
    elsewhere = await api_client.get("/agent/agent-1", {**query, "environment_id": "elsewhere"})

    assert counts == here.details["instance_counts"]
    assert counts == {
        "total": 4,
        "pending": 1,
        "active": 1,
        "complete": 0,
        "failed": 1,
        "cancelled": 0,
        "terminated": 1,
        "finished": 2,
    }
    assert elsewhere.details["instance_counts"]["total"] == 0


async def test_the_list_filters_by_ids_and_null(api_client: Any) -> None:
    """List filters take an id, or the text null for agents that have none."""
    first = await _create(api_client, team_id="t", owner_person_id="o")
    await api_client.post("/risk_profile", {"details": {"name": "R", "id": "r"}})
    second = await _create(api_client, risk_profile_id="r")
    run = await api_client.register(agent_id="agent-3")
    third = {"id": run["agent_id"]}
    expected = [
        ({}, [first, second, third]),
        ({"team_id": "t"}, [first]),
        ({"team_id": "null"}, [second, third]),
        ({"owner_person_id": "o"}, [first]),
        ({"risk_profile_id": "r", "team_id": "t"}, []),
        ({"risk_profile_id": "null"}, [first, third]),
    ]

    for query, agents in expected:
        found = (await api_client.get("/agent", query)).summaries
        assert [row["id"] for row in found] == [agent["id"] for agent in agents], query
    assert "risk_profile_id" not in found[0]


async def test_the_list_filters_by_environment(api_client: Any) -> None:
    """An environment keeps the agents that have run in it."""
    await _create(api_client)
    run = await api_client.register()

    here = await api_client.get("/agent", {"environment_id": run["environment_id"]})
    elsewhere = await api_client.get("/agent", {"environment_id": "elsewhere"})

    assert [row["id"] for row in here.summaries] == [run["agent_id"]]
    assert elsewhere.summaries == []


async def test_an_update_changes_the_given_fields(api_client: Any) -> None:
    """Missing fields are unchanged; null clears owner, profile and team, but no other field."""
    await api_client.post("/risk_profile", {"details": {"name": "R", "id": "r"}})
    created = await _create(
        api_client, description="D", owner_person_id="o", risk_profile_id="r", team_id="t"
    )
    path = f"/agent/{created['id']}"

    async def update(**details: Any) -> Any:
        return (await api_client.call("PUT", path, {"details": details})).details

    nothing = await update()
    renamed = await update(name="B", external_identifier="ignored", id="ignored")
    cleared = await update(
        name=None, description=None, owner_person_id=None, risk_profile_id=None, team_id="u"
    )

    assert nothing == created | {"updated_at": nothing["updated_at"]}
    assert renamed == created | {"name": "B", "updated_at": renamed["updated_at"]}
    assert cleared == renamed | {
        "owner_person_id": None,
        "risk_profile_id": None,
        "team_id": "u",
        "updated_at": cleared["updated_at"],
    }
    assert (await api_client.get(path)).details == cleared


async def test_an_agent_is_changed_under_each_of_its_names(api_client: Any) -> None:
    """Writes find an agent by its external identifier too; an unknown agent is not found."""
    await api_client.register()
    details = {"details": {"team_id": "t"}}

    updated = await api_client.call("PUT", "/agent/agent-1", details)
    retired = await api_client.post("/agent/agent-1/retire")

    assert (updated.details["team_id"], updated.details["status"]) == ("t", "active")
    assert retired.details["status"] == "retired"
    for method, path in (
        ("PUT", "/agent/nobody"),
        ("POST", "/agent/nobody/retire"),
        ("POST", "/agent/nobody/reinstate"),
        ("DELETE", "/agent/nobody"),
    ):
        body = details if method == "PUT" else None
        (await api_client.call(method, path, body)).refused(404, "not_found")


async def test_a_retired_agent_registers_nothing_until_it_is_reinstated(api_client: Any) -> None:
    """A retired agent registers no run until it is reinstated; each action works only once."""
    await api_client.register()
    fields = {"agent_id": "agent-1"}

    retired = await api_client.post("/agent/agent-1/retire", {})
    refused = await api_client.post("/agent_instance/register", fields)
    again = await api_client.post("/agent/agent-1/retire")
    reinstated = await api_client.post("/agent/agent-1/reinstate")
    back = await api_client.post("/agent/agent-1/reinstate")

    assert retired.details["status"] == "retired"
    refused.refused(409, "invalid_action")
    assert again.refused(409, "invalid_action")["message"] == "Agent is already retired"
    assert reinstated.details["status"] == "active"
    assert back.refused(409, "invalid_action")["message"] == "Agent is not retired"
    await api_client.register()


@pytest.mark.parametrize("made", ["alone", "with runs", "retired", "reinstated"])
async def test_available_actions_are_those_that_work(api_client: Any, made: str) -> None:
    """Every action that available_actions has works, and every other is a conflict."""
    for action, method, tail in (
        ("update", "PUT", ""),
        ("retire", "POST", "/retire"),
        ("reinstate", "POST", "/reinstate"),
        ("delete", "DELETE", ""),
    ):
        agent = await _create(api_client, external_identifier=f"{made} {action}")
        path = f"/agent/{agent['id']}"
        if made == "with runs":
            await api_client.register(agent_id=agent["id"])
        if made in ("retired", "reinstated"):
            await api_client.post(f"{path}/retire")
        if made == "reinstated":
            await api_client.post(f"{path}/reinstate")
        offered = (await api_client.get(path)).details["available_actions"]

        answer = await api_client.call(
            method, path + tail, {"details": {}} if method == "PUT" else None
        )

        assert (answer.status == 200) is offered[action], (action, answer.text)
        assert answer.status in (200, 409)


async def test_a_deleted_agent_is_gone(api_client: Any) -> None:
    """Deleting returns the agent and frees its names, and a repeat does nothing."""
    agent = await _create(api_client, external_identifier="ext")
    path = f"/agent/{agent['id']}"

    deleted = await api_client.call("DELETE", path, {"idempotency_key": "k"})
    again = await api_client.call("DELETE", path, {"idempotency_key": "k"})

    assert deleted.details == agent
    assert again.replayed
    assert again.details == {"type": "agent", "id": agent["id"]}
    (await api_client.get(path)).refused(404, "not_found")
    (await api_client.call("DELETE", path)).refused(404, "not_found")
    assert (await _create(api_client, external_identifier="ext"))["id"] != agent["id"]


async def test_an_agent_with_runs_cannot_be_deleted(api_client: Any) -> None:
    """An agent with runs cannot be deleted, and the message says what to do instead."""
    await api_client.register()

    refused = await api_client.call("DELETE", "/agent/agent-1")

    assert "Retire it instead" in refused.refused(409, "invalid_action")["message"]
    assert (await api_client.get("/agent/agent-1")).status == 200


async def test_changing_agents_needs_an_account_token(api_client: Any) -> None:
    """A deployment token cannot change its agent, and the error names the scope that can."""
    run = await api_client.register()
    token = await api_client.deployment_token(run)

    for method, tail in (("PUT", ""), ("POST", "/retire"), ("POST", "/reinstate"), ("DELETE", "")):
        path = f"/agent/{run['agent_id']}{tail}"
        refused = await api_client.call(method, path, {"details": {}}, token=token)
        assert "scope account" in refused.refused(403, "not_permitted")["message"]


async def test_changes_of_agents_are_in_the_audit_log(api_client: Any) -> None:
    """Each change of an agent is logged with its actor, and a refused one is not."""
    agent = await _create(api_client)
    path = f"/agent/{agent['id']}"
    await api_client.call("PUT", path, {"details": {"name": "B"}})
    for tail in ("retire", "retire", "reinstate"):
        await api_client.post(f"{path}/{tail}")
    await api_client.call("DELETE", path)

    entries = await api_client.rows(
        "SELECT action, detail FROM audit_entry WHERE resource_id = ? ORDER BY at", agent["id"]
    )

    actions = [f"agents.{one}" for one in ("create", "update", "retire", "reinstate", "delete")]
    assert [entry[0] for entry in entries] == actions
    assert [entry[1] for entry in entries] == [agent["name"], "B", "B", "B", "B"]


async def test_agents_change_in_bulk(api_client: Any) -> None:
    """A bulk request may create, change, retire and use an agent, in the order of its items."""
    items = [
        {"_type": "agents/create", "name": "A", "id": "a", "external_identifier": "e"},
        {"_type": "agents/update", "agent_id": "a", "details": {"name": "B"}},
        {"_type": "agent_instances/register", "agent_id": "a", "id": "run-1"},
        {"_type": "agents/update", "agent_id": "e", "details": {"team_id": "t"}},
        {"_type": "agents/retire", "agent_id": "e"},
        {"_type": "agents/delete", "agent_id": "a"},
    ]
    keyed = [{"idempotency_key": f"item-{n:04}", **item} for n, item in enumerate(items)]

    outputs = list((await api_client.post("/bulk", {"items": keyed})).body["outputs"].values())

    assert [one["details"].get("status") for one in outputs[:5]] == [
        "pending",
        "pending",
        "pending",
        "active",
        "retired",
    ]
    assert outputs[5]["code"] == "invalid_action"
