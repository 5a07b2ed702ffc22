"""Sessions: who is calling, who has signed in, and ending that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.session import Caller, Session
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prefactor_http._options import RequestOptions

CURRENT = "/api/v1/session"
PATH = "/api/v1/sessions"


class SessionClient(Endpoint):
    """`client.sessions`. A program calls with its token, so it neither signs in nor out."""

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
