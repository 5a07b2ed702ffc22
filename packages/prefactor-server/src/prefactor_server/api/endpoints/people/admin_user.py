"""Admin users: list and show the people of an account, change their roles, remove them."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel.fields import NoFields
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import one_of
from prefactor_server.api.views.base import (
    DeletedView,
    Listed,
    Success,
    by_path_id,
    listed,
    show_deleted,
    show_optional_time,
    show_time,
    written_row,
)
from prefactor_server.commands.base import Done
from prefactor_server.commands.people.admin_user import ChangeRole, RemoveAdminUser
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.role import RIGHTS, Role


class AdminUserView(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the account."""

    type: Literal["admin_user"] = "admin_user"
    id: str
    account_id: str
    email: str
    role: Role
    has_password: bool
    has_openid: bool
    last_signed_in_at: str | None
    inserted_at: str
    updated_at: str


class RoleFields(msgspec.Struct, kw_only=True):
    """A person's new role."""

    role: Role


_LIST: Final = ListQuery(
    filters=(
        FilterParameter(Parameter("email", "The address."), "email"),
        FilterParameter(
            Parameter("role", "The role.", schema={"enum": list(RIGHTS)}), "role", one_of(*RIGHTS)
        ),
    ),
    sorts=("id", "email", "inserted_at", "updated_at"),
)


async def _show(call: Call, user_id: str) -> Success[AdminUserView]:
    user = await call.services.reader.admin_users.show(call.principal, user_id)
    return Success(details=admin_user_view(user))


async def _prepare_update(call: Call, body: RoleFields) -> Prepared:
    def reply(done: Done) -> Success[AdminUserView]:
        call.services.forget_caller(done.resource_id)
        return Success(details=admin_user_view(written_row(done, AdminUser)))

    return Prepared(ChangeRole(call.request(), call.path_id, body.role), reply)


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body

    def reply(done: Done) -> Success[DeletedView]:
        call.services.forget_caller(done.resource_id)
        return Success(details=DeletedView(type="admin_user", id=done.resource_id))

    return Prepared(RemoveAdminUser(call.request(), call.path_id), reply)


async def _list(call: Call) -> Listed[AdminUserView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.admin_users.page(call.principal, listing)
    return listed(listing, page, [admin_user_view(user) for user in page.rows])


def admin_user_view(user: AdminUser) -> AdminUserView:
    """Return the view of a person."""
    return AdminUserView(
        id=user.id,
        account_id=user.account_id,
        email=user.email,
        role=user.role,
        has_password=user.password_hash is not None,
        has_openid=user.openid_subject is not None,
        last_signed_in_at=show_optional_time(user.last_signed_in_at),
        inserted_at=show_time(user.inserted_at),
        updated_at=show_time(user.updated_at),
    )


OPERATIONS = (
    Read(
        name="admin_users.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/admin_user",
        right="read",
        summary="List admin users",
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
        access="account",
        reply=Success[AdminUserView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        name="admin_users.update",
        method="PUT",
        path="/api/v1/admin_user/{admin_user_id}",
        right="administer",
        summary="Change the role of an admin user",
        description=(
            "Takes effect at once on this server, and on others within token_cache_seconds. Nobody "
            "can change their own role."
        ),
        access="account",
        reply=Success[AdminUserView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RoleFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(Example("A viewer", {"details": {"role": "viewer"}}),),
    ),
    Write(
        name="admin_users.delete",
        method="DELETE",
        path="/api/v1/admin_user/{admin_user_id}",
        right="administer",
        summary="Remove an admin user",
        description="Ends their sessions. Nobody can remove themselves.",
        access="account",
        reply=Success[DeletedView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_delete,
        show=show_deleted("admin_user"),
        examples=(Example("Once", {"idempotency_key": "key-of-mine"}),),
    ),
)
