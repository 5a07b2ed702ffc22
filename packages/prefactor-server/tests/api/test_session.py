"""Sessions: a cookie that works wherever its token does, until it expires."""

import asyncio
import contextlib
import dataclasses
from typing import Any

import pytest
from api_client import TOKEN, open_api_client
from people import (
    EMAIL,
    Browser,
    anonymous,
    cookie_of,
    sign_in,
    signed_in,
)

from patience import eventually
from prefactor_server.api import Limits
from prefactor_server.domain.client_address import TrustedProxies

HOUR = 3600


async def test_a_token_is_exchanged_for_a_cookie(api_client: Any) -> None:
    """The cookie has the token's rights, and scripts, other sites and caches cannot read it."""
    answer = await sign_in(api_client, token=TOKEN)
    browser = Browser(api_client, cookie_of(answer))

    assert answer.details["role"] == "admin"
    assert answer.details["rights"] == ["read", "operate", "administer"]
    assert (answer.details["method"], answer.details["token_scope"]) == ("token", "account")
    attributes = set(answer.headers["Set-Cookie"].split("; ")[1:])
    assert attributes == {"Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict"}
    assert answer.headers["Cache-Control"] == "no-store"
    made = await browser.post("/environment", {"details": {"name": "Staging"}})
    assert made.details == (await api_client.get(f"/environment/{made.details['id']}")).details
    assert (await browser.get("/session")).details == answer.details
    assert (await browser.get("/environment")).headers["Cache-Control"] == "no-store"


async def test_a_session_of_a_deployment_token_is_confined_like_it(api_client: Any) -> None:
    """A session can see no more than the token that it was made from."""
    token = await api_client.deployment_token(await api_client.run())
    other = await api_client.run(agent_id="agent-2")
    browser = Browser(api_client, cookie_of(await sign_in(api_client, token=token)))

    me = (await browser.get("/session")).details
    assert (me["role"], me["rights"], me["token_scope"]) == (None, [], "agent_deployment")
    (await browser.get(f"/agent_instance/{other['id']}")).refused(404, "not_found")
    (await browser.get("/sessions")).refused(403, "not_permitted")


@pytest.mark.parametrize("proof", [{"token": "nobodys-token-at-all"}, {"code": "pf_link_a~b~c"}])
async def test_an_invalid_credential_starts_no_session(api_client: Any, proof: Any) -> None:
    """An unknown token or code is a 401 without a cookie."""
    answer = await sign_in(api_client, **proof)

    answer.refused(401, "bad_credentials")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("proof", "field"),
    [
        ({}, "token"),
        ({"token": "t", "code": "c"}, "token"),
        ({"email": EMAIL}, "password"),
        ({"email": "name\0@example.org", "password": "p"}, "email"),
        ({"token": "t", "password": "p"}, "password"),
        ({"token": "t", "new_password": "p"}, "new_password"),
        ({"token": "t", "remember": "me"}, "remember"),
    ],
)
async def test_exactly_one_credential_is_required(api_client: Any, proof: Any, field: str) -> None:
    """Anything but exactly one complete and possible credential is refused by name."""
    refused = (await sign_in(api_client, **proof)).refused(422, "validation_errors")

    assert field in refused["errors"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Prefactor-Request": "1"}, 200),
        ({"X-Prefactor-Request": "1", "Origin": "http://<host>"}, 200),
        ({"X-Prefactor-Request": "1", "Origin": "https://<host>"}, 200),
        ({"X-Prefactor-Request": "1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "http://<host>"}, 403),
        ({"X-Prefactor-Request": "yes"}, 403),
        ({"X-Prefactor-Request": "1", "Origin": "https://evil.example"}, 403),
        ({"X-Prefactor-Request": "1", "Origin": "null"}, 403),
        ({"X-Prefactor-Request": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Prefactor-Request": "1", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_write_with_a_cookie_needs_our_header_and_origin(
    api_client: Any, headers: dict[str, str], status: int
) -> None:
    """A write with a cookie needs our header and origin; reads and tokens need neither."""
    browser = await signed_in(api_client, "admin")
    host = api_client.url.partition("//")[2]
    browser.headers = {name: text.replace("<host>", host) for name, text in headers.items()}
    body = {"details": {"name": "Staging"}}

    answer = await browser.post("/environment", body)

    assert answer.status == status, answer.text
    assert (await browser.get("/environment")).status == 200
    assert (await api_client.post("/environment", body, headers=browser.headers)).status in (
        200,
        422,
    )


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}])
async def test_another_site_cannot_sign_a_person_in(
    api_client: Any, headers: dict[str, str]
) -> None:
    """A page of another site cannot make a browser use a session of its choice."""
    (await sign_in(api_client, headers, token=TOKEN)).refused(403, "not_permitted")


async def test_signing_out_ends_the_session(api_client: Any) -> None:
    """Signing out invalidates and clears the cookie; a token has no session to end."""
    browser = Browser(api_client, cookie_of(await sign_in(api_client, token=TOKEN)))

    ended = await browser.call("DELETE", "/session")

    assert ended.details["type"] == "session"
    assert "Max-Age=0" in ended.headers["Set-Cookie"]
    (await browser.get("/session")).refused(401, "bad_authtoken")
    (await api_client.call("DELETE", "/session")).refused(409, "invalid_action")
    (await anonymous(api_client, "GET", "/session")).refused(401, "not_authenticated")


async def test_a_token_has_no_session(api_client: Any) -> None:
    """With a bearer token, the same operation returns the caller without a session."""
    me = (await api_client.get("/session")).details

    assert (me["id"], me["role"], me["email"]) == (None, "admin", None)
    assert me["account_name"] == "Default"


async def test_a_session_needs_its_secret(api_client: Any) -> None:
    """A cookie that names a session without its secret is refused, also while it is in use."""
    browser = await signed_in(api_client)
    named, _, secret = browser.cookie.rpartition("~")
    for guess in (secret[::-1], "A" * len(secret)):
        forged = dataclasses.replace(browser, cookie=f"{named}~{guess}")
        (await forged.get("/session")).refused(401, "bad_authtoken")
        assert (await browser.get("/session")).status == 200


async def test_an_idle_session_ends(api_client: Any) -> None:
    """A session ends after twelve hours without a request, and after seven days in any case."""
    browser = await signed_in(api_client)
    idle = await signed_in(api_client)

    for _ in range(15):
        api_client.clock.leap(seconds=11 * HOUR)
        assert (await browser.get("/session")).status == 200
        await asyncio.sleep(0)
        await _touched(api_client, browser)
    api_client.clock.leap(seconds=4 * HOUR)

    (await idle.get("/session")).refused(401, "bad_authtoken")
    expired = (await browser.get("/session")).refused(401, "bad_authtoken")
    assert "expired" in expired["message"]
    assert (
        await api_client.storage.maintenance.forget_sign_ins(
            api_client.clock(), 12 * HOUR * 1_000_000
        )
        == 2
    )
    assert await api_client.rows("SELECT id FROM session") == []


async def _touched(api_client: Any, browser: Browser) -> None:
    """Wait until the use of a session is stored."""
    sql = "SELECT last_used_at FROM session WHERE id = ?"

    async def last_use() -> int:
        ((used,),) = await api_client.rows(sql, browser.session_id)
        return int(used)

    await eventually(last_use, lambda used: api_client.clock.now - used < 60_000_000)


async def test_uses_are_stored_once_a_minute(api_client: Any) -> None:
    """Many requests with one session are one write."""
    browser = await signed_in(api_client)
    for _ in range(5):
        await browser.get("/ping")
        api_client.clock.leap(seconds=11)
    await _touched(api_client, browser)
    sql = "SELECT last_used_at FROM session WHERE id = ?"
    ((first,),) = await api_client.rows(sql, browser.session_id)

    await browser.get("/ping")

    assert await api_client.rows(sql, browser.session_id) == [(first,)]


async def test_people_see_their_own_sessions(api_client: Any) -> None:
    """A member lists and revokes their own sessions; admins and account tokens all sessions."""
    member, viewer, admin = [
        await signed_in(api_client, one) for one in ("member", "viewer", "admin")
    ]

    own = (await member.get("/sessions")).summaries
    everybodys = (await admin.get("/sessions")).summaries
    of_one = (await api_client.get("/sessions", {"admin_user_id": viewer.person_id})).summaries

    assert [(one["id"], one["is_current"]) for one in own] == [(member.session_id, True)]
    assert own[0]["user_agent"] == "A browser"
    assert {one["admin_user_id"] for one in everybodys} >= {viewer.person_id, member.person_id}
    assert [one["id"] for one in of_one] == [viewer.session_id]
    assert (await member.get("/sessions", admin_user_id=viewer.person_id)).summaries == []
    path = f"/sessions/{viewer.session_id}"
    (await member.call("DELETE", path)).refused(404, "not_found")
    assert (await viewer.get("/ping")).status == 200
    assert (await admin.call("DELETE", path)).status == 200
    (await viewer.get("/ping")).refused(401, "bad_authtoken")


async def test_a_revoked_session_ends_on_every_replica(api_client: Any) -> None:
    """Another server accepts a cached session for as long as it accepts a cached token."""
    if api_client.database.startswith("sqlite"):
        # Only one server at a time can open the file, and it reads everything from there.
        browser = await signed_in(api_client)
        await api_client.call("DELETE", f"/sessions/{browser.session_id}")
        (await browser.get("/ping")).refused(401, "bad_authtoken")
        return
    async with open_api_client(api_client.database) as replica:
        browser = await signed_in(api_client)
        there = dataclasses.replace(browser, api_client=replica)
        replica.clock.stop()
        assert (await there.get("/ping")).status == 200

        await api_client.call("DELETE", f"/sessions/{browser.session_id}")

        assert (await there.get("/ping")).status == 200
        # This needs the session itself, which no longer exists.
        (await there.get("/session")).refused(401, "bad_authtoken")
        replica.clock.leap(seconds=10)
        (await there.get("/ping")).refused(401, "bad_authtoken")


async def test_signing_out_of_a_session_that_ended_elsewhere(api_client: Any) -> None:
    """Signing out twice at once, even on two servers, is a success and a 401."""
    async with contextlib.AsyncExitStack() as stack:
        other = api_client
        if not api_client.database.startswith("sqlite"):
            other = await stack.enter_async_context(open_api_client(api_client.database))
        browser = await signed_in(api_client)
        there = dataclasses.replace(browser, api_client=other)
        assert [(await one.get("/ping")).status for one in (browser, there)] == [200, 200]

        answers = await asyncio.gather(
            *(one.call("DELETE", "/session") for one in (browser, there))
        )

        assert sorted(one.status for one in answers) == [200, 401]


async def test_a_role_counts_at_once(api_client: Any) -> None:
    """A changed role applies from the next request, and a removed person loses access."""
    member = await signed_in(api_client, "member")
    run = await api_client.run()
    terminate = f"/agent_instance/{run['id']}/terminate"
    path = f"/admin_user/{member.person_id}"

    changed = await api_client.call("PUT", path, {"details": {"role": "viewer"}})

    assert changed.details["role"] == "viewer"
    (await member.post(terminate, {})).refused(403, "not_permitted")
    assert (await api_client.get("/admin_user", {"role": "viewer"})).summaries == [changed.details]
    assert (await api_client.call("DELETE", path)).details["id"] == member.person_id
    (await member.get("/ping")).refused(401, "bad_authtoken")
    assert (await api_client.get("/sessions")).summaries == []
    (await api_client.call("DELETE", path)).refused(404, "not_found")


async def test_admins_cannot_lock_themselves_out(api_client: Any) -> None:
    """Admins can neither change their own role nor remove themselves; attempts are audited."""
    admin, other = await signed_in(api_client, "admin"), await signed_in(api_client, "member")
    path, body = f"/admin_user/{admin.person_id}", {"details": {"role": "viewer"}}

    (await admin.call("PUT", path, body)).refused(409, "invalid_action")
    (await admin.call("DELETE", path)).refused(409, "invalid_action")

    assert (await admin.call("DELETE", f"/admin_user/{other.person_id}")).status == 200
    log = await api_client.rows("SELECT actor, action FROM audit_entry ORDER BY at DESC")
    assert log[0] == (admin.person_id, "admin_users.delete")


@pytest.mark.parametrize("move", ["suspend", "revoke"])
async def test_a_session_ends_with_its_token(api_client: Any, move: str) -> None:
    """A session made from a token ends when the token stops working."""
    text, token = await api_client.add_token()
    browser = Browser(api_client, cookie_of(await sign_in(api_client, token=text)))

    assert (await api_client.post(f"/api_token/{token.id}/{move}")).status == 200

    (await browser.get("/ping")).refused(401, "bad_authtoken")
    (await sign_in(api_client, token=text)).refused(401, "bad_credentials")
    assert len(await api_client.rows("SELECT id FROM session")) == (move == "suspend")


async def test_sessions_of_one_owner_are_bounded(api_client: Any) -> None:
    """The hundred and first session of an owner ends the least recently used one."""
    first = Browser(api_client, cookie_of(await sign_in(api_client, token=TOKEN)))
    for _ in range(100):
        assert (await sign_in(api_client, token=TOKEN)).status == 200

    assert len(await api_client.rows("SELECT id FROM session")) == 100
    api_client.clock.leap(seconds=11)
    (await first.get("/ping")).refused(401, "bad_authtoken")


async def test_two_session_cookies_are_refused(api_client: Any) -> None:
    """Two different session cookies are refused, because another site may have set one."""
    browser = await signed_in(api_client)
    browser.cookie += "; prefactor_session=another"

    (await browser.get("/ping")).refused(400, "bad_request")


class TestBehindAProxy:
    """A server with a public address, and a proxy in front of it that it trusts."""

    @pytest.fixture
    def limits(self, limits: Limits) -> Limits:
        """The usual limits, with both settings."""
        return dataclasses.replace(
            limits,
            public_url="https://runs.example.org/prefactor/",
            trusted_proxies=TrustedProxies.parse("127.0.0.0/8"),
        )

    async def test_the_cookie_is_for_tls_and_this_host_alone(self, api_client: Any) -> None:
        """Behind TLS the cookie is Secure and bound to the host, and no other name is accepted."""
        answer = await sign_in(api_client, token=TOKEN)
        browser = Browser(api_client, cookie_of(answer), name="__Host-prefactor_session")

        assert answer.headers["Set-Cookie"].startswith("__Host-prefactor_session=")
        assert answer.headers["Set-Cookie"].endswith("; Secure")
        assert (await browser.get("/ping")).status == 200
        browser.name = "prefactor_session"
        (await browser.get("/ping")).refused(401, "not_authenticated")

    async def test_writes_come_from_the_public_address(self, api_client: Any) -> None:
        """The public address is the only accepted origin, whatever the Host header says."""
        browser = await signed_in(api_client, "admin")
        browser.name = "__Host-prefactor_session"
        body = {"details": {"name": "Staging"}}
        for origin, status in (
            (api_client.url, 403),
            ("http://runs.example.org", 403),
            ("https://runs.example.org.evil.example", 403),
            ("https://runs.example.org:443", 200),
        ):
            browser.headers = {"X-Prefactor-Request": "1", "Origin": origin}
            assert (await browser.post("/environment", body)).status == status, origin

    async def test_guessing_is_limited_for_each_address(self, api_client: Any) -> None:
        """Fifty wrong passwords from one client address block only that address."""
        for number in range(50):
            headers = {"X-Forwarded-For": f"192.0.2.7, 2001:db8::{number:x}"}
            proof = {"email": f"{number}@x", "password": "guess"}
            assert (await sign_in(api_client, headers, **proof)).status == 401

        blocked = await sign_in(api_client, headers, email="one@more", password="guess")
        elsewhere = {"X-Forwarded-For": "2001:db8::1, 192.0.2.7"}
        other = await sign_in(api_client, elsewhere, email="one@more", password="guess")

        blocked.refused(429, "unknown")
        assert other.status == 401
