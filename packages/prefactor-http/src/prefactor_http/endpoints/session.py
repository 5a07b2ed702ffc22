"""Sessions: who is calling, signing in and out, passwords, and who has signed in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prefactor_http._transport.encoding import encode_body, path_segment
from prefactor_http.endpoints._arguments import texts
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.session import (
    Caller,
    OpenIdStart,
    Session,
    SignedIn,
    SignInMethods,
)
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prefactor_http._options import RequestOptions

CURRENT = "/api/v1/session"
PATH = "/api/v1/sessions"


class SessionClient(Endpoint):
    """`client.sessions`. A program that has a token needs no session: they are for people."""

    async def create(
        self,
        *,
        token: str | None = None,
        code: str | None = None,
        new_password: str | None = None,
        email: str | None = None,
        password: str | None = None,
        account_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> SignedIn:
        """Sign in. Give one proof of who somebody is; `client.with_session` acts as that person.

        Args:
            token: An API token.
            code: The code of a one-time link.
            new_password: With a code, the password that the person has from now on.
            email: The person's address, with `password`.
            password: The person's password.
            account_id: The account, if the address has a password in several.
            options: Limits and headers of this call only.

        Raises:
            PrefactorAuthError: The proof does not hold.
            PrefactorRateLimitError: There were too many attempts.
        """
        proof = texts(
            token=token,
            code=code,
            new_password=new_password,
            email=email,
            password=password,
            account_id=account_id,
        )
        details = await self._post_for_cookie(CURRENT, proof, options)
        return to_details({"details": details}, SignedIn, "sessions.create")

    async def end(self, *, options: RequestOptions | None = None) -> None:
        """Sign out: end the session that the client was given with `client.with_session`."""
        await self._http.request("DELETE", CURRENT, options=options)

    async def change_password(
        self,
        *,
        current_password: str,
        new_password: str,
        options: RequestOptions | None = None,
    ) -> Caller:
        """Give the person of the session another password; all their other sessions end.

        Raises:
            PrefactorAuthError: The current password is another one.
            PrefactorValidationError: The new password is too short or too common.
        """
        body = texts(current_password=current_password, new_password=new_password)
        reply = await self._http.request(
            "POST", f"{CURRENT}/password", json_data=body, options=options
        )
        return to_details(reply, Caller, "sessions.change_password")

    async def methods(self, *, options: RequestOptions | None = None) -> SignInMethods:
        """Tell the ways to sign in that the server offers."""
        reply = await self._read(f"{CURRENT}/methods", None, options)
        return to_details(reply, SignInMethods, "sessions.methods")

    async def start_openid(
        self,
        *,
        return_to: str | None = None,
        connect: bool = False,
        options: RequestOptions | None = None,
    ) -> OpenIdStart:
        """Begin to sign in with the provider, for an application that has the person's browser.

        Args:
            return_to: The page that the browser comes back to, `#/` and more.
            connect: Whether a person who has signed in adds the provider to their account.
            options: Limits and headers of this call only.
        """
        body = {**texts(return_to=return_to), "connect": connect}
        details = await self._post_for_cookie(f"{CURRENT}/openid", body, options)
        return to_details({"details": details}, OpenIdStart, "sessions.start_openid")

    async def _post_for_cookie(
        self, path: str, body: dict[str, Any], options: RequestOptions | None
    ) -> dict[str, Any]:
        """Return the details of an answer, with the cookie that it sets among them."""
        reply = await self._http.request_bytes(
            "POST", path, encode_body(body).encoded, options=options
        )
        cookie, _, _ = reply.headers.get("Set-Cookie", "").partition(";")
        details: dict[str, Any] = json.loads(reply.body).get("details", {})
        return {**details, "cookie": cookie}

    async def current(self, *, options: RequestOptions | None = None) -> Caller:
        """Who is calling: the account, the token, the role and its rights."""
        return to_details(await self._read(CURRENT, None, options), Caller, "sessions.current")

    async def list(
        self,
        *,
        admin_user_id: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[Session]:
        """One page of sessions.

        Args:
            admin_user_id: Only sessions of this person.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the page before.
            options: Limits and headers of this call only.
        """
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, {"admin_user_id": admin_user_id} | paging, Session, options)

    def iterate(
        self,
        *,
        admin_user_id: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[Session]:
        """All sessions that `list` would show, page by page."""
        return self._walk(
            PATH,
            {"admin_user_id": admin_user_id},
            Session,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def revoke(
        self,
        session_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> None:
        """End a session.

        Raises:
            PrefactorNotFoundError: There is no such session.
        """
        path = f"{PATH}/{path_segment('session_id', session_id)}"
        await self._delete(path, idempotency_key, options)
