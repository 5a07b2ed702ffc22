"""API tokens: create, show, list, suspend, activate, revoke and delete them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.kernel.fields import Name, NoFields, Timestamp
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
    show_deleted,
    show_optional_time,
    show_time,
    written_row,
)
from prefactor_server.commands.api_token import ChangeToken, CreateToken, DeleteToken
from prefactor_server.commands.base import Command, Done
from prefactor_server.domain.api_token import (
    ApiToken,
    TokenMove,
    TokenScope,
    TokenStatus,
    make_token,
    new_token,
)
from prefactor_server.domain.errors import (
    REQUIRED,
    FieldError,
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
    invalid,
)


class ApiTokenFields(msgspec.Struct, kw_only=True):
    """A new token. Agent and environment are for deployment tokens only."""

    token_scope: TokenScope
    account_id: str | None = None
    agent_id: Name | None = None
    environment_id: Name | None = None
    expires_at: Timestamp | None = None


class TokenActions(msgspec.Struct, frozen=True, kw_only=True):
    """The actions that a token's status allows."""

    activate: bool
    suspend: bool
    revoke: bool
    delete: bool


class ApiTokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its text. ``token_start`` is the beginning of the text.

    ``created_by_admin_user_id`` is always null.
    """

    type: Literal["api_token"] = "api_token"
    id: str
    account_id: str
    token_scope: TokenScope
    agent_id: str | None
    environment_id: str | None
    agent_deployment_id: str | None
    created_by_admin_user_id: None = None
    token_start: str
    status: TokenStatus
    expires_at: str | None
    last_used_at: str | None
    available_actions: TokenActions
    inserted_at: str
    updated_at: str


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. Its text is shown once: the answer to a repeated request omits it."""

    status: Literal["success"] = "success"
    token: str | msgspec.UnsetType = msgspec.UNSET
    details: ApiTokenView


_SCOPES: Final = ("account", "agent_deployment")
_STATUSES: Final = ("active", "suspended", "revoked")
_LIST = ListQuery(
    filters=(
        FilterParameter(
            Parameter("token_scope", "The scope.", schema={"enum": list(_SCOPES)}),
            "token_scope",
            one_of(*_SCOPES),
        ),
        FilterParameter(
            Parameter("status", "The status.", schema={"enum": list(_STATUSES)}),
            "status",
            one_of(*_STATUSES),
        ),
        FilterParameter(
            Parameter("agent_deployment_id", "The deployment that the token belongs to."),
            "agent_deployment_id",
        ),
    ),
    sorts=("id", "status", "expires_at", "last_used_at", "inserted_at", "updated_at"),
)
_ACCOUNT = Parameter("account_id", "The account. It must be the token's own, the default.")


async def _prepare_create(call: Call, body: ApiTokenFields) -> Prepared:
    check_account(body.account_id, call.principal)
    _check_bound(body)
    if body.expires_at is not None and body.expires_at <= call.now:
        raise invalid("expires_at", "must be in the future")
    text = make_token(body.token_scope, call.services.random_bytes)
    token = new_token(
        text,
        call.new_id(),
        call.principal.account_id,
        call.now,
        scope=body.token_scope,
        expires_at=None if body.expires_at is None else int(body.expires_at),
    )
    command = CreateToken(call.request(), token, body.agent_id, body.environment_id, call.new_id())

    def reply(done: Done) -> CreatedToken:
        return CreatedToken(token=text, details=_view(written_row(done, ApiToken)))

    return Prepared(command, reply)


def _check_bound(body: ApiTokenFields) -> None:
    binding = {"agent_id": body.agent_id, "environment_id": body.environment_id}
    if body.token_scope == "account":  # noqa: S105 - a scope is not a secret
        error = FieldError("invalid_value", "is not allowed for the scope account")
        errors = {field: error for field, value in binding.items() if value is not None}
    else:
        errors = {field: REQUIRED for field, value in binding.items() if value is None}
    if errors:
        raise ValidationFailed(errors)


def _prepare_move(move: TokenMove) -> Callable[[Call, NoFields], Awaitable[Prepared]]:
    async def prepare(call: Call, body: NoFields) -> Prepared:
        del body
        return _prepared(call, ChangeToken(call.request(), call.path_id, move))

    return prepare


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body
    return _prepared(call, DeleteToken(call.request(), call.path_id))


def _prepared(call: Call, command: Command) -> Prepared:
    def reply(done: Done) -> Success[ApiTokenView]:
        # Takes effect here at once. Other replicas accept the token for a few more seconds.
        call.services.forget_caller(done.resource_id)
        return Success(details=_view(written_row(done, ApiToken)))

    return Prepared(command, reply)


async def _show(call: Call, token_id: str) -> Success[ApiTokenView]:
    token = await call.services.reader.api_tokens.show(call.principal, token_id)
    return Success(details=_view(token))


async def _list(call: Call) -> Listed[ApiTokenView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.api_tokens.page(call.principal, listing)
    return listed(listing, page, [_view(token) for token in page.rows])


def _view(token: ApiToken) -> ApiTokenView:
    return ApiTokenView(
        id=token.id,
        account_id=token.account_id,
        token_scope=token.token_scope,
        agent_id=token.agent_id,
        environment_id=token.environment_id,
        agent_deployment_id=token.agent_deployment_id,
        token_start=token.token_start,
        status=token.status,
        expires_at=show_optional_time(token.expires_at),
        last_used_at=show_optional_time(token.last_used_at),
        available_actions=TokenActions(
            activate=token.allows("activate"),
            suspend=token.allows("suspend"),
            revoke=token.allows("revoke"),
            delete=token.allows("delete"),
        ),
        inserted_at=show_time(token.inserted_at),
        updated_at=show_time(token.updated_at),
    )


_PATH: Final = "/api/v1/api_token"
_BY_ID: Final = f"{_PATH}/{{api_token_id}}"
_CHANGE: Final[dict[str, Any]] = {
    "access": "account",
    "reply": Success[ApiTokenView],
    "refusals": (NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
    "body": NoFields,
}
_ONCE: Final = (Example("With an idempotency key", {"idempotency_key": "key-of-mine"}),)

OPERATIONS = (
    Read(
        name="api_tokens.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        right="administer",
        summary="List tokens",
        access="account",
        reply=Listed[ApiTokenView],
        refusals=(ValidationFailed,),
        parameters=(_ACCOUNT, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="api_tokens.show",
        method="GET",
        path=_BY_ID,
        right="administer",
        summary="Show a token",
        access="account",
        reply=Success[ApiTokenView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        name="api_tokens.create",
        method="POST",
        path=_PATH,
        right="administer",
        summary="Create a token",
        description=(
            "The response contains the token's text at the top level. The response to a repeated "
            "request with the same key does not."
        ),
        access="account",
        reply=CreatedToken,
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=ApiTokenFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show,
        examples=(
            Example("An account token", {"details": {"token_scope": "account"}}),
            Example(
                "A token for one agent in one environment",
                {
                    "details": {
                        "token_scope": "agent_deployment",
                        "agent_id": "support",
                        "environment_id": "staging",
                        "expires_at": "2027-01-01T00:00:00Z",
                    }
                },
            ),
        ),
    ),
    Write(
        **_CHANGE,
        name="api_tokens.suspend",
        method="POST",
        path=f"{_BY_ID}/suspend",
        right="administer",
        summary="Suspend a token",
        description="It stops working until it is activated.",
        prepare=_prepare_move("suspend"),
        show=_show,
        examples=_ONCE,
    ),
    Write(
        **_CHANGE,
        name="api_tokens.activate",
        method="POST",
        path=f"{_BY_ID}/activate",
        right="administer",
        summary="Activate a token",
        description="A suspended token works again.",
        prepare=_prepare_move("activate"),
        show=_show,
        examples=_ONCE,
    ),
    Write(
        **_CHANGE,
        name="api_tokens.revoke",
        method="POST",
        path=f"{_BY_ID}/revoke",
        right="administer",
        summary="Revoke a token",
        description="It stops working permanently.",
        prepare=_prepare_move("revoke"),
        show=_show,
        examples=_ONCE,
    ),
    Write(
        **_CHANGE,
        name="api_tokens.delete",
        method="DELETE",
        path=_BY_ID,
        right="administer",
        summary="Delete a token",
        description="Only a revoked token can be deleted.",
        prepare=_prepare_delete,
        show=show_deleted("api_token"),
        examples=_ONCE,
    ),
)
