"""Signed-in people: rows in the database, and calls with their cookies."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

from api_client import Answer, ApiClient

from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.domain.account import Account
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.secret_text import SecretRef, hash_secret, make_secret
from prefactor_server.domain.people.session import PREFIX, Session
from prefactor_server.domain.people.sign_in_link import PREFIX as LINK_PREFIX
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot

WRITE = {"X-Prefactor-Request": "1"}
DAY_US = 24 * 3600 * 1_000_000
EMAIL = "name@example.org"
PASSWORD = "correct horse battery"

_numbers = count(1)


class PutPeople(NamedTuple):
    """Writes new rows unchecked."""

    request: Request
    rows: tuple[Row, ...]
    operation: str = "tests.put_people"

    def needs(self, needs: Needs) -> None:
        del needs

    def decide(self, snapshot: Snapshot) -> Decision:
        del snapshot
        return Decision(Changes(inserted=self.rows), Done("", self.rows[0]))


@dataclass
class Browser:
    """A client that has a cookie and no token, and does what the pages do."""

    api_client: ApiClient
    cookie: str
    person_id: str = ""
    session_id: str = ""
    name: str = "prefactor_session"
    headers: Mapping[str, str] = field(default_factory=lambda: WRITE)

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Send one request with the cookie."""
        headers = {"Cookie": f"theme=dark; {self.name}={self.cookie}"}
        if method != "GET":
            headers |= self.headers
        return await anonymous(self.api_client, method, path, body, headers, **query)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, **query)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.call("POST", path, body)


async def anonymous(
    api_client: ApiClient,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> Answer:
    """One request without a token."""
    token, api_client.token = api_client.token, None
    try:
        return await api_client.call(method, path, body, headers=headers, **query)
    finally:
        api_client.token = token


def session_rows(
    account_id: str, role: Role, now: int, *, number: int = 0, email: str = ""
) -> tuple[AdminUser, Session, str]:
    """A person, one of their sessions, and the text of its cookie."""
    number = number or next(_numbers)
    email = email or f"{role}-{number}@example.org"
    person = AdminUser(f"person-{number}", account_id, email, now, now, role)
    ref = SecretRef(account_id, f"session-{number}")
    cookie = make_secret(PREFIX, ref, os.urandom)
    session = Session(
        ref.row_id,
        account_id,
        hash_secret(cookie),
        "password",
        person.id,
        "A browser",
        "192.0.2.1",
        now,
        now + 7 * DAY_US,
        now,
    )
    return person, session, cookie


async def put(api_client: ApiClient, *rows: Row) -> None:
    """Write new rows."""
    (account,) = await api_client.storage.accounts()
    request = Request(account.id, "test", api_client.clock(), None, b"")
    (outcome,) = await api_client.writer.submit([PutPeople(request, rows)], 0)
    assert isinstance(outcome, Done), outcome


async def in_another_account(api_client: ApiClient) -> ApiClient:
    """Return a client of a new account on the same server."""
    default = Environment("other-default", "other", "Default", True, 1, 1)
    await put(api_client, Account("other", "Other", 7, 1, 1), default)
    token, _ = await api_client.add_token(account_id="other")
    return replace(api_client, token=token)


async def signed_in(api_client: ApiClient, role: Role = "member", email: str = "") -> Browser:
    """Return a new signed-in person with a role."""
    (account,) = await api_client.storage.accounts()
    person, session, cookie = session_rows(account.id, role, api_client.clock(), email=email)
    await put(api_client, person, session)
    return Browser(api_client, cookie, person.id, session.id)


async def link_for(api_client: ApiClient, person_id: str) -> str:
    """The code of a new link for a person."""
    (account,) = await api_client.storage.accounts()
    ref = SecretRef(account.id, f"link-{next(_numbers)}")
    code = make_secret(LINK_PREFIX, ref, os.urandom)
    link = SignInLink(
        ref.row_id, account.id, person_id, None, hash_secret(code), api_client.clock(), None
    )
    await put(api_client, link)
    return code


def cookie_of(answer: Answer) -> str:
    """Return the cookie that an answer sets."""
    return answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]


async def sign_in(api_client: ApiClient, headers: Any = None, **proof: str) -> Any:
    """Return the answer to a sign-in with some credential."""
    return await anonymous(api_client, "POST", "/session", proof, headers)


async def invited(
    api_client: ApiClient, password: str | None = PASSWORD, role: str = "member"
) -> Any:
    """Return a person with the address EMAIL who accepted an invitation."""
    details = {"email": EMAIL, "role": role}
    made = (await api_client.post("/admin_user_invite", {"details": details})).details
    body = {"token": made["token"], "password": password}
    return (await anonymous(api_client, "POST", "/admin_user_invite/accept", body)).details
