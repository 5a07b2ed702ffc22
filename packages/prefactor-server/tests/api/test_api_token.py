"""API tokens through the API."""

import asyncio
from typing import Any

import pytest

from patience import eventually

PATH = "/api_token"


async def _create(api_client: Any, **details: Any) -> Any:
    created = await api_client.post(PATH, {"details": {"token_scope": "account", **details}})
    assert created.status == 200, created.text
    return created.body


async def _move(api_client: Any, token: Any, move: str, **more: Any) -> Any:
    return await api_client.post(f"{PATH}/{token['details']['id']}/{move}", **more)


async def _works(api_client: Any, token: Any) -> bool:
    answer = await api_client.get("/ping", token=token["token"])
    assert answer.status in (200, 401), answer.text
    return bool(answer.status == 200)


async def test_a_token_is_shown_once_and_works(api_client: Any) -> None:
    """Only the answer to the creation contains the token's text."""
    created = await _create(api_client, expires_at="2030-01-01T00:00:00Z")
    details = created["details"]

    assert await _works(api_client, created)
    assert (details["type"], details["token_scope"]) == ("api_token", "account")
    assert (details["status"], details["expires_at"]) == ("active", "2030-01-01T00:00:00.000000Z")
    assert details["agent_id"] is details["created_by_admin_user_id"] is None
    assert created["token"].startswith(details["token_start"])
    shown, listed = await api_client.get(f"{PATH}/{details['id']}"), await api_client.get(PATH)
    assert shown.details["inserted_at"] == details["inserted_at"]
    assert [row["id"] for row in listed.summaries][1:] == [details["id"]]
    assert created["token"] not in shown.text + listed.text


async def test_a_secret_is_not_replayed(api_client: Any) -> None:
    """A repeat with the same key makes no second token and does not show the first one's text."""
    asked = {"details": {"token_scope": "account"}, "idempotency_key": "token-key"}
    first = await api_client.post(PATH, asked)
    again = await api_client.post(PATH, asked)

    assert again.replayed
    assert "token" not in again.body
    assert again.details["id"] == first.details["id"]
    assert len((await api_client.get(PATH)).summaries) == 2


async def test_a_deployment_token_has_one_agent_and_environment(api_client: Any) -> None:
    """A deployment token has one agent and environment, which requests may name or omit."""
    run = await api_client.register()
    bound = {"agent_id": run["agent_id"], "environment_id": run["environment_id"]}
    created = await _create(api_client, token_scope="agent_deployment", **bound)

    assert created["details"]["agent_deployment_id"] == run["agent_deployment_id"]
    registered = await api_client.post("/agent_instance/register", {}, token=created["token"])
    assert registered.details["agent_deployment_id"] == run["agent_deployment_id"]
    query = {"agent_deployment_id": run["agent_deployment_id"]}
    assert [row["id"] for row in (await api_client.get(PATH, query)).summaries] == [
        created["details"]["id"]
    ]


@pytest.mark.parametrize(
    ("details", "errors"),
    [
        ({}, {"token_scope": "required_value"}),
        ({"token_scope": "all"}, {"token_scope": "invalid_value"}),
        ({"token_scope": "account", "agent_id": "a"}, {"agent_id": "invalid_value"}),
        (
            {"token_scope": "agent_deployment"},
            {"agent_id": "required_value", "environment_id": "required_value"},
        ),
        ({"token_scope": "account", "expires_at": "soon"}, {"expires_at": "invalid_value"}),
        (
            {"token_scope": "account", "expires_at": "2020-01-01T00:00:00Z"},
            {"expires_at": "invalid_value"},
        ),
    ],
)
async def test_errors_of_a_new_token_are_named(
    api_client: Any, details: Any, errors: dict[str, str]
) -> None:
    """Each field that is missing or wrong has its code."""
    refused = (await api_client.post(PATH, {"details": details})).refused(422, "validation_errors")

    found = {name: error["code"] for name, error in refused["errors"]["details"].items()}
    assert found == errors


async def test_a_token_needs_an_agent_and_an_environment(api_client: Any) -> None:
    """A token needs an existing agent and environment, and one of this account."""
    details = {"token_scope": "agent_deployment", "agent_id": "a", "environment_id": "e"}

    (await api_client.post(PATH, {"details": details})).refused(404, "not_found")
    other = {"details": {"token_scope": "account", "account_id": "other"}}
    (await api_client.post(PATH, other)).refused(403, "not_permitted")


async def test_a_status_takes_effect_at_once(api_client: Any) -> None:
    """Suspending or revoking a token stops it at once, and activating resumes it."""
    token = await _create(api_client)
    seen = [("active", await _works(api_client, token))]
    for move in ("suspend", "activate", "revoke"):
        moved = await _move(api_client, token, move)
        seen.append((moved.details["status"], await _works(api_client, token)))

    assert seen == [("active", True), ("suspended", False), ("active", True), ("revoked", False)]


MOVES = {
    "active": {"suspend", "revoke"},
    "suspended": {"activate", "revoke"},
    "revoked": {"delete"},
}


@pytest.mark.parametrize("status", MOVES)
async def test_available_actions_are_those_that_work(api_client: Any, status: str) -> None:
    """Each action in `available_actions` works, and any other is a conflict."""
    leads = {"suspended": "suspend", "revoked": "revoke"}
    for action in ("activate", "suspend", "revoke", "delete"):
        token = await _create(api_client)
        if status in leads:
            await _move(api_client, token, leads[status])
        path = f"{PATH}/{token['details']['id']}"
        offered = (await api_client.get(path)).details["available_actions"]
        assert {name for name, may in offered.items() if may} == MOVES[status]

        done = await (
            api_client.call("DELETE", path)
            if action == "delete"
            else _move(api_client, token, action)
        )

        if action in MOVES[status]:
            assert done.details["id"] == token["details"]["id"]
        else:
            assert status in done.refused(409, "invalid_action")["message"]


async def test_a_deleted_token_is_gone(api_client: Any) -> None:
    """A deleted token neither works nor exists, and its deletion can be repeated."""
    token = await _create(api_client)
    path = f"{PATH}/{token['details']['id']}"
    await _move(api_client, token, "revoke")
    asked = {"idempotency_key": "delete-token"}
    deleted = await api_client.call("DELETE", path, asked)
    again = await api_client.call("DELETE", path, asked)

    assert deleted.details["status"] == "revoked"
    assert again.replayed
    assert again.details["id"] == token["details"]["id"]
    (await api_client.get(path)).refused(404, "not_found")
    assert not await _works(api_client, token)


async def test_a_repeated_change_is_made_once(api_client: Any) -> None:
    """With its key, a suspension that is repeated after an activation does not come back."""
    token = await _create(api_client)
    asked = {"idempotency_key": "suspend-it"}
    await _move(api_client, token, "suspend", body=asked)
    await _move(api_client, token, "activate")

    again = await _move(api_client, token, "suspend", body=asked)

    assert again.replayed
    assert again.details["status"] == "active"
    assert await _works(api_client, token)


async def test_a_lookup_overtaken_by_a_change_is_not_cached(api_client: Any) -> None:
    """However many requests are in flight when a token is revoked, none works afterwards."""
    token = await _create(api_client)
    path = f"{PATH}/{token['details']['id']}/revoke"
    await asyncio.gather(
        *(api_client.get("/ping", token=token["token"]) for _ in range(10)),
        api_client.post(path),
        *(api_client.get("/ping", token=token["token"]) for _ in range(10)),
    )

    assert not await _works(api_client, token)


async def test_the_list_filters_tokens(api_client: Any) -> None:
    """Tokens are filtered by scope and status, and sorted by their expiry."""
    first = await _create(api_client, expires_at="2031-01-01T00:00:00Z")
    second = await _create(api_client, expires_at="2030-01-01T00:00:00Z")
    await _move(api_client, second, "suspend")

    suspended = (await api_client.get(PATH, {"status": "suspended"})).summaries
    query = {"token_scope": "account", "sorting": "-expires_at"}
    latest = (await api_client.get(PATH, query)).summaries

    assert [row["id"] for row in suspended] == [second["details"]["id"]]
    assert [row["id"] for row in latest][:2] == [first["details"]["id"], second["details"]["id"]]


async def test_the_last_use_is_stored(api_client: Any) -> None:
    """A token shows when it was last used."""
    token = await _create(api_client)
    await _works(api_client, token)

    async def last_use() -> Any:
        return (await api_client.get(f"{PATH}/{token['details']['id']}")).details["last_used_at"]

    assert await eventually(last_use, bool)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("GET", f"{PATH}/x"),
        ("POST", PATH),
        ("POST", f"{PATH}/x/suspend"),
        ("POST", f"{PATH}/x/activate"),
        ("POST", f"{PATH}/x/revoke"),
        ("DELETE", f"{PATH}/x"),
    ],
)
async def test_tokens_need_an_account_token(api_client: Any, method: str, path: str) -> None:
    """Operations on tokens need an account token."""
    token = await api_client.deployment_token(await api_client.register())

    (await api_client.call(method, path, token=token)).refused(403, "not_permitted")
