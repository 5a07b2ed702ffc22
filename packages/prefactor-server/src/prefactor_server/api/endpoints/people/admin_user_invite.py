"""Invitations: create, list, show and revoke them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

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
from prefactor_server.api.kernel.query import check_account, one_of
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_time,
    written,
    written_row,
)
from prefactor_server.commands.base import Done
from prefactor_server.commands.people.admin_user_invite import CreateInvite, RevokeInvite
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.domain.people.admin_user_invite import (
    EMAIL_PATTERN,
    MAX_EMAIL,
    PREFIX,
    AdminUserInvite,
    InviteStatus,
    invite_url,
)
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.secret_text import SecretRef, hash_secret, make_secret

_EMAIL_RULE: Final = "must be an address such as name@example.org, of at most 254 characters"
Email = Annotated[
    str,
    Meta(max_length=MAX_EMAIL, pattern=EMAIL_PATTERN, description=f"{_EMAIL_RULE}."),
]
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:]+\](:[0-9]+)?")


class InviteFields(msgspec.Struct, kw_only=True):
    """The person to invite, and their role, which is admin by default."""

    email: Email
    role: Role | msgspec.UnsetType = msgspec.UNSET
    account_id: str | None = None


class InviteView(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation. ``token`` and ``invite_url`` are shown on creation, and null later."""

    type: Literal["admin_user_invite"] = "admin_user_invite"
    id: str
    account_id: str
    email: str
    role: Role
    invite_url: str | None
    token: str | None
    status: InviteStatus
    expires_at: str
    inserted_at: str
    updated_at: str


_STATUSES: Final = ("pending", "used", "revoked")
_LIST: Final = ListQuery(
    filters=(
        FilterParameter(Parameter("email", "The address."), "email"),
        FilterParameter(
            Parameter("status", "The status.", schema={"enum": list(_STATUSES)}),
            "status",
            one_of(*_STATUSES),
        ),
    ),
    sorts=("id", "email", "status", "inserted_at", "updated_at"),
)


async def _prepare_create(call: Call, body: InviteFields) -> Prepared:
    check_account(body.account_id, call.principal)
    invite_id = call.new_id()
    ref = SecretRef(call.principal.account_id, invite_id)
    token = make_secret(PREFIX, ref, call.services.random_bytes)
    invite = AdminUserInvite(
        id=invite_id,
        account_id=call.principal.account_id,
        email=body.email,
        token_hash=hash_secret(token),
        inserted_at=call.now,
        status="pending",
        updated_at=call.now,
        role="admin" if body.role is msgspec.UNSET else body.role,
    )

    def reply(done: Done) -> Success[InviteView]:
        return Success(
            details=_view(written_row(done, AdminUserInvite), token, _address(call, token))
        )

    return Prepared(CreateInvite(call.request(), invite), reply)


async def _prepare_revoke(call: Call, body: NoFields) -> Prepared:
    del body
    command = RevokeInvite(call.request(), call.path_id)
    return Prepared(command, written(AdminUserInvite, _view))


def _address(call: Call, token: str) -> str:
    base = call.services.limits.public_url.rstrip("/")
    # The host that a caller sends is shown only to that caller.
    if not base and _HOST.fullmatch(call.host):
        base = f"http://{call.host}"
    return invite_url(base, token)


async def _show(call: Call, invite_id: str) -> Success[InviteView]:
    invites = call.services.reader.admin_user_invites
    return Success(details=_view(await invites.show(call.principal, invite_id)))


async def _list(call: Call) -> Listed[InviteView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.admin_user_invites.page(call.principal, listing)
    return listed(listing, page, [_view(invite) for invite in page.rows])


def _view(
    invite: AdminUserInvite, token: str | None = None, invite_url: str | None = None
) -> InviteView:
    return InviteView(
        id=invite.id,
        account_id=invite.account_id,
        email=invite.email,
        role=invite.role,
        invite_url=invite_url,
        token=token,
        status=invite.status,
        expires_at=show_time(invite.expires_at),
        inserted_at=show_time(invite.inserted_at),
        updated_at=show_time(invite.updated_at),
    )


_PATH: Final = "/api/v1/admin_user_invite"
_BY_ID: Final = f"{_PATH}/{{admin_user_invite_id}}"

OPERATIONS = (
    Write(
        name="admin_user_invites.create",
        method="POST",
        path=_PATH,
        right="administer",
        summary="Invite a person",
        description=(
            "The response contains the token, and a URL with it. The response to a repeated "
            "request with the same key does not."
        ),
        access="account",
        reply=Success[InviteView],
        refusals=(IdempotencyKeyUsed, ValidationFailed),
        body=InviteFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show,
        examples=(Example("A colleague", {"details": {"email": "name@example.org"}}),),
    ),
    Read(
        name="admin_user_invites.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        right="administer",
        summary="List invitations",
        access="account",
        reply=Listed[InviteView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="admin_user_invites.show",
        method="GET",
        path=_BY_ID,
        right="administer",
        summary="Show an invitation",
        access="account",
        reply=Success[InviteView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        name="admin_user_invites.revoke",
        method="POST",
        path=f"{_BY_ID}/revoke",
        right="administer",
        summary="Revoke an invitation",
        description="Only a pending invitation can be revoked.",
        access="account",
        reply=Success[InviteView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_revoke,
        show=_show,
        examples=(Example("Once", {"idempotency_key": "key-of-mine"}),),
    ),
)
