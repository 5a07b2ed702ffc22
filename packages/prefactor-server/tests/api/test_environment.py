"""Environments through the API."""

from typing import Any

import pytest


async def _create(api_client: Any, **fields: Any) -> Any:
    return (
        await api_client.post("/environment", {"details": {"name": "Staging", **fields}})
    ).details


async def _default(api_client: Any) -> Any:
    return (await api_client.get("/environment")).summaries[0]


async def test_an_environment_is_created_shown_and_listed(api_client: Any) -> None:
    """An environment reads back as created, wherever it is shown."""
    default = await _default(api_client)
    created = await _create(api_client, account_id=default["account_id"], id="staging")

    assert (created["type"], created["id"], created["name"]) == (
        "environment",
        "staging",
        "Staging",
    )
    assert (default["is_default"], created["is_default"]) == (True, False)
    assert (await api_client.get("/environment/staging")).details == created
    query = {"account_id": default["account_id"], "sorting": "-name"}
    assert (await api_client.get("/environment", query)).summaries == [created, default]


async def test_a_run_is_registered_in_a_new_environment(api_client: Any) -> None:
    """A registration that names the new environment runs there."""
    created = await _create(api_client)

    assert (await api_client.register(environment_id=created["id"]))["environment_id"] == created[
        "id"
    ]


async def test_an_environment_is_renamed(api_client: Any) -> None:
    """The default environment can be renamed too, and remains the default."""
    default = await _default(api_client)

    path = f"/environment/{default['id']}"
    renamed = (await api_client.call("PUT", path, {"details": {"name": "Production"}})).details

    assert (renamed["name"], renamed["is_default"]) == ("Production", True)
    assert (await api_client.get(path)).details == renamed


async def test_an_unused_environment_is_deleted(api_client: Any) -> None:
    """A deletion returns what was deleted, is logged, and can be repeated."""
    created = await _create(api_client)
    path = f"/environment/{created['id']}"
    asked = {"idempotency_key": "delete-it"}

    deleted = await api_client.call("DELETE", path, asked)
    again = await api_client.call("DELETE", path, asked)

    assert deleted.details == created
    assert again.replayed
    assert again.details == {"type": "environment", "id": created["id"]}
    (await api_client.get(path)).refused(404, "not_found")
    (await api_client.call("DELETE", path)).refused(404, "not_found")


async def test_an_environment_in_use_cannot_be_deleted(api_client: Any) -> None:
    """While an agent is deployed in it, an environment cannot be deleted."""
    created = await _create(api_client)
    await api_client.register(environment_id=created["id"])

    refused = await api_client.call("DELETE", f"/environment/{created['id']}")

    assert "deployments" in refused.refused(409, "invalid_action")["message"]
    assert (await api_client.get(f"/environment/{created['id']}")).details == created


async def test_the_default_environment_cannot_be_deleted(api_client: Any) -> None:
    """The default environment is needed by registrations that name none."""
    default = await _default(api_client)

    (await api_client.call("DELETE", f"/environment/{default['id']}")).refused(
        409, "invalid_action"
    )


async def test_an_id_is_unique(api_client: Any) -> None:
    """A second environment of the same id is a conflict."""
    await _create(api_client, id="mine")

    again = await api_client.post("/environment", {"details": {"name": "B", "id": "mine"}})

    again.refused(409, "invalid_action")


async def test_a_bulk_request_reaches_environments(api_client: Any) -> None:
    """A deletion in a bulk request sees what an earlier item created."""
    items = [
        {
            "_type": "environments/create",
            "idempotency_key": "create-00",
            "details": {"name": "Short", "id": "short-lived"},
        },
        {
            "_type": "environments/delete",
            "idempotency_key": "delete-00",
            "environment_id": "short-lived",
        },
        {"_type": "environments/list", "idempotency_key": "list-0000"},
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert [one["status"] for one in outputs.values()] == ["success"] * 3
    assert [one["name"] for one in outputs["list-0000"]["summaries"]] == ["Default"]


async def test_another_account_is_refused(api_client: Any) -> None:
    """Naming another account than the token's own is not permitted."""
    created = await api_client.post(
        "/environment", {"details": {"name": "B", "account_id": "other"}}
    )

    created.refused(403, "not_permitted")
    (await api_client.get("/environment", {"account_id": "other"})).refused(403, "not_permitted")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/environment"),
        ("GET", "/environment/x"),
        ("POST", "/environment"),
        ("PUT", "/environment/x"),
        ("DELETE", "/environment/x"),
    ],
)
async def test_environments_need_an_account_token(api_client: Any, method: str, path: str) -> None:
    """Environments need an account token."""
    token = await api_client.deployment_token(await api_client.register())

    (await api_client.call(method, path, token=token)).refused(403, "not_permitted")
