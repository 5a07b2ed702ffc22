"""The version that is current for an agent, set through the agent as older clients do."""

from typing import Any


async def _update(door: Any, **details: Any) -> Any:
    return await door.call("PUT", "/agent/agent-1", {"details": details})


async def _current(door: Any, run: Any) -> Any:
    deployment = await door.get(f"/agent_deployment/{run['agent_deployment_id']}")
    return deployment.details["current_version_id"]


async def test_a_version_becomes_current_in_the_default_environment(door: Any) -> None:
    """It is pinned there and nowhere else, with the other changes; null leaves no version."""
    environment = (await door.post("/environment", {"details": {"name": "Staging"}})).details
    old = await door.register(agent_version={"external_identifier": "1"})
    new = await door.register(agent_version={"external_identifier": "2"})
    staged = await door.register(
        environment_id=environment["id"], agent_version={"external_identifier": "2"}
    )

    changed = await _update(door, name="Sales", current_version_id=old["agent_version_id"])

    assert changed.details["name"] == "Sales"
    assert await _current(door, new) == old["agent_version_id"]
    assert await _current(door, staged) == staged["agent_version_id"]
    assert (await _update(door, current_version_id=None)).status == 200
    assert await _current(door, new) is None
    assert (await _update(door, name="Other")).details["name"] == "Other"


async def test_a_version_that_cannot_be_current_is_refused(door: Any) -> None:
    """Another agent's version, an unknown one, and an agent without a deployment change nothing."""
    run = await door.register()
    other = await door.register(agent_id="agent-2")
    await door.post("/agent", {"details": {"name": "Bare", "id": "bare"}})

    for version_id in (other["agent_version_id"], "nobody"):
        refused = await _update(door, name="Lost", current_version_id=version_id)
        errors = refused.refused(422, "validation_errors")["errors"]["details"]
        assert list(errors) == ["current_version_id"]
    bare = {"details": {"current_version_id": run["agent_version_id"]}}
    undeployed = (await door.call("PUT", "/agent/bare", bare)).refused(422, "validation_errors")

    assert "deployment" in undeployed["message"]
    assert await _current(door, run) == run["agent_version_id"]
    assert (await door.get("/agent/agent-1")).details["name"] != "Lost"
