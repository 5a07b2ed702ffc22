"""People who use the pages: invited over the API, and signed in on request."""

from itertools import count

from playwright.async_api import APIRequestContext, BrowserContext

from live_server import LiveServer

PASSWORD = "four words and a number 7"
_numbers = count(1)


async def invitation(request: APIRequestContext, server: LiveServer, role: str) -> tuple[str, str]:
    """Invite a new person; return their address, and the token of the invitation."""
    email = f"person-{next(_numbers)}@example.org"
    answer = await request.post(
        f"{server.url}/api/v1/admin_user_invite",
        data={"details": {"email": email, "role": role}},
        headers={"Authorization": f"Bearer {server.token}"},
    )
    assert answer.ok, await answer.text()
    return email, (await answer.json())["details"]["token"]


async def sign_in_as(context: BrowserContext, server: LiveServer, role: str) -> str:
    """Sign a new person with a role in to a browser; return their address."""
    email, token = await invitation(context.request, server, role)
    for path, sent in (
        ("admin_user_invite/accept", {"token": token, "password": PASSWORD}),
        ("session", {"email": email, "password": PASSWORD}),
    ):
        answer = await context.request.post(
            f"{server.url}/api/v1/{path}",
            data=sent,
            headers={"X-Prefactor-Request": "1", "Origin": server.url},
        )
        assert answer.ok, await answer.text()
    return email
