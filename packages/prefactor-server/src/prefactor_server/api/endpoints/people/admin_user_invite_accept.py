"""Looks up and accepts an invitation, without an API token.

An invited person has only the invitation's token, which authenticates them. Neither operation can
be a bulk item, because a bulk request belongs to one account.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.endpoints.people.admin_user import AdminUserView, admin_user_view
from prefactor_server.api.endpoints.people.sign_in import (
    SIGN_IN_BODY,
    NewPassword,
    hash_new_password,
)
from prefactor_server.api.kernel.decode import read_strict_body
from prefactor_server.api.kernel.operation import TOKEN_BODY, Call, Example, RawOperation
from prefactor_server.api.views.base import Success, show_time
from prefactor_server.commands.base import Done, Refused, Request
from prefactor_server.commands.people.admin_user_invite import (
    AcceptInvite,
    check_invite,
    unknown_invite,
)
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import (
    BadRequest,
    InvalidAction,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    ValidationFailed,
)
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import (
    PREFIX,
    AdminUserInvite,
    InviteStatus,
)
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.secret_text import SecretRef, hash_secret, read_secret

_MAX_TOKEN = 500

InviteToken = Annotated[
    str, Meta(max_length=_MAX_TOKEN, description=f"must have at most {_MAX_TOKEN} characters.")
]


class AcceptFields(msgspec.Struct, kw_only=True):
    """The token of an invitation, and the new person's password.

    Without a password, the person signs in with a provider, or gets a link to set one.
    """

    token: InviteToken
    password: NewPassword | None = None


class LookUpFields(msgspec.Struct, kw_only=True):
    """The token of an invitation."""

    token: InviteToken


class InvitedView(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an invitation that the holder of its token may see."""

    type: Literal["invitation"] = "invitation"
    email: str
    role: Role
    account_id: str
    account_name: str
    status: InviteStatus
    expires_at: str


async def _look_up(call: Call, document: bytes) -> Success[InvitedView]:
    body = read_strict_body(document, LookUpFields, InvitedView)
    ref = read_secret(PREFIX, body.token)
    if ref is None:
        raise unknown_invite()
    invite = check_invite(await _invite(call, ref), hash_secret(body.token))
    account = await call.services.reader.accounts.show(_principal(ref), ref.account_id)
    return Success(
        details=InvitedView(
            email=invite.email,
            role=invite.role,
            account_id=account.id,
            account_name=account.name,
            status=invite.status,
            expires_at=show_time(invite.expires_at),
        )
    )


async def _accept(call: Call, document: bytes) -> Success[AdminUserView]:
    body = read_strict_body(document, AcceptFields, AdminUserView, {"idempotency_key"})
    token_hash, ref = hash_secret(body.token), read_secret(PREFIX, body.token)
    if ref is None:
        raise unknown_invite()
    password_hash = None
    if body.password is not None:
        invite = check_invite(await _invite(call, ref), token_hash)
        # Checked before a password is hashed, and again in the transaction.
        invite.accept(call.now)
        password_hash = await hash_new_password(call, "password", body.password, invite.email)
    # One at a time, because two invitations to one address would otherwise create two people.
    async with call.services.accepting:
        command = AcceptInvite(
            request=Request(ref.account_id, ref.row_id, call.now),
            id=ref.row_id,
            token_hash=token_hash,
            user_id=await _user_id(call, ref),
            password_hash=password_hash,
        )
        (outcome,) = await call.services.writer.submit([command], len(document))
    if isinstance(outcome, Refused):
        raise outcome.refusal
    if not isinstance(outcome, Done) or not isinstance(outcome.row, AdminUser):
        raise TypeError(outcome)
    return Success(details=admin_user_view(outcome.row))


async def _invite(call: Call, ref: SecretRef) -> AdminUserInvite:
    # Nothing is revealed before the token's hash has been compared.
    invites = call.services.reader.admin_user_invites
    try:
        return await invites.show(_principal(ref), ref.row_id)
    except NotFound:
        raise unknown_invite() from None


async def _user_id(call: Call, ref: SecretRef) -> str:
    """Return the id of the admin user with the invited address, or the invitation's own id."""
    invite = await _invite(call, ref)
    page = await call.services.reader.admin_users.page(
        _principal(ref), Listing((Filter("email", "=", invite.email),))
    )
    return page.rows[0].id if page.rows else ref.row_id


def _principal(ref: SecretRef) -> Principal:
    return Principal("", ref.account_id, 0, "account", None, None, None)


OPERATIONS = (
    RawOperation(
        name="admin_user_invites.look_up",
        method="POST",
        path="/api/v1/admin_user_invite/look_up",
        summary="Show an invitation to the invited person",
        description=(
            "Shows the invited person, and whether the invitation can still be accepted. Needs "
            "only the invitation's token, in the body, where it reaches no log."
        ),
        access="public",
        max_body_bytes=TOKEN_BODY,
        reply=Success[InvitedView],
        refusals=(BadRequest, NotFound, TooLarge, ValidationFailed, Overloaded, Unavailable),
        body=LookUpFields,
        answer=_look_up,
        examples=(Example("A token", {"token": "pf_invite_…"}),),
    ),
    RawOperation(
        name="admin_user_invites.accept",
        method="POST",
        path="/api/v1/admin_user_invite/accept",
        summary="Accept an invitation",
        description=(
            "Makes the invited person an admin user of the account. Needs only the invitation's "
            "token, in the body. If the invitation was used before, the response is 409."
        ),
        access="public",
        max_body_bytes=SIGN_IN_BODY,
        reply=Success[AdminUserView],
        refusals=(
            BadRequest,
            NotFound,
            InvalidAction,
            TooLarge,
            ValidationFailed,
            Overloaded,
            Unavailable,
        ),
        body=AcceptFields,
        answer=_accept,
        examples=(
            Example(
                "With a password",
                {"token": "pf_invite_…", "password": "correct horse battery"},
            ),
        ),
    ),
)
