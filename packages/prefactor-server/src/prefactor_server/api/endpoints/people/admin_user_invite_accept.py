"""Accepting an invitation: the one write without a token of the API's own.

An invited person has only the invitation's token, so that is what lets them in. It is no
item of a bulk request, which belongs to one account.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from prefactor_server.api.endpoints.people.admin_user import AdminUserView, admin_user_view
from prefactor_server.api.kernel.decode import read_body, read_object
from prefactor_server.api.kernel.operation import TOKEN_BODY, Call, Example, RawOperation
from prefactor_server.api.kernel.unknown_members import unknown_members
from prefactor_server.api.views.base import Success
from prefactor_server.commands.admin_user_invite import AcceptInvite, unknown_invite
from prefactor_server.commands.base import Done, Refused, Request
from prefactor_server.domain.api_token import Principal, hash_token
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
from prefactor_server.domain.people.admin_user_invite import read_invite_token

_MAX_TOKEN = 500


class AcceptFields(msgspec.Struct, kw_only=True):
    """The token of an invitation."""

    token: Annotated[
        str,
        Meta(max_length=_MAX_TOKEN, description=f"must have at most {_MAX_TOKEN} characters."),
    ]


async def _answer(call: Call, document: bytes) -> Success[AdminUserView]:
    token = read_body(document, AcceptFields).token
    beside = {"idempotency_key"}
    unknown = unknown_members(AcceptFields, AdminUserView, read_object(document), beside)
    if unknown:
        raise ValidationFailed(unknown)
    named = read_invite_token(token)
    if named is None:
        raise unknown_invite()
    # One at a time: two invitations to one address would otherwise make two of the same person.
    async with call.services.accepting:
        command = AcceptInvite(
            request=Request(named.account_id, named.invite_id, call.now, None, b""),
            id=named.invite_id,
            token_hash=hash_token(token),
            user_id=await _user_id(call, named.account_id, named.invite_id),
        )
        (outcome,) = await call.services.writer.submit([command], len(document))
    if isinstance(outcome, Refused):
        raise outcome.refusal
    if not isinstance(outcome, Done) or not isinstance(outcome.row, AdminUser):
        raise TypeError(outcome)
    return Success(details=admin_user_view(outcome.row))


async def _user_id(call: Call, account_id: str, invite_id: str) -> str:
    """The id of the admin user with the invited address; a new one takes the invitation's."""
    reader = call.services.reader
    # Nothing of what is read on behalf of the token is told before the command has checked it.
    reading = Principal("", account_id, 0, "account", None, None, None)
    try:
        invite = await reader.admin_user_invites.show(reading, invite_id)
    except NotFound:
        raise unknown_invite() from None
    page = await reader.admin_users.page(reading, Listing((Filter("email", "=", invite.email),)))
    return page.rows[0].id if page.rows else invite_id


OPERATIONS = (
    RawOperation(
        name="admin_user_invites.accept",
        method="POST",
        path="/api/v1/admin_user_invite/accept",
        summary="Accept an invitation",
        description=(
            "Makes the invited person an admin user of the account. Needs no other token than "
            "the invitation's, in the body. Accepting once more answers the same."
        ),
        access="public",
        max_body_bytes=TOKEN_BODY,
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
        answer=_answer,
        examples=(Example("A token", {"token": "pf_invite_…"}),),
    ),
)
