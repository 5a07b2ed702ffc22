"""Admin users: the people of an account and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._arguments import texts
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.admin_user import AdminUser
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/admin_user"


class AdminUserClient(Endpoint):
    """`client.admin_users`."""

    async def list(
        self,
        *,
        email: str | None = None,
        role: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[AdminUser]:
        """Return a page of people.

        Args:
            email: Only the person with this address.
            role: Only people with this role: `viewer`, `member` or `admin`.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, {"email": email, "role": role} | paging, AdminUser, options)

    def iterate(
        self,
        *,
        email: str | None = None,
        role: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[AdminUser]:
        """Iterate over all people that `list` returns."""
        return self._walk(
            PATH,
            {"email": email, "role": role},
            AdminUser,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def get(self, admin_user_id: str, *, options: RequestOptions | None = None) -> AdminUser:
        """Read one person.

        Raises:
            PrefactorNotFoundError: The person does not exist.
        """
        reply = await self._read(_path(admin_user_id), None, options)
        return to_details(reply, AdminUser, "admin_users.get")

    async def update(
        self,
        admin_user_id: str,
        *,
        role: str,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> AdminUser:
        """Change a person's role to `viewer`, `member` or `admin`.

        Raises:
            PrefactorNotFoundError: The person does not exist.
        """
        key = self._key(idempotency_key)
        body = {"details": texts(role=role)}
        reply = await self._write("PUT", _path(admin_user_id), body, key, options)
        return to_details(reply, AdminUser, "admin_users.update")

    async def delete(
        self,
        admin_user_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> None:
        """Remove a person from the account, and end their sessions.

        Raises:
            PrefactorNotFoundError: The person does not exist.
        """
        await self._delete(_path(admin_user_id), idempotency_key, options)


def _path(admin_user_id: str) -> str:
    return f"{PATH}/{path_segment('admin_user_id', admin_user_id)}"
