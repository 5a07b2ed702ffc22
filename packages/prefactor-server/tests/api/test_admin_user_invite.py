"""Invitations and the people of an account, through the API."""

import asyncio
import dataclasses
from typing import Any

import pytest

from prefactor_server.api import Limits
from prefactor_server.domain.api_token import hash_token
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.storage.base import Changes, Needs

EMAIL = "name@example.org"


async def _invite(api_client: Any, email: str = EMAIL, **more: Any) -> Any:
    return await api_client.post("/admin_user_invite", {"details": {"email": email}}, **more)


async def test_a_token_is_shown_once_and_stored_as_a_hash(api_client: Any) -> None:
    """The inviter sees the token and its address once; the database never stores it."""
    made = (await _invite(api_client)).details

    assert (made["type"], made["email"], made["status"]) == ("admin_user_invite", EMAIL, "pending")
    assert made["invite_url"] == f"{api_client.url}/#/invite?token={made['token']}"
    shown = (await api_client.get(f"/admin_user_invite/{made['id']}")).details
    assert shown == made | {"token": None, "invite_url": None}
    ((stored,),) = await api_client.rows("SELECT token_hash FROM admin_user_invite")
    assert stored == hash_token(made["token"])


async def test_a_repeat_does_not_show_the_token_again(api_client: Any) -> None:
    """A repeat with the same key creates no other invitation and answers without the token."""
    key = {"Idempotency-Key": "k"}

    first, again = await _invite(api_client, headers=key), await _invite(api_client, headers=key)

    assert again.replayed
    assert again.details == first.details | {"token": None, "invite_url": None}
    assert len((await api_client.get("/admin_user_invite")).summaries) == 1


async def test_the_invited_person_sees_the_invitation(api_client: Any) -> None:
    """The token alone shows whom an invitation is for and whether it can still be accepted."""
    made = (await _invite(api_client)).details
    look = "/admin_user_invite/look_up"

    seen = (await api_client.post(look, {"token": made["token"]}, token="")).details

    account = (await api_client.get("/session")).details
    assert seen == {
        "type": "invitation",
        "email": EMAIL,
        "role": "admin",
        "account_id": account["account_id"],
        "account_name": account["account_name"],
        "status": "pending",
        "expires_at": made["expires_at"],
    }
    await api_client.post(f"/admin_user_invite/{made['id']}/revoke", {})
    again = await api_client.post(look, {"token": made["token"]}, token="")
    assert again.details["status"] == "revoked"
    for wrong in (f"{made['token']}x", made["token"][:-1], "pf_invite_~~", ""):
        (await api_client.post(look, {"token": wrong}, token="")).refused(404, "not_found")
    (await api_client.post(look, {"token": "x", "more": 1}, token="")).refused(
        422, "validation_errors"
    )


async def test_an_invitation_is_revoked_once(api_client: Any) -> None:
    """A pending invitation can be revoked, but only once."""
    made = (await _invite(api_client)).details
    path = f"/admin_user_invite/{made['id']}/revoke"

    revoked = (await api_client.post(path, {})).details

    assert revoked["status"] == "revoked"
    (await api_client.post(path, {})).refused(409, "invalid_action")
    (await api_client.post("/admin_user_invite/nobody/revoke")).refused(404, "not_found")
    (await api_client.get("/admin_user_invite/nobody")).refused(404, "not_found")


async def test_invitations_are_listed(api_client: Any) -> None:
    """The list filters by status and address, and never shows a token."""
    first, second = [(await _invite(api_client, email)).details for email in ("b@x", "a@x")]
    await api_client.post(f"/admin_user_invite/{first['id']}/revoke", {})

    by_email = (await api_client.get("/admin_user_invite", {"sorting": "email"})).summaries
    pending = (await api_client.get("/admin_user_invite", {"status": "pending"})).summaries
    of_one = (await api_client.get("/admin_user_invite", {"email": "b@x"})).summaries

    assert [one["email"] for one in by_email] == ["a@x", "b@x"]
    assert {one["token"] for one in by_email} == {None}
    assert [one["id"] for one in pending] == [second["id"]]
    assert [one["status"] for one in of_one] == ["revoked"]


@pytest.mark.parametrize("email", ["", "name", "a b@c", "@", "a@b@c", "a@" + "b" * 254, None, 5])
async def test_an_invitation_needs_an_address(api_client: Any, email: Any) -> None:
    """An impossible address is refused by its field's name."""
    refused = await _invite(api_client, email)

    errors = refused.refused(422, "validation_errors")["errors"]
    assert list(errors["details"]) == ["email"]


async def test_people_and_invitations_are_for_account_tokens(api_client: Any) -> None:
    """A deployment token neither sees nor invites people, and no token reaches another account."""
    token = await api_client.deployment_token(await api_client.run())
    for path in ("/admin_user", "/admin_user/u", "/admin_user_invite", "/admin_user_invite/i"):
        (await api_client.get(path, token=token)).refused(403, "not_permitted")
    (await _invite(api_client, token=token)).refused(403, "not_permitted")

    theirs = {"details": {"email": EMAIL, "account_id": "another"}}
    (await api_client.post("/admin_user_invite", theirs)).refused(403, "not_permitted")


async def test_people_are_listed(api_client: Any) -> None:
    """People are shown one by one and on a list."""
    assert (await api_client.get("/admin_user")).summaries == []
    (account,) = await api_client.storage.accounts()
    user = AdminUser("u", account.id, EMAIL, 1, 1, "viewer")

    def decide(snapshots: Any) -> None:
        snapshots[account.id].apply(Changes(inserted=(user,)))

    await api_client.storage.transact({account.id: Needs()}, decide)

    (listed,) = (await api_client.get("/admin_user", {"account_id": account.id})).summaries
    assert (listed["type"], listed["email"]) == ("admin_user", EMAIL)
    assert (await api_client.get("/admin_user/u")).details == listed
    (await api_client.get("/admin_user/nobody")).refused(404, "not_found")


async def _accept(api_client: Any, token: str) -> Any:
    """Accept an invitation as the invited person, with only its token."""
    invited = dataclasses.replace(api_client, token=None)
    return await invited.post("/admin_user_invite/accept", {"token": token})


async def test_accepting_creates_an_admin_user(api_client: Any) -> None:
    """Accepting takes only the token; the person is listed, and the invitation is used up."""
    made = (await _invite(api_client)).details

    user = (await _accept(api_client, made["token"])).details
    again = await _accept(api_client, made["token"])

    assert "already used" in again.refused(409, "invalid_action")["message"]
    assert (user["type"], user["email"]) == ("admin_user", EMAIL)
    assert (user["role"], user["has_password"]) == ("admin", False)
    assert user["account_id"] == made["account_id"]
    assert (await api_client.get("/admin_user")).summaries == [user]
    assert (await api_client.get(f"/admin_user/{user['id']}")).details == user
    path = f"/admin_user_invite/{made['id']}"
    assert (await api_client.get(path)).details["status"] == "used"
    (await api_client.post(f"{path}/revoke")).refused(409, "invalid_action")
    log = await api_client.rows(
        "SELECT action, actor, detail FROM audit_entry WHERE resource_id = ? ORDER BY at",
        made["id"],
    )
    assert log[1:] == [("admin_user_invites.accept", made["id"], EMAIL)]


async def test_an_address_becomes_one_admin_user(api_client: Any) -> None:
    """Two invitations to one address, accepted at once or in turn, create one person."""
    tokens = [(await _invite(api_client)).details["token"] for _ in range(3)]

    both = await asyncio.gather(*(_accept(api_client, token) for token in tokens[:2]))
    later = await _accept(api_client, tokens[2])

    assert len({answer.details["id"] for answer in (*both, later)}) == 1
    assert len((await api_client.get("/admin_user")).summaries) == 1
    statuses = [one["status"] for one in (await api_client.get("/admin_user_invite")).summaries]
    assert statuses == ["used"] * 3


async def test_an_invitation_expires(api_client: Any) -> None:
    """A revoked invitation, or one a week old, can no longer be accepted."""
    revoked, late = (
        (await _invite(api_client)).details,
        (await _invite(api_client, "late@x")).details,
    )
    await api_client.post(f"/admin_user_invite/{revoked['id']}/revoke")
    withdrawn = await _accept(api_client, revoked["token"])
    api_client.clock.leap(seconds=7 * 24 * 3600)
    expired = await _accept(api_client, late["token"])

    assert "revoked" in withdrawn.refused(409, "invalid_action")["message"]
    assert "expired" in expired.refused(409, "invalid_action")["message"]
    assert (await api_client.get("/admin_user")).summaries == []
    shown = (await api_client.get(f"/admin_user_invite/{late['id']}")).details
    assert (shown["status"], shown["expires_at"] > shown["inserted_at"]) == ("pending", True)


async def test_invalid_tokens_get_one_answer(api_client: Any) -> None:
    """Every invalid token gets the same answer, whether its invitation exists or not."""
    made = (await _invite(api_client)).details
    kind, account_and_more = made["token"][:10], made["token"][10:]
    account, invite, secret = account_and_more.split("~")
    forged = [
        "",
        "pf_invite_",
        secret,
        f"{kind}{account}~{invite}~",
        f"{kind}{account}~{invite}~{secret[:-1]}",
        f"{kind}{account}~{invite}~{secret}x",
        f"{kind}{account}~nobody~{secret}",
        f"{kind}another~{invite}~{secret}",
        f"{kind}{account}~{invite}~{secret}~",
        f"{kind}{account}'~{invite}~{secret}",
    ]

    messages = set()
    for token in forged:
        messages.add((await _accept(api_client, token)).refused(404, "not_found")["message"])

    assert messages == {
        "Invitation not found: check that the link is complete, or ask for a new one"
    }
    (await _accept(api_client, "x" * 501)).refused(422, "validation_errors")
    (await api_client.post("/admin_user_invite/accept", {})).refused(422, "validation_errors")
    assert (await api_client.get("/admin_user")).summaries == []


async def test_inviting_and_revoking_are_in_the_audit_log(api_client: Any) -> None:
    """An invitation and its revocation are in the audit log."""
    made = (await _invite(api_client)).details
    await api_client.post(f"/admin_user_invite/{made['id']}/revoke", {})

    found = await api_client.rows(
        "SELECT action, detail FROM audit_entry WHERE resource_id = ? ORDER BY at", made["id"]
    )

    assert found == [
        ("admin_user_invites.create", EMAIL),
        ("admin_user_invites.revoke", EMAIL),
    ]


@pytest.mark.parametrize("host", ["evil.example/?", "a b", "x@y", "<script>"])
async def test_an_invalid_host_is_not_repeated(api_client: Any, host: str) -> None:
    """A request's Host header is repeated only if it is a valid host."""
    made = (await _invite(api_client, headers={"Host": host})).details

    assert made["invite_url"] == f"/#/invite?token={made['token']}"


class TestWithAPublicAddress:
    """A server that knows its public address."""

    @pytest.fixture
    def limits(self, limits: Limits) -> Limits:
        """The usual limits, and a public address."""
        return dataclasses.replace(limits, public_url="https://runs.example.org/prefactor/")

    async def test_the_public_address_is_used(self, api_client: Any) -> None:
        """The setting wins over the host of the request, in bulk as well."""
        made = (await _invite(api_client)).details
        item = {"_type": "admin_user_invites/create", "idempotency_key": "key-0001", "email": EMAIL}
        output = (await api_client.post("/bulk", {"items": [item]})).body["outputs"]["key-0001"]

        for one in (made, output["details"]):
            assert (
                one["invite_url"]
                == f"https://runs.example.org/prefactor/#/invite?token={one['token']}"
            )
