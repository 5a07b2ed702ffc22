"""Sessions: sign in, show the caller, sign out, list and revoke sessions, change a password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from prefactor_server.api.endpoints.people.sign_in import (
    NO_STORE,
    SIGN_IN_BODY,
    EnteredPassword,
    NewPassword,
    SignInFields,
    connection,
    hash_new_password,
    sign_in,
)
from prefactor_server.api.kernel.decode import read_strict_body
from prefactor_server.api.kernel.fields import NoFields
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    TOKEN_BODY,
    Call,
    Example,
    Parameter,
    Prepared,
    RawOperation,
    Read,
    Write,
)
from prefactor_server.api.views.base import (
    DeletedView,
    Listed,
    Success,
    listed,
    show_deleted,
    show_optional_time,
    show_time,
)
from prefactor_server.commands.base import Command, Done, Refused
from prefactor_server.commands.people.admin_user import ChangePassword
from prefactor_server.commands.people.session import EndSession, wrong_password
from prefactor_server.domain.api_token import Principal, TokenScope
from prefactor_server.domain.errors import (
    BadCredentials,
    BadRequest,
    BadToken,
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    NotPermitted,
    Overloaded,
    TooLarge,
    Unavailable,
    ValidationFailed,
)
from prefactor_server.domain.people.role import RIGHTS, Right, Role
from prefactor_server.domain.people.session import UNKNOWN_SESSION, Session, SignInMethod
from prefactor_server.domain.times import SECOND_US
from prefactor_server.queries.people.session import visible_owner


class CallerView(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. ``id``, ``method`` and ``expires_at`` are null for a bearer token.

    ``admin_user_id`` and ``email`` are null unless a person signed in. A deployment token has no
    role and no rights, because its scope decides. It cannot see the account's name.
    """

    type: Literal["session"] = "session"
    id: str | None
    method: SignInMethod | None
    account_id: str
    account_name: str | None
    admin_user_id: str | None
    email: str | None
    api_token_id: str | None
    token_scope: TokenScope | None
    agent_id: str | None
    environment_id: str | None
    role: Role | None
    rights: Sequence[Right]
    expires_at: str | None


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session. ``expires_at`` is the time at which it ends if it is not used again."""

    type: Literal["session"] = "session"
    id: str
    account_id: str
    method: SignInMethod
    admin_user_id: str | None
    api_token_id: str | None
    user_agent: str
    address: str
    is_current: bool
    expires_at: str
    last_used_at: str
    inserted_at: str


class PasswordFields(msgspec.Struct, kw_only=True):
    """The current and the new password."""

    current_password: EnteredPassword
    new_password: NewPassword


_LIST: Final = ListQuery(
    filters=(
        FilterParameter(Parameter("admin_user_id", "The person."), "owner_id"),
        FilterParameter(Parameter("api_token_id", "The token."), "owner_id"),
    ),
    sorts=("id", "inserted_at", "last_used_at"),
)


async def _create(call: Call, document: bytes) -> Success[CallerView]:
    body = read_strict_body(document, SignInFields)
    session, cookie = await sign_in(call, body, len(document))
    seconds = (session.expires_at - call.now) // SECOND_US
    call.response_headers += (connection(call).set_cookie(cookie, seconds), NO_STORE)
    return await _shown(call, await call.services.authenticate_session(cookie))


async def _current(call: Call) -> Success[CallerView]:
    try:
        return await _shown(call, call.principal)
    except NotFound:
        # It was ended elsewhere, and is still in this server's cache.
        raise BadToken(UNKNOWN_SESSION) from None


async def _shown(call: Call, principal: Principal) -> Success[CallerView]:
    reader = call.services.reader
    name, session, email = None, None, None
    if principal.scope == "account":
        name = (await reader.accounts.show(principal, principal.account_id)).name
    if principal.session_id is not None:
        session = await reader.sessions.show(principal, principal.session_id)
    if principal.admin_user_id is not None:
        person = await reader.admin_users.show(principal, principal.admin_user_id)
        email = person.email
    is_token = principal.admin_user_id is None
    role = principal.role if principal.scope == "account" else None
    return Success(
        details=CallerView(
            id=principal.session_id,
            method=None if session is None else session.method,
            account_id=principal.account_id,
            account_name=name,
            admin_user_id=principal.admin_user_id,
            email=email,
            api_token_id=principal.token_id if is_token else None,
            token_scope=principal.scope if is_token else None,
            agent_id=principal.agent_id,
            environment_id=principal.environment_id,
            role=role,
            rights=() if role is None else RIGHTS[role],
            expires_at=show_optional_time(
                None if session is None else session.ends_at(_idle_us(call))
            ),
        )
    )


async def _end(call: Call, document: bytes) -> Success[DeletedView]:
    session_id = call.principal.session_id
    if session_id is None:
        raise InvalidAction("There is no session to end, because the request has a token")
    command = EndSession(call.request(), session_id, None, "sessions.end")
    try:
        await _execute(call, command, len(document))
    except NotFound:
        raise BadToken(UNKNOWN_SESSION) from None
    finally:
        call.services.forget_caller(session_id)
    call.response_headers += (connection(call).set_cookie("", 0),)
    return Success(details=DeletedView(type="session", id=session_id))


async def _change_password(call: Call, document: bytes) -> Success[CallerView]:
    body = read_strict_body(document, PasswordFields)
    principal, services = call.principal, call.services
    if principal.admin_user_id is None or principal.session_id is None:
        raise InvalidAction("Only a person who has signed in can change a password")
    person = await services.reader.admin_users.show(principal, principal.admin_user_id)
    address = connection(call).address
    services.sign_in_limiter.take(person.email, address, call.now)
    matches = await services.passwords.verify(body.current_password, person.password_hash)
    if not matches or person.password_hash is None:
        raise wrong_password()
    services.sign_in_limiter.give_back(person.email, address)
    new_hash = await hash_new_password(call, "new_password", body.new_password, person.email)
    command = ChangePassword(
        call.request(), person.id, person.password_hash, new_hash, principal.session_id
    )
    await _execute(call, command, len(document))
    services.forget_caller(person.id)
    return await _shown(call, principal)


async def _execute(call: Call, command: Command, size: int) -> None:
    (outcome,) = await call.services.writer.submit([command], size)
    if isinstance(outcome, Refused):
        raise outcome.refusal


async def _list(call: Call) -> Listed[SessionView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.sessions.page(call.principal, listing)
    return listed(listing, page, [_view(call, session) for session in page.rows])


async def _prepare_revoke(call: Call, body: NoFields) -> Prepared:
    del body
    owner = visible_owner(call.principal)
    command = EndSession(call.request(), call.path_id, owner, "sessions.revoke")

    def reply(done: Done) -> Success[DeletedView]:
        call.services.forget_caller(done.resource_id)
        return Success(details=DeletedView(type="session", id=done.resource_id))

    return Prepared(command, reply)


def _view(call: Call, session: Session) -> SessionView:
    return SessionView(
        id=session.id,
        account_id=session.account_id,
        method=session.method,
        admin_user_id=session.admin_user_id,
        api_token_id=session.api_token_id,
        user_agent=session.user_agent,
        address=session.address,
        is_current=session.id == call.principal.session_id,
        expires_at=show_time(session.ends_at(_idle_us(call))),
        last_used_at=show_time(session.last_used_at),
        inserted_at=show_time(session.inserted_at),
    )


def _idle_us(call: Call) -> int:
    return call.services.limits.session_idle_seconds * SECOND_US


_CURRENT: Final = "/api/v1/session"
_ALL: Final = "/api/v1/sessions"

ITEMS = (
    Read(
        name="sessions.current",
        method="GET",
        path=_CURRENT,
        right="read",
        summary="Show the caller",
        description="Shows the account, the person or the token, the role and its rights.",
        reply=Success[CallerView],
        answer=_current,
    ),
    Read(
        name="sessions.list",
        cost=LIST_COST,
        method="GET",
        path=_ALL,
        right="read",
        summary="List sessions",
        description="Lists the caller's own sessions or, for an admin, those of the account.",
        access="account",
        reply=Listed[SessionView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Write(
        name="sessions.revoke",
        method="DELETE",
        path=f"{_ALL}/{{session_id}}",
        right="read",
        summary="Revoke a session",
        description=(
            "It ends at once on this server, and on others within token_cache_seconds. A caller "
            "can revoke their own sessions, and an admin any session of the account."
        ),
        access="account",
        reply=Success[DeletedView],
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_revoke,
        show=show_deleted("session"),
        examples=(Example("Once", {"idempotency_key": "key-of-mine"}),),
    ),
)
"""The operations that may be items of a bulk request."""

OTHERS = (
    RawOperation(
        name="sessions.create",
        method="POST",
        path=_CURRENT,
        summary="Sign in",
        description=(
            "Exchanges a token, the code of a link, or an e-mail and a password for a cookie that "
            "works wherever a token does. Writes with it need the header X-Prefactor-Request: 1 "
            "and must come from a page of this server. The response is 401 if the e-mail and the "
            "password do not match, and 429 after too many attempts."
        ),
        access="public",
        max_body_bytes=SIGN_IN_BODY,
        reply=Success[CallerView],
        refusals=(
            BadRequest,
            BadCredentials,
            NotPermitted,
            TooLarge,
            ValidationFailed,
            Overloaded,
            Unavailable,
        ),
        body=SignInFields,
        answer=_create,
        examples=(
            Example("A token", {"token": "your-token"}),
            Example("The code of a link", {"code": "pf_link_…"}),
            Example(
                "An e-mail and a password",
                {"email": "name@example.org", "password": "correct horse battery"},
            ),
        ),
    ),
    RawOperation(
        name="sessions.end",
        method="DELETE",
        path=_CURRENT,
        right="read",
        summary="Sign out",
        description="Ends the session of the request's cookie.",
        max_body_bytes=TOKEN_BODY,
        reply=Success[DeletedView],
        refusals=(InvalidAction, NotPermitted, Overloaded, Unavailable),
        answer=_end,
    ),
    RawOperation(
        name="sessions.change_password",
        method="POST",
        path=f"{_CURRENT}/password",
        right="read",
        summary="Change the caller's password",
        description="Ends all other sessions of the person.",
        access="account",
        max_body_bytes=SIGN_IN_BODY,
        reply=Success[CallerView],
        refusals=(InvalidAction, TooLarge, ValidationFailed, Overloaded, Unavailable),
        body=PasswordFields,
        answer=_change_password,
        examples=(
            Example(
                "A new password",
                {
                    "current_password": "correct horse battery",
                    "new_password": "a longer one than before",
                },
            ),
        ),
    ),
)
"""The operations that set a cookie or take a password, and are therefore never bulk items."""
