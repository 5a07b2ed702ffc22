"""Invitations: who is to belong to an account, and how they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._arguments import texts
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.admin_user import AdminUser
from prefactor_http.models.admin_user_invite import AdminUserInvite, Invitation
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/admin_user_invite"


class AdminUserInviteClient(Endpoint):
    """`client.admin_user_invites`."""

    async def create(
        self,
        *,
        email: str,
        role: str | None = None,
        account_id: str | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> AdminUserInvite:
        """Invite a person. The answer alone has the token, and the address with the token in it.

        Args:
            email: Their address. The server sends no mail: hand the address of the page over.
            role: `viewer`, `member` or `admin`, which is the default.
            account_id: The account; the token's own is the default.
            idempotency_key: A key of your own for this write.
            options: Limits and headers of this call only.
        """
        body = {"details": texts(email=email, role=role, account_id=account_id)}
        reply = await self._write("POST", PATH, body, self._key(idempotency_key), options)
        return to_details(reply, AdminUserInvite, "admin_user_invites.create")

    async def list(
        self,
        *,
        email: str | None = None,
        status: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[AdminUserInvite]:
        """One page of invitations.

        Args:
            email: Only invitations of this address.
            status: Only `pending`, `used` or `revoked` ones.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the page before.
            options: Limits and headers of this call only.
        """
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        filters = {"email": email, "status": status}
        return await self._page(PATH, filters | paging, AdminUserInvite, options)

    def iterate(
        self,
        *,
        email: str | None = None,
        status: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[AdminUserInvite]:
        """All invitations that `list` would show, page by page."""
        return self._walk(
            PATH,
            {"email": email, "status": status},
            AdminUserInvite,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def get(
        self, admin_user_invite_id: str, *, options: RequestOptions | None = None
    ) -> AdminUserInvite:
        """Read one invitation.

        Raises:
            PrefactorNotFoundError: There is no such invitation.
        """
        reply = await self._read(_path(admin_user_invite_id), None, options)
        return to_details(reply, AdminUserInvite, "admin_user_invites.get")

    async def revoke(
        self,
        admin_user_invite_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> AdminUserInvite:
        """Take back an invitation that is pending.

        Raises:
            PrefactorConflictError: It was used or revoked before.
            PrefactorNotFoundError: There is no such invitation.
        """
        path = f"{_path(admin_user_invite_id)}/revoke"
        reply = await self._write("POST", path, {}, self._key(idempotency_key), options)
        return to_details(reply, AdminUserInvite, "admin_user_invites.revoke")

    async def look_up(self, token: str, *, options: RequestOptions | None = None) -> Invitation:
        """Tell for whom an invitation is, by its token, and whether it can still be accepted.

        Raises:
            PrefactorNotFoundError: There is no such invitation.
        """
        reply = await self._http.request(
            "POST", f"{PATH}/look_up", json_data=texts(token=token), options=options
        )
        return to_details(reply, Invitation, "admin_user_invites.look_up")

    async def accept(
        self, token: str, *, password: str | None = None, options: RequestOptions | None = None
    ) -> AdminUser:
        """Accept an invitation: the invited person becomes an admin user of the account.

        Args:
            token: The token of the invitation, which is all that this call needs.
            password: What they sign in with; none for those who use a provider.
            options: Limits and headers of this call only.

        Raises:
            PrefactorConflictError: It was used or revoked before.
            PrefactorValidationError: The password is too short or too common.
        """
        body = texts(token=token, password=password)
        reply = await self._http.request("POST", f"{PATH}/accept", json_data=body, options=options)
        return to_details(reply, AdminUser, "admin_user_invites.accept")


def _path(admin_user_invite_id: str) -> str:
    return f"{PATH}/{path_segment('admin_user_invite_id', admin_user_invite_id)}"
