"""People and their sessions: the current caller, changed roles, and sign-out."""

from __future__ import annotations

import traceback

import pytest

from prefactor_http import PrefactorHttpClient, PrefactorHttpError, PrefactorRequestError
from prefactor_http.testing import Drop, Reply, ScriptedServer


async def test_sessions(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The caller is identified; sessions are listed by person, paged, and revoked."""
    caller = {"type": "session", "id": None, "role": "admin", "rights": ["read", "operate"]}
    row = {"type": "session", "id": "s1", "last_used_at": "2026-01-01T00:00:00Z"}
    page = {"summaries": [row], "pagination": None, "sorting": None}
    gone = {"type": "session", "id": "s1"}
    server.script(*(Reply(200, one) for one in ({"details": caller}, page, page)))
    server.script(Reply(200, {"details": gone}))

    me = await client.sessions.current()
    listed = await client.sessions.list(admin_user_id="u", page_size=1)
    walked = [one.id async for one in client.sessions.iterate(admin_user_id="u")]
    await client.sessions.revoke("s/1", "key-1")

    assert (me.id, me.role, me.rights) == (None, "admin", ("read", "operate"))
    assert [one.last_used_at is not None for one in listed] == [True]
    assert walked == ["s1"]
    targets = [one.target.partition("?")[0] for one in server.requests]
    assert targets == ["/api/v1/session", *["/api/v1/sessions"] * 2, "/api/v1/sessions/s%2F1"]
    assert "admin_user_id=u" in server.requests[1].target


async def test_people(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A role is changed and a person removed."""
    person = {"type": "admin_user", "id": "u1", "role": "viewer"}
    server.script(Reply(200, {"details": person}), Reply(200, {"details": person}))

    changed = await client.admin_users.update("u1", role="viewer")
    await client.admin_users.delete("u1")

    assert changed.role == "viewer"
    put, delete = server.requests
    assert (put.method, put.json["details"]) == ("PUT", {"role": "viewer"})
    assert (delete.method, delete.target) == ("DELETE", "/api/v1/admin_user/u1")


async def test_a_person_signs_in_and_out(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """After sign-in the session cookie is sent in place of the token."""
    person = {"type": "session", "id": "s1", "role": "member", "email": "ada@example.com"}
    cookie = "prefactor_session=secret; Path=/; HttpOnly; SameSite=Strict"
    server.script(Reply(200, {"details": person}, {"Set-Cookie": cookie}))
    server.script(*[Reply(200, {"details": person})] * 2, Reply(200, {"details": {"id": "s1"}}))

    signed_in = await client.sessions.create(email="ada@example.com", password="horse battery")
    as_ada = client.with_session(signed_in.cookie)
    me = await as_ada.with_options(max_retries=0).sessions.current()
    await as_ada.sessions.change_password(current_password="horse battery", new_password="staple")
    await as_ada.sessions.end()

    assert (signed_in.role, signed_in.cookie) == ("member", "prefactor_session=secret")
    assert "secret" not in repr(signed_in)
    assert me.email == "ada@example.com"
    create, *others = server.requests
    assert create.json == {"email": "ada@example.com", "password": "horse battery"}
    assert [one.method for one in others] == ["GET", "POST", "DELETE"]
    for one in others:
        assert one.headers["cookie"] == "prefactor_session=secret"
        assert one.headers["x-prefactor-request"] == "1"
        assert "authorization" not in one.headers
    with pytest.raises(PrefactorRequestError, match="cookie"):
        client.with_session("a\r\nb")


async def test_a_session_is_never_shown(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """No error contains the session cookie or the token, even if the server echoes them."""
    cookie = 'prefactor_session="cookie-5f0c1a9b2d"; other=value-77aa88bb'
    as_ada = client.with_session(cookie).with_options(max_retries=0)
    secrets = ["cookie-5f0c1a9b2d", "value-77aa88bb", client.config.api_token]
    echo = f"you sent {cookie} {secrets[2]}"
    body = {"code": "invalid", "message": echo, "errors": {secrets[0]: [secrets[1]]}}
    server.script(*[Reply(422, body, {"X-Request-Id": secrets[0]})] * 3)
    server.script(Reply(200, echo), Drop(), Drop())  # an idle connection is replaced once

    for call in (
        as_ada.sessions.current(),
        anext(as_ada.events()),
        anext(as_ada.agent_instances.export("r")),
        as_ada.request("GET", "/api/v1/ping"),
        as_ada.request("GET", f"/api/v1/{secrets[0]}"),
    ):
        with pytest.raises(PrefactorHttpError) as info:
            await call
        texts = [str(info.value), repr(vars(info.value))]
        texts += traceback.format_exception(info.value)
        assert "[redacted]" in "".join(texts)
        assert [text for text in texts for secret in secrets if secret in text] == []


async def test_ways_to_sign_in(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The server lists the ways; starting one returns the provider's address and a cookie."""
    offered = {"password": True, "token": True, "openid": {"name": "Example"}}
    begun = {"authorization_url": "https://idp.example.com/authorize?state=1"}
    server.script(Reply(200, {"details": offered}))
    server.script(Reply(200, {"details": begun}, {"Set-Cookie": "prefactor_openid=x; Path=/"}))

    methods = await client.sessions.methods()
    start = await client.sessions.start_openid(return_to="#/runs")

    assert methods.openid is not None
    assert (methods.password, methods.openid.name) == (True, "Example")
    assert start.authorization_url.startswith("https://idp.example.com/")
    assert start.cookie == "prefactor_openid=x"
    assert server.requests[1].json == {"return_to": "#/runs", "connect": False}


async def test_invitations(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """People are invited; invitations are listed, read, revoked, looked up and accepted."""
    row = {"type": "admin_user_invite", "id": "i1", "status": "pending", "token": "once"}
    page = {"summaries": [row], "pagination": None, "sorting": None}
    told = {"type": "invitation", "email": "ada@example.com", "account_name": "First"}
    person = {"type": "admin_user", "id": "u1", "role": "viewer"}
    answers = [{"details": row}, page, page, {"details": row}, {"details": row}]
    server.script(*(Reply(200, one) for one in answers))
    server.script(Reply(200, {"details": told}), Reply(200, {"details": person}))

    invites = client.admin_user_invites
    made = await invites.create(email="ada@example.com", role="viewer")
    (listed,) = await invites.list(status="pending", page_size=1)
    walked = [one.id async for one in invites.iterate(email="ada@example.com")]
    read, revoked = await invites.get("i/1"), await invites.revoke("i1")
    looked_up = await invites.look_up("once")
    accepted = await invites.accept("once", password="horse battery")

    assert made.token == "once"
    assert "once" not in repr(made)
    assert (listed, walked, revoked) == (read, ["i1"], made)
    assert (looked_up.account_name, accepted.id) == ("First", "u1")
    path = "/api/v1/admin_user_invite"
    assert [one.target.partition("?")[0] for one in server.requests] == [
        *[path] * 3,
        f"{path}/i%2F1",
        f"{path}/i1/revoke",
        f"{path}/look_up",
        f"{path}/accept",
    ]
    assert server.requests[0].json["details"] == {"email": "ada@example.com", "role": "viewer"}
    assert server.requests[6].json == {"token": "once", "password": "horse battery"}
