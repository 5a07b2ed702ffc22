"""Accounts through the API."""

from typing import Any

import pytest


async def _own(api_client: Any) -> Any:
    (account,) = (await api_client.get("/account")).summaries
    return account


async def test_a_token_sees_its_own_account(api_client: Any) -> None:
    """The list holds only the token's account, and the account can be read."""
    listed = await api_client.get("/account")
    (account,) = listed.summaries

    assert set(listed.body) == {"status", "summaries", "pagination", "sorting"}
    assert listed.body["pagination"]["item_count"] == 1
    assert (account["type"], account["name"]) == ("account", "Default")
    assert (await api_client.get(f"/account/{account['id']}")).details == account


async def test_the_list_of_accounts_has_one_page(api_client: Any) -> None:
    """The list has one row in every order, and nothing beyond it."""
    beyond = await api_client.get("/account", {"pagination[offset]": "1", "sorting": "-name"})

    assert beyond.summaries == []
    assert beyond.body["pagination"]["item_count"] == 1


async def test_an_account_is_renamed(api_client: Any) -> None:
    """A new name is visible to the next reader, and everything else is unchanged."""
    account = await _own(api_client)

    renamed = await api_client.call(
        "PUT", f"/account/{account['id']}", {"details": {"name": "Research"}}
    )

    assert renamed.details["name"] == "Research"
    assert await _own(api_client) == renamed.details
    kept = ("id", "inserted_at", "type")
    assert [renamed.details[field] for field in kept] == [account[field] for field in kept]


async def test_renaming_an_account_again_with_its_key_does_nothing(api_client: Any) -> None:
    """A repeated request changes nothing and returns the current account."""
    path = f"/account/{(await _own(api_client))['id']}"
    first = {"details": {"name": "First"}, "idempotency_key": "rename"}
    await api_client.call("PUT", path, first)
    await api_client.call("PUT", path, {"details": {"name": "Second"}})

    again = await api_client.call("PUT", path, first)

    assert again.replayed
    assert again.details["name"] == "Second"


async def test_other_accounts_do_not_exist(api_client: Any) -> None:
    """An id that is not the token's own account is unknown, to readers and to writers."""
    (await api_client.get("/account/another")).refused(404, "not_found")
    renaming = await api_client.call("PUT", "/account/another", {"details": {"name": "Mine"}})
    renaming.refused(404, "not_found")


async def test_an_account_needs_a_name(api_client: Any) -> None:
    """An empty name is refused, and the error names the field."""
    path = f"/account/{(await _own(api_client))['id']}"

    refused = await api_client.call("PUT", path, {"details": {}})

    errors = refused.refused(422, "validation_errors")["errors"]["details"]
    assert errors["name"]["code"] == "required_value"


@pytest.mark.parametrize(("method", "path"), [("GET", "/account"), ("GET", "/account/x")])
async def test_accounts_need_an_account_token(api_client: Any, method: str, path: str) -> None:
    """Accounts need an account token, and the refusal says so."""
    token = await api_client.deployment_token(await api_client.register())

    refused = (await api_client.call(method, path, token=token)).refused(403, "not_permitted")

    assert "account" in refused["message"]
