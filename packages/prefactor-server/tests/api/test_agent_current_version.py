"""The version that is current for an agent, set through the agent as older clients do."""

from typing import Any


async def _update(api_client: Any, **details: Any) -> Any:
    return await api_client.call("PUT", "/agent/agent-1", {"details": details})


async def _current(api_client: Any, run: Any) -> Any:
    deployment = await api_client.get(f"/agent_deployment/{run['agent_deployment_id']}")
    return deployment.details["current_version_id"]


async def test_a_version_becomes_current_in_the_default_environment(api_client: Any) -> None:
    """The version is pinned only there, together with the other changes; null unpins it."""
    environment = (await api_client.post("/environment", {"details": {"name": "Staging"}})).details
    old = await api_client.register(agent_version={"external_identifier": "1"})
    new = await api_client.register(agent_version={"external_identifier": "2"})
    staged = await api_client.register(
        environment_id=environment["id"], agent_version={"external_identifier": "2"}
    )

    changed = await _update(api_client, name="Sales", current_version_id=old["agent_version_id"])

    assert changed.details["name"] == "Sales"
    assert await _current(api_client, new) == old["agent_version_id"]
    assert await _current(api_client, staged) == staged["agent_version_id"]
    assert (await _update(api_client, current_version_id=None)).status == 200
    assert await _current(api_client, new) is None
    assert (await _update(api_client, name="Other")).details["name"] == "Other"


async def test_a_version_that_cannot_be_current_is_refused(api_client: Any) -> None:
    """Another agent's version, an unknown one, and an agent without a deployment are refused."""
    run = await api_client.register()
    other = await api_client.register(agent_id="agent-2")
    await api_client.post("/agent", {"details": {"name": "Bare", "id": "bare"}})

    for version_id in (other["agent_version_id"], "nobody"):
        refused = await _update(api_client, name="Lost", current_version_id=version_id)
        errors = refused.refused(422, "validation_errors")["errors"]["details"]
        assert list(errors) == ["current_version_id"]
    bare = {"details": {"current_version_id": run["agent_version_id"]}}
    undeployed = (await api_client.call("PUT", "/agent/bare", bare)).refused(
        422, "validation_errors"
    )

    assert "deployment" in undeployed["message"]
    assert await _current(api_client, run) == run["agent_version_id"]
    assert (await api_client.get("/agent/agent-1")).details["name"] != "Lost"
