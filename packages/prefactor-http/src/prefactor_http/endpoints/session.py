"""Sessions: the caller, signing in and out, and passwords."""

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
    """`client.sessions`. Sessions are for people. A program with a token needs none."""

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
        """Sign a person in with one kind of proof. Pass the cookie to `client.with_session`.

        Args:
            token: An API token.
            code: The code of a sign-in link.
            new_password: With a code, the person's new password.
            email: The person's address, with `password`.
            password: The person's password.
            account_id: The account, if the address has a password in several.
            options: Limits and headers of this call only.

        Raises:
            PrefactorAuthError: The proof is not valid.
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
        """Sign out: end the session of a client from `client.with_session`."""
        await self._http.request("DELETE", CURRENT, options=options)

    async def change_password(
        self,
        *,
        current_password: str,
        new_password: str,
        options: RequestOptions | None = None,
    ) -> Caller:
        """Change the password of the session's person, and end all their other sessions.

        Raises:
            PrefactorAuthError: The current password is wrong.
            PrefactorValidationError: The new password is too short or too common.
        """
        body = texts(current_password=current_password, new_password=new_password)
        reply = await self._http.request(
            "POST", f"{CURRENT}/password", json_data=body, options=options
        )
        return to_details(reply, Caller, "sessions.change_password")

    async def methods(self, *, options: RequestOptions | None = None) -> SignInMethods:
        """Return the ways to sign in that the server offers."""
        reply = await self._read(f"{CURRENT}/methods", None, options)
        return to_details(reply, SignInMethods, "sessions.methods")

    async def start_openid(
        self,
        *,
        return_to: str | None = None,
        connect: bool = False,
        options: RequestOptions | None = None,
    ) -> OpenIdStart:
        """Start a sign-in with the provider, for an application that controls the person's browser.

        Args:
            return_to: The page to return to, beginning with `#/`.
            connect: Whether to connect the provider to the account of a signed-in person.
            options: Limits and headers of this call only.
        """
        body = {**texts(return_to=return_to), "connect": connect}
        details = await self._post_for_cookie(f"{CURRENT}/openid", body, options)
        return to_details({"details": details}, OpenIdStart, "sessions.start_openid")

    async def _post_for_cookie(
        self, path: str, body: dict[str, Any], options: RequestOptions | None
    ) -> dict[str, Any]:
        """Return the details of a response, including the cookie that it sets."""
        reply = await self._http.request_bytes(
            "POST", path, encode_body(body).encoded, options=options
        )
        cookie, _, _ = reply.headers.get("Set-Cookie", "").partition(";")
        details: dict[str, Any] = json.loads(reply.body).get("details", {})
        return {**details, "cookie": cookie}

    async def current(self, *, options: RequestOptions | None = None) -> Caller:
        """Return the caller: the account, the token, the role and its rights."""
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
        """Return a page of sessions.

        Args:
            admin_user_id: Only sessions of this person.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
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
        """Iterate over all sessions that `list` returns."""
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
            PrefactorNotFoundError: The session does not exist.
        """
        path = f"{PATH}/{path_segment('session_id', session_id)}"
        await self._delete(path, idempotency_key, options)
