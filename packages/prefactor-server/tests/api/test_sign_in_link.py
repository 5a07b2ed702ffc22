"""Links that sign in as a token, which a server prints when it starts."""

import asyncio
from typing import Any

from api_client import TOKEN
from people import Browser, anonymous, cookie_of, signed_in

from prefactor_server.cli.start_link import make_start_link


async def _code(api_client: Any, token: str = TOKEN) -> str:
    """The code of the link that a server started with a token prints."""
    url = await make_start_link(
        api_client.storage, api_client.writer, "http://127.0.0.1:8585/", token, api_client.clock()
    )
    assert url is not None
    address, _, code = url.partition("/#/sign-in?code=")
    assert address == "http://127.0.0.1:8585"
    return code


async def _sign_in(api_client: Any, **proof: str) -> Any:
    return await anonymous(api_client, "POST", "/session", proof)


async def _token(api_client: Any) -> Any:
    """Create another account token; return its row and its text as ``token``."""
    made = (await api_client.post("/api_token", {"details": {"token_scope": "account"}})).body
    return {**made["details"], "token": made["token"]}


async def test_a_link_signs_in_as_the_token_once(api_client: Any) -> None:
    """Of several concurrent uses, one succeeds; after ten minutes, none does."""
    code = await _code(api_client)
    late = await _code(api_client)

    answers = await asyncio.gather(*(_sign_in(api_client, code=code) for _ in range(3)))
    (signed,) = [one for one in answers if one.status == 200]
    by_token = await _sign_in(api_client, token=TOKEN)
    api_client.clock.leap(seconds=600)

    assert sorted(one.status for one in answers) == [200, 401, 401]
    ours, theirs = signed.details, by_token.details
    assert (ours["method"], ours["role"]) == ("token", "admin")
    assert ours["api_token_id"] == theirs["api_token_id"]
    (await _sign_in(api_client, code=late)).refused(401, "bad_credentials")


async def test_valid_links_and_sessions_are_not_deleted(api_client: Any) -> None:
    """The deletion of expired links and sessions leaves those that still work."""
    expired, session = await _code(api_client), await signed_in(api_client)
    api_client.clock.leap(seconds=600)
    valid = await _code(api_client)
    twelve_hours = 12 * 3600 * 1_000_000
    maintenance = api_client.storage.maintenance

    assert await maintenance.forget_sign_ins(api_client.clock(), twelve_hours) == 1
    (await _sign_in(api_client, code=expired)).refused(401, "bad_credentials")
    assert (await _sign_in(api_client, code=valid)).status == 200
    assert (await session.get("/session")).status == 200


async def test_a_link_works_no_longer_than_its_token(api_client: Any) -> None:
    """Suspending, revoking or deleting a token invalidates its links."""
    for moves in (("suspend",), ("revoke",), ("revoke", "delete")):
        token = await _token(api_client)
        code = await _code(api_client, token["token"])
        path = f"/api_token/{token['id']}"
        for move in moves:
            done = await (
                api_client.call("DELETE", path)
                if move == "delete"
                else api_client.post(f"{path}/{move}")
            )
            assert done.status == 200, move
        (await _sign_in(api_client, code=code)).refused(401, "bad_credentials")


async def test_a_revoked_token_ends_the_session_of_its_link(api_client: Any) -> None:
    """A session opened by link ends with its token, like one that exchanged the token itself."""
    token = await _token(api_client)
    browser = Browser(
        api_client,
        cookie_of(await _sign_in(api_client, code=await _code(api_client, token["token"]))),
    )
    assert (await browser.get("/session")).details["api_token_id"] == token["id"]

    await api_client.post(f"/api_token/{token['id']}/revoke")
    api_client.clock.leap(seconds=11)

    (await browser.get("/session")).refused(401, "bad_authtoken")


async def test_a_link_of_a_token_sets_no_password(api_client: Any) -> None:
    """A link with a password is refused by name and remains unused."""
    code = await _code(api_client)

    refused = await _sign_in(api_client, code=code, new_password="correct horse battery")

    assert "new_password" in refused.refused(422, "validation_errors")["errors"]
    assert (await _sign_in(api_client, code=code)).status == 200


async def test_without_a_start_token_the_oldest_is_used(api_client: Any) -> None:
    """A server that knows no token signs in as the oldest account token that works."""
    known = (await _sign_in(api_client, token=TOKEN)).details["api_token_id"]
    await _token(api_client)

    signed = await _sign_in(api_client, code=await _code(api_client, ""))
    other = await _sign_in(api_client, code=await _code(api_client, "a-token-of-another-server"))

    assert signed.details["api_token_id"] == other.details["api_token_id"] == known


async def test_the_audit_log_names_the_token_of_a_link(api_client: Any) -> None:
    """Creating and using a link are both logged, without its code."""
    code = await _code(api_client)
    signed = await _sign_in(api_client, code=code)

    listed = (await api_client.get("/audit")).body["summaries"]

    seen = {one["action"]: one for one in listed}
    assert seen["sign_in_links.create"]["actor"] == "cli"
    assert seen["sign_in_links.create"]["resource_id"] == signed.details["api_token_id"]
    assert code not in str(listed)
