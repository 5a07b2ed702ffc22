"""Sign-in with OpenID Connect: who can sign in, as which person, and what is rejected."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_client import ApiClient, Clock
from openid_provider import CLIENT_ID, new_key, running_provider
from openid_sign_in import COOKIE, SESSION, SignIn, open_openid_server
from people import EMAIL, PASSWORD, anonymous, put, session_rows, signed_in

once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Marks tests that cannot depend on the database."""


@pytest.fixture
def rules() -> str:
    """The setting ``openid_roles``; a test may override it."""
    return ""


@pytest.fixture
async def browser(database_url: str, rules: str) -> AsyncIterator[SignIn]:
    """A browser, and a server that knows a provider."""
    clock = Clock()
    async with (
        running_provider(clock) as provider,
        open_openid_server(database_url, provider, rules, clock) as api_client,
    ):
        yield SignIn(api_client, provider)


async def _invite(api_client: ApiClient, role: str = "member", email: str = EMAIL) -> str:
    made = await api_client.post("/admin_user_invite", {"details": {"email": email, "role": role}})
    token: str = made.details["token"]
    return token


async def _people(api_client: ApiClient) -> list[tuple[str, str, bool]]:
    people = (await api_client.get("/admin_user")).summaries
    return [(one["email"], one["role"], one["has_openid"]) for one in people]


async def test_an_invited_person_signs_in(browser: SignIn) -> None:
    """The invited e-mail becomes a person with its role, and then the subject is enough."""
    await _invite(browser.api_client)
    methods = (await anonymous(browser.api_client, "GET", "/session/methods")).details

    page = await browser.through(return_to="#/run/some-id?span=7")

    assert methods["openid"] == {"name": "Example"}
    assert page == "#/run/some-id?span=7"
    me = (await browser.me()).details
    assert (me["email"], me["role"], me["method"]) == (EMAIL, "member", "openid")
    assert list(browser.cookies) == [SESSION]
    browser.provider.email = "married@example.org"
    browser.cookies.clear()
    assert await browser.through(return_to="#/sign-in") == "#/"
    assert (await browser.me()).details["admin_user_id"] == me["admin_user_id"]
    assert await _people(browser.api_client) == [(EMAIL, "member", True)]
    (invite,) = (await browser.api_client.get("/admin_user_invite")).summaries
    assert invite["status"] == "used"


async def test_uninvited_people_cannot_sign_in(browser: SignIn) -> None:
    """A first sign-in needs a valid invitation."""
    assert await browser.through() == "#/?openid_error=not_invited"
    made = (
        await browser.api_client.post("/admin_user_invite", {"details": {"email": EMAIL}})
    ).details
    await browser.api_client.post(f"/admin_user_invite/{made['id']}/revoke")
    assert await browser.through() == "#/?openid_error=not_invited"
    await _invite(browser.api_client)
    browser.api_client.clock.leap(seconds=8 * 24 * 3600)
    assert await browser.through(return_to="#/runs?a=b") == "#/runs?a=b&openid_error=not_invited"
    assert await _people(browser.api_client) == []
    assert SESSION not in browser.cookies


@once
async def test_an_email_must_be_verified(browser: SignIn) -> None:
    """An e-mail that the provider does not vouch for finds no invitation."""
    await _invite(browser.api_client)
    for claims in (
        {"email_verified": False},
        {"email_verified": None},
        {"email": None},
        {"email": "no address"},
    ):
        browser.provider.claims = claims
        assert await browser.through() == "#/?openid_error=email_not_verified", claims


@once
async def test_userinfo_completes_the_token(browser: SignIn) -> None:
    """E-mail and groups may come from userinfo, but verification applies only to its own e-mail."""
    await _invite(browser.api_client)
    browser.provider.claims = {"email_verified": None}
    browser.provider.userinfo = {"email_verified": True}
    assert await browser.through() == "#/?openid_error=email_not_verified"
    browser.provider.userinfo = {"sub": "subject-2", "email": EMAIL, "email_verified": True}
    assert await browser.through() == "#/?openid_error=provider"

    browser.provider.userinfo = {"email": EMAIL, "email_verified": True}

    assert await browser.through() == "#/"


@pytest.mark.parametrize("rules", ["@example.org=viewer, group:staff=member, group:ops=admin"])
async def test_rules_decide_roles(browser: SignIn) -> None:
    """Anyone whom a rule admits needs no invitation; each sign-in updates their role."""
    assert await browser.through() == "#/"
    assert (await browser.me()).details["role"] == "viewer"
    browser.provider.claims = {"groups": ["staff", "ops"]}
    assert await browser.through() == "#/"
    assert (await browser.me()).details["role"] == "admin"

    browser.provider.claims = {"groups": ["others"]}
    browser.provider.email = "name@example.com"

    assert await browser.through() == "#/?openid_error=not_allowed"
    actions = [one["action"] for one in (await browser.api_client.get("/audit")).summaries]
    assert {"admin_users.create", "admin_users.update", "sessions.create"} <= set(actions)


async def test_a_provider_account_cannot_take_over_a_person(browser: SignIn) -> None:
    """A person with a password links while signed in, and a linked subject cannot be replaced."""
    token = await _invite(browser.api_client)
    accepted = {"token": token, "password": PASSWORD}
    await anonymous(browser.api_client, "POST", "/admin_user_invite/accept", accepted)
    assert await browser.through() == "#/?openid_error=has_password"
    refused = await browser.start(connect=True)
    refused.refused(401, "not_authenticated")

    proof = {"email": EMAIL, "password": PASSWORD}
    browser._kept(await anonymous(browser.api_client, "POST", "/session", proof))
    browser.provider.email = "other@example.com"
    assert await browser.through(connect=True, return_to="#/account") == "#/account"
    logged = await browser.api_client.get("/audit", {"action": "admin_users.connect"})
    (connected,) = logged.summaries
    assert connected["detail"].startswith(f"{EMAIL}: http")
    browser.cookies.clear()
    assert await browser.through() == "#/"
    assert (await browser.me()).details["email"] == EMAIL

    # The address now belongs to another person.
    browser.provider.subject, browser.provider.email = "subject-2", EMAIL
    assert await browser.through() == "#/?openid_error=other_identity"


async def test_an_identity_belongs_to_one_person(browser: SignIn) -> None:
    """A subject that is already linked cannot be linked to another person."""
    await _invite(browser.api_client)
    await browser.through()
    other = await signed_in(browser.api_client)
    browser.cookies = {SESSION: other.cookie}

    page = await browser.through(connect=True, return_to="#/account?tab=me")

    assert page == "#/account?tab=me&openid_error=other_identity"


async def test_connecting_ends_with_its_session(browser: SignIn) -> None:
    """An attempt to connect a provider is void once its session was revoked or has expired."""
    api_client = browser.api_client
    (account,) = await api_client.storage.accounts()
    for end in ("revoked", "expired"):
        now = api_client.clock()
        person, session, cookie = session_rows(account.id, "member", now)
        await put(api_client, person, session._replace(expires_at=now + 60_000_000))
        browser.cookies = {SESSION: cookie}
        answer = await browser.at_provider(await browser.start(connect=True, return_to="#/me"))
        if end == "revoked":
            await api_client.call("DELETE", f"/sessions/{session.id}")
        else:
            api_client.clock.leap(seconds=60)

        assert await browser.come_back(answer) == "#/me?openid_error=expired"
        assert list(browser.cookies) == [SESSION]


@once
async def test_an_attempt_belongs_to_its_browser(browser: SignIn) -> None:
    """A provider's answer works only in the same browser and attempt, in time, and once."""
    await _invite(browser.api_client)
    answer = await browser.at_provider(await browser.start())
    elsewhere = SignIn(browser.api_client, browser.provider)
    assert await elsewhere.come_back(answer) == "#/?openid_error=expired"
    await elsewhere.start()
    assert await elsewhere.come_back(answer) == "#/?openid_error=expired"
    kept = dict(browser.cookies)
    browser.cookies[COOKIE] = f"x{kept[COOKIE]}"
    assert await browser.come_back(answer) == "#/?openid_error=expired"

    browser.cookies = dict(kept)
    assert await browser.come_back(answer) == "#/"
    assert await browser.come_back(answer) == "#/?openid_error=expired"
    browser.cookies = dict(kept)
    assert await browser.come_back(answer) == "#/?openid_error=provider"

    answer = await browser.at_provider(await browser.start())
    browser.api_client.clock.leap(seconds=601)
    assert await browser.come_back(answer) == "#/?openid_error=expired"


@once
async def test_an_id_token_is_for_this_sign_in(browser: SignIn) -> None:
    """An ID token of another issuer, client, attempt or time is refused."""
    await _invite(browser.api_client)
    wrong: list[dict[str, Any]] = [
        {"aud": "another-client"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "http://127.0.0.1:1"},
        {"nonce": "of-another-attempt"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"iat": 1_900_000_000},
        {"sub": None},
        {"sub": "s" * 256},
    ]
    for claims in wrong:
        browser.provider.claims = claims
        assert await browser.through() == "#/?openid_error=provider", claims
    assert await _people(browser.api_client) == []


@once
async def test_clocks_may_differ_by_a_minute(browser: SignIn) -> None:
    """A provider whose clock is a minute ahead or behind is accepted."""
    await _invite(browser.api_client)
    for ahead in (60, -60):
        seconds = browser.api_client.clock() // 1_000_000 + ahead
        browser.provider.claims = {"iat": seconds, "nbf": seconds, "exp": seconds + 1}
        assert await browser.through() == "#/"


@once
async def test_keys_are_replaced(browser: SignIn) -> None:
    """An unknown key is fetched when a token names it, and refused if the provider lacks it."""
    await _invite(browser.api_client)
    assert await browser.through() == "#/"
    browser.provider.signs_with = new_key()
    assert await browser.through() == "#/?openid_error=provider"
    assert await browser.through() == "#/?openid_error=provider"
    assert browser.provider.asked.count("/keys") == 1

    browser.provider.key, browser.provider.signs_with = browser.provider.signs_with, None
    browser.api_client.clock.leap(seconds=31)

    assert await browser.through() == "#/"
    assert browser.provider.asked.count("/.well-known/openid-configuration") == 1


@once
async def test_a_provider_that_is_down_is_named(browser: SignIn) -> None:
    """Signing in answers 503 with what to do, and works again when the provider does."""
    browser.provider.is_down = True
    body = (await browser.start()).refused(503, "unexpected")
    assert "Example cannot be reached" in body["message"]
    await browser.start()
    assert browser.provider.asked.count("/.well-known/openid-configuration") == 1

    browser.provider.is_down = False
    browser.api_client.clock.leap(seconds=6)

    answer = await browser.at_provider(await browser.start())
    browser.provider.is_down = True
    assert await browser.come_back(answer) == "#/?openid_error=provider"


@once
async def test_an_answer_of_another_provider_is_refused(browser: SignIn) -> None:
    """An answer that names another issuer, or lacks a required issuer, is refused."""
    await _invite(browser.api_client)
    browser.provider.answer = {"iss": "https://attacker.example"}
    assert await browser.through() == "#/?openid_error=provider"
    browser.provider.answer = {"iss": browser.provider.issuer}
    assert await browser.through() == "#/"
    browser.api_client.clock.leap(seconds=3601)
    browser.provider.metadata = {"authorization_response_iss_parameter_supported": True}
    browser.provider.answer = {}
    assert await browser.through() == "#/?openid_error=provider"


@once
async def test_a_discovery_document_is_about_its_issuer(browser: SignIn) -> None:
    """A document of another issuer, or one that would send secrets in the clear, is not used."""
    for metadata in ({"issuer": "https://other.example"}, {"token_endpoint": "http://a.example/t"}):
        browser.provider.metadata = metadata
        browser.api_client.clock.leap(seconds=6)
        (await browser.start()).refused(503, "unexpected")


@once
async def test_a_person_may_cancel(browser: SignIn) -> None:
    """Cancelling at the provider returns to the page with its own error."""
    answer = await browser.at_provider(await browser.start())
    del answer["code"]
    assert await browser.come_back(answer | {"error": "access_denied"}) == (
        "#/?openid_error=cancelled"
    )


@once
async def test_only_local_pages_are_return_addresses(browser: SignIn) -> None:
    """A return address must be a fragment of this site's address, starting with #."""
    for page in ["https://evil.example", "//evil.example", "#", "#/a b", "#/é"]:
        (await browser.start(return_to=page)).refused(422, "validation_errors")


async def test_another_server_finishes_an_attempt(database_url: str) -> None:
    """Nothing about an attempt is in the memory of the server that it was started on."""
    clock = Clock()
    async with running_provider(clock) as provider:
        async with open_openid_server(
            database_url, provider, "@example.org=viewer", clock
        ) as api_client:
            browser = SignIn(api_client, provider)
            answer = await browser.at_provider(await browser.start())
        async with open_openid_server(
            database_url, provider, "@example.org=viewer", clock
        ) as api_client:
            browser.api_client = api_client
            assert await browser.come_back(answer) == "#/"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_servers_create_one_person(database_url: str) -> None:
    """A new person who signs in on two replicas at once becomes one person."""
    clock, rules = Clock(), "@example.org=viewer"
    async with (
        running_provider(clock) as provider,
        open_openid_server(database_url, provider, rules, clock) as one,
        open_openid_server(database_url, provider, rules, clock) as other,
    ):
        browsers = [SignIn(api_client, provider) for api_client in (one, other)]
        answers = [await browser.at_provider(await browser.start()) for browser in browsers]
        pages = await asyncio.gather(
            *(browser.come_back(answer) for browser, answer in zip(browsers, answers, strict=True))
        )
        assert pages == ["#/", "#/"]
        assert await _people(one) == [(EMAIL, "viewer", True)]


async def test_without_a_provider_no_sign_in_is_offered(api_client: ApiClient) -> None:
    """The list of sign-in methods omits it, and starting it is a 404."""
    methods = (await anonymous(api_client, "GET", "/session/methods")).details

    assert methods == {"type": "sign_in_methods", "password": True, "token": True, "openid": None}
    (await anonymous(api_client, "POST", "/session/openid", {})).refused(404, "not_found")
    (await anonymous(api_client, "GET", "/session/openid/callback")).refused(404, "not_found")
