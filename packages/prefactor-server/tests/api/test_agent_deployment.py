"""Deployments through the API."""

from typing import Any

import pytest

PATH = "/agent_deployment"


async def _agent(api_client: Any) -> Any:
    details = {"name": "A", "external_identifier": "agent-1"}
    return (await api_client.post("/agent", {"details": details})).details


async def _environment(api_client: Any) -> Any:
    return (await api_client.post("/environment", {"details": {"name": "Staging"}})).details


async def _create(api_client: Any, **details: Any) -> Any:
    return (await api_client.post(PATH, {"details": details})).details


async def test_a_deployment_is_found_by_a_registration(api_client: Any) -> None:
    """A deployment reads back as created, and a registration finds it."""
    agent, environment = await _agent(api_client), await _environment(api_client)
    created = await _create(
        api_client, agent_id="agent-1", environment_id=environment["id"], id="mine"
    )

    assert (created["type"], created["id"]) == ("agent_deployment", "mine")
    assert (created["agent_id"], created["environment_id"]) == (agent["id"], environment["id"])
    assert created["current_version_id"] is None
    assert (await api_client.get(f"{PATH}/mine")).details == created
    assert (await api_client.get(PATH, {"agent_id": "agent-1"})).summaries == [created]
    run = await api_client.register(environment_id=environment["id"])
    assert run["agent_deployment_id"] == "mine"


async def test_an_agent_is_deployed_once_in_an_environment(api_client: Any) -> None:
    """A second deployment of the same pair, or of the same id, is a conflict."""
    await _agent(api_client)
    other = (await api_client.post("/agent", {"details": {"name": "B"}})).details
    environment = await _environment(api_client)
    place = {"environment_id": environment["id"]}
    await _create(api_client, agent_id="agent-1", id="mine", **place)

    again = await api_client.post(PATH, {"details": {"agent_id": "agent-1", **place}})
    same_id = await api_client.post(
        PATH, {"details": {"agent_id": other["id"], "id": "mine", **place}}
    )

    assert "mine" in again.refused(409, "invalid_action")["message"]
    same_id.refused(409, "invalid_action")


async def test_a_version_is_pinned_and_unpinned(api_client: Any) -> None:
    """The current version of a deployment can be set, and null unpins it."""
    run = await api_client.register(agent_version={"external_identifier": "v1"})
    newer = await api_client.register(
        agent_version={"external_identifier": "v2"}, update_current_version=False
    )
    path = f"{PATH}/{run['agent_deployment_id']}"
    seen = [(await api_client.get(path)).details["current_version_id"]]
    for version_id in (newer["agent_version_id"], None):
        details = {"current_version_id": version_id}
        seen.append((await api_client.call("PUT", path, {"details": details})).details)
        assert (await api_client.get(path)).details == seen[-1]
        seen[-1] = seen[-1]["current_version_id"]

    assert seen == [run["agent_version_id"], newer["agent_version_id"], None]


async def test_only_the_agents_own_versions_can_be_current(api_client: Any) -> None:
    """A version of another agent, or an unknown one, is refused by its field."""
    run = await api_client.register()
    other = await api_client.register(agent_id="agent-2")
    path = f"{PATH}/{run['agent_deployment_id']}"

    for version_id in (other["agent_version_id"], "nobody's"):
        body = {"details": {"current_version_id": version_id}}
        refused = (await api_client.call("PUT", path, body)).refused(422, "validation_errors")
        assert refused["errors"]["details"]["current_version_id"]["code"] == "invalid_value"
    missing = (await api_client.call("PUT", path, {"details": {}})).refused(
        422, "validation_errors"
    )
    assert missing["errors"]["details"]["current_version_id"]["code"] == "required_value"


async def test_a_deployment_needs_an_agent_and_an_environment(api_client: Any) -> None:
    """An unknown agent or environment is refused."""
    environment = await _environment(api_client)
    details = {"agent_id": "nobody", "environment_id": environment["id"]}
    (await api_client.post(PATH, {"details": details})).refused(404, "not_found")
    await _agent(api_client)
    details = {"agent_id": "agent-1", "environment_id": "nowhere"}
    (await api_client.post(PATH, {"details": details})).refused(404, "not_found")


async def test_an_unused_deployment_is_deleted(api_client: Any) -> None:
    """A deployment without runs or tokens can be deleted, and then its environment."""
    await _agent(api_client)
    environment = await _environment(api_client)
    created = await _create(api_client, agent_id="agent-1", environment_id=environment["id"])
    path = f"{PATH}/{created['id']}"
    asked = {"idempotency_key": "delete-it"}

    deleted = await api_client.call("DELETE", path, asked)
    again = await api_client.call("DELETE", path, asked)

    assert deleted.details == created
    assert again.replayed
    assert again.details == {"type": "agent_deployment", "id": created["id"]}
    (await api_client.get(path)).refused(404, "not_found")
    assert (await api_client.call("DELETE", f"/environment/{environment['id']}")).status == 200


async def test_a_deployment_in_use_cannot_be_deleted(api_client: Any) -> None:
    """A deployment with runs or tokens cannot be deleted."""
    run = await api_client.register()
    refused = await api_client.call("DELETE", f"{PATH}/{run['agent_deployment_id']}")
    assert "runs" in refused.refused(409, "invalid_action")["message"]

    environment = await _environment(api_client)
    bound = {"agent_id": "agent-1", "environment_id": environment["id"]}
    created = await _create(api_client, **bound)
    token = {"details": {"token_scope": "agent_deployment", **bound}}
    await api_client.post("/api_token", token)
    refused = await api_client.call("DELETE", f"{PATH}/{created['id']}")
    assert "tokens" in refused.refused(409, "invalid_action")["message"]


async def test_a_bulk_request_sees_its_earlier_items(api_client: Any) -> None:
    """A deployment with a run from an earlier item of the same bulk request is not deleted."""
    await _agent(api_client)
    environment = await _environment(api_client)
    place = {"agent_id": "agent-1", "environment_id": environment["id"]}
    items = [
        {
            "_type": "agent_deployments/create",
            "idempotency_key": "create-00",
            "details": {"id": "d", **place},
        },
        {"_type": "agent_instances/register", "idempotency_key": "register", **place},
        {
            "_type": "agent_deployments/delete",
            "idempotency_key": "delete-00",
            "agent_deployment_id": "d",
        },
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert outputs["register"]["details"]["agent_deployment_id"] == "d"
    assert outputs["delete-00"]["code"] == "invalid_action"


async def test_a_list_is_about_one_agent(api_client: Any) -> None:
    """An account token has to name an agent, whose deployments are filtered and sorted."""
    run = await api_client.register()
    environment = await _environment(api_client)
    await api_client.register(environment_id=environment["id"])

    unnamed = (await api_client.get(PATH)).refused(422, "validation_errors")
    assert unnamed["errors"]["agent_id"]["code"] == "required_value"
    query = {"agent_id": "agent-1", "sorting": "-inserted_at"}
    rows = (await api_client.get(PATH, query)).summaries
    assert [row["environment_id"] for row in rows] == [environment["id"], run["environment_id"]]
    query = {"agent_id": "agent-1", "environment_id": environment["id"]}
    assert [row["environment_id"] for row in (await api_client.get(PATH, query)).summaries] == [
        environment["id"]
    ]


async def test_a_deployment_token_reads_its_own_deployment(api_client: Any) -> None:
    """A deployment token reads its own deployment and no other."""
    run = await api_client.register()
    environment = await _environment(api_client)
    other = await api_client.register(environment_id=environment["id"])
    token = await api_client.deployment_token(run)

    for query in ({}, {"agent_id": "agent-1"}):
        rows = (await api_client.get(PATH, query, token=token)).summaries
        assert [row["id"] for row in rows] == [run["agent_deployment_id"]]
    own = f"{PATH}/{run['agent_deployment_id']}"
    assert (await api_client.get(own, token=token)).details["id"] == run["agent_deployment_id"]
    hidden = await api_client.get(f"{PATH}/{other['agent_deployment_id']}", token=token)
    hidden.refused(404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/x"), ("DELETE", "/x")])
async def test_a_deployment_token_changes_no_deployment(
    api_client: Any, method: str, path: str
) -> None:
    """Changes need an account token."""
    token = await api_client.deployment_token(await api_client.register())

    (await api_client.call(method, PATH + path, token=token)).refused(403, "not_permitted")
