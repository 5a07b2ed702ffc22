"""Signing in with a password or a link, and the limits on guessing."""

import asyncio
from typing import Any

import pytest
from people import (
    EMAIL,
    PASSWORD,
    Browser,
    anonymous,
    cookie_of,
    invited,
    link_for,
    sign_in,
    signed_in,
)


async def test_people_sign_in_with_their_password(api_client: Any) -> None:
    """Accepting an invitation sets the password; it signs in with the e-mail in any case."""
    person = await invited(api_client)
    answer = await sign_in(api_client, email=EMAIL.upper(), password=PASSWORD)
    browser = Browser(api_client, cookie_of(answer))

    me = answer.details
    assert (person["role"], person["has_password"]) == ("member", True)
    assert (me["email"], me["role"], me["rights"]) == (EMAIL, "member", ["read", "operate"])
    assert (me["admin_user_id"], me["method"]) == (person["id"], "password")
    assert (await api_client.get(f"/admin_user/{person['id']}")).details["last_signed_in_at"]
    refused = await browser.post("/environment", {"details": {"name": "Staging"}})
    assert "administer" in refused.refused(403, "not_permitted")["message"]


async def test_failed_sign_ins_look_alike(api_client: Any) -> None:
    """An unknown e-mail, a person without a password and a wrong password get the same answer."""
    await invited(api_client)
    await signed_in(api_client, email="other@example.org")

    told = set()
    for email in (EMAIL, "other@example.org", "nobody@example.org"):
        refused = await sign_in(api_client, email=email, password="wrong wrong wrong")
        body = refused.refused(401, "bad_credentials")
        told.add((refused.status, body["message"], "Set-Cookie" in refused.headers))

    assert len(told) == 1


async def test_guessing_is_limited_for_each_e_mail(api_client: Any) -> None:
    """After ten wrong passwords even the right one waits, for known and unknown e-mails."""
    await invited(api_client)
    api_client.clock.stop()
    for email in (EMAIL, "nobody@example.org"):
        guesses = [sign_in(api_client, email=email, password="guess") for _ in range(10)]
        assert [one.status for one in await asyncio.gather(*guesses)] == [401] * 10
        refused = await sign_in(api_client, email=email.upper(), password=PASSWORD)
        refused.refused(429, "unknown")
        assert int(refused.headers["Retry-After"]) == 90

    api_client.clock.leap(seconds=90)
    assert (await sign_in(api_client, email=EMAIL, password=PASSWORD)).status == 200
    assert (await sign_in(api_client, email=EMAIL, password=PASSWORD)).status == 200


@pytest.mark.parametrize(
    "password",
    ["short", "elevenchars", "passwordpassword", "P@ssw0rd1234!", "qwertyuiopas", "aaaaaaaaaaaaa",
     "012345678901", EMAIL, "changeme2026", "a" * 201, "long enough\u0000 but"],
)  # fmt: skip
async def test_a_guessable_password_is_refused(api_client: Any, password: str) -> None:
    """A short or common password is refused by name, and the invitation remains unused."""
    made = (await api_client.post("/admin_user_invite", {"details": {"email": EMAIL}})).details
    body = {"token": made["token"], "password": password}

    refused = await anonymous(api_client, "POST", "/admin_user_invite/accept", body)

    assert list(refused.refused(422, "validation_errors")["errors"]) == ["password"]
    body["password"] = "Pässwörter sind lang"
    assert (await anonymous(api_client, "POST", "/admin_user_invite/accept", body)).status == 200
    # The same letters in another Unicode normalisation.
    given = "Pa\u0308sswo\u0308rter sind lang"
    assert (await sign_in(api_client, email=EMAIL, password=given)).status == 200


async def test_a_link_signs_in_once(api_client: Any) -> None:
    """Of several uses of one link at once, one succeeds; after ten minutes, none does."""
    person = await signed_in(api_client, "viewer")
    code = await link_for(api_client, person.person_id)

    answers = await asyncio.gather(*(sign_in(api_client, code=code) for _ in range(3)))
    late = await link_for(api_client, person.person_id)
    api_client.clock.leap(seconds=600)

    assert sorted(one.status for one in answers) == [200, 401, 401]
    (signed,) = [one for one in answers if one.status == 200]
    assert (signed.details["method"], signed.details["role"]) == ("link", "viewer")
    (await sign_in(api_client, code=late)).refused(401, "bad_credentials")
    (await sign_in(api_client, code=code[:-1] + "x")).refused(401, "bad_credentials")


async def test_a_link_sets_a_lost_password(api_client: Any) -> None:
    """The new password works, the old one does not, and all earlier sessions end at once."""
    person = await invited(api_client)
    before = Browser(
        api_client, cookie_of(await sign_in(api_client, email=EMAIL, password=PASSWORD))
    )
    assert (await before.get("/ping")).status == 200
    code = await link_for(api_client, person["id"])

    common = await sign_in(api_client, code=code, new_password="password1234")
    answer = await sign_in(api_client, code=code, new_password="a longer one than before")

    common.refused(422, "validation_errors")
    after = Browser(api_client, cookie_of(answer))
    assert (await after.get("/session")).status == 200
    (await before.get("/ping")).refused(401, "bad_authtoken")
    (await sign_in(api_client, email=EMAIL, password=PASSWORD)).refused(401, "bad_credentials")
    again = await sign_in(api_client, email=EMAIL, password="a longer one than before")
    assert again.status == 200


async def test_a_person_changes_their_password(api_client: Any) -> None:
    """A change needs the old password, ends all other sessions, and keeps the current one."""
    await invited(api_client)
    here, there = [
        Browser(api_client, cookie_of(await sign_in(api_client, email=EMAIL, password=PASSWORD)))
        for _ in range(2)
    ]
    new = {"new_password": "a longer one than before"}

    wrong = await here.post("/session/password", {"current_password": "guess", **new})
    done = await here.post("/session/password", {"current_password": PASSWORD, **new})

    wrong.refused(401, "bad_credentials")
    assert done.details["email"] == EMAIL
    assert (await here.get("/session")).status == 200
    (await there.get("/session")).refused(401, "bad_authtoken")
    both = {"current_password": PASSWORD, **new}
    (await api_client.post("/session/password", both)).refused(409, "invalid_action")
