"""People and their sessions: who is calling, changed roles, and what ends."""

from __future__ import annotations

from prefactor_http import PrefactorHttpClient
from prefactor_http.testing import Reply, ScriptedServer


async def test_sessions(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The caller is told who it is; sessions are listed by person, walked, and revoked."""
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
