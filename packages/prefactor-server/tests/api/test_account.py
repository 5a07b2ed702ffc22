"""Accounts behind the front door."""

from typing import Any

import pytest


async def _own(door: Any) -> Any:
    (account,) = (await door.get("/account")).summaries
    return account


async def test_a_token_knows_its_own_account(door: Any) -> None:
    """The list holds the token's account and nothing under `details`, and the account is shown."""
    listed = await door.get("/account")
    (account,) = listed.summaries

    assert set(listed.body) == {"status", "summaries", "pagination", "sorting"}
    assert listed.body["pagination"]["item_count"] == 1
    assert (account["type"], account["name"]) == ("account", "Default")
    assert (await door.get(f"/account/{account['id']}")).details == account


async def test_the_list_of_accounts_has_one_page(door: Any) -> None:
    """Beyond the first row there is none, in whatever order."""
    beyond = await door.get("/account", {"pagination[offset]": "1", "sorting": "-name"})

    assert beyond.summaries == []
    assert beyond.body["pagination"]["item_count"] == 1


async def test_an_account_is_renamed(door: Any) -> None:
    """A new name is there for the next reader, and everything else stays."""
    account = await _own(door)

    renamed = await door.call("PUT", f"/account/{account['id']}", {"details": {"name": "Research"}})

    assert renamed.details["name"] == "Research"
    assert await _own(door) == renamed.details
    kept = ("id", "inserted_at", "type")
    assert [renamed.details[field] for field in kept] == [account[field] for field in kept]


async def test_renaming_an_account_again_with_its_key_does_nothing(door: Any) -> None:
    """A repeated request answers with the account as it is now."""
    path = f"/account/{(await _own(door))['id']}"
    first = {"details": {"name": "First"}, "idempotency_key": "rename"}
    await door.call("PUT", path, first)
    await door.call("PUT", path, {"details": {"name": "Second"}})

    again = await door.call("PUT", path, first)

    assert again.replayed
    assert again.details["name"] == "Second"


async def test_other_accounts_are_not_there(door: Any) -> None:
    """An id that is not the token's own account is unknown, to readers and to writers."""
    (await door.get("/account/another")).refused(404, "not_found")
    renaming = await door.call("PUT", "/account/another", {"details": {"name": "Mine"}})
    renaming.refused(404, "not_found")


async def test_an_account_needs_a_name(door: Any) -> None:
    """Renaming to nothing names the field."""
    path = f"/account/{(await _own(door))['id']}"

    refused = await door.call("PUT", path, {"details": {}})

    errors = refused.refused(422, "validation_errors")["errors"]["details"]
    assert errors["name"]["code"] == "required_value"


@pytest.mark.parametrize(("method", "path"), [("GET", "/account"), ("GET", "/account/x")])
async def test_a_deployment_token_has_no_business_with_accounts(
    door: Any, method: str, path: str
) -> None:
    """Accounts need an account token, and the refusal says so."""
    token = await door.deployment_token(await door.register())

    refused = (await door.call(method, path, token=token)).refused(403, "not_permitted")

    assert "account" in refused["message"]
