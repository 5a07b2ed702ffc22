"""Admin users: see who belongs to the account."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.base import Listed, Success, listed, show_time
from prefactor_server.domain.errors import NotFound, ValidationFailed
from prefactor_server.domain.people.admin_user import AdminUser


class AdminUserView(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the account."""

    type: Literal["admin_user"] = "admin_user"
    id: str
    account_id: str
    email: str
    inserted_at: str
    updated_at: str


_LIST: Final = ListQuery(
    filters=(FilterParameter(Parameter("email", "The address."), "email"),),
    sorts=("id", "email", "inserted_at", "updated_at"),
)


async def _get(call: Call) -> Success[AdminUserView]:
    user = await call.services.reader.admin_users.show(call.principal, call.path_id)
    return Success(details=admin_user_view(user))


async def _list(call: Call) -> Listed[AdminUserView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.admin_users.page(call.principal, listing)
    return listed(listing, page, [admin_user_view(user) for user in page.rows])


def admin_user_view(user: AdminUser) -> AdminUserView:
    """A person as answers have them."""
    return AdminUserView(
        id=user.id,
        account_id=user.account_id,
        email=user.email,
        inserted_at=show_time(user.inserted_at),
        updated_at=show_time(user.updated_at),
    )


OPERATIONS = (
    Read(
        name="admin_users.list",
        method="GET",
        path="/api/v1/admin_user",
        right="read",
        summary="List admin users",
        description="Needs an account token.",
        access="account",
        reply=Listed[AdminUserView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="admin_users.show",
        method="GET",
        path="/api/v1/admin_user/{admin_user_id}",
        right="read",
        summary="Show an admin user",
        description="Needs an account token.",
        access="account",
        reply=Success[AdminUserView],
        refusals=(NotFound,),
        answer=_get,
    ),
)
