"""Sign-in: checks a proof of identity, and starts a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from prefactor_server.api.asgi.client_connection import ClientConnection
from prefactor_server.api.kernel.fields import NO_NUL, ClientId
from prefactor_server.api.kernel.operation import Call
from prefactor_server.api.views.base import written_row
from prefactor_server.commands.base import Command, Done, Refused, Request
from prefactor_server.commands.people.session import (
    SignInWithLink,
    SignInWithPassword,
    SignInWithToken,
    SignInWithTokenLink,
    check_link,
    invalid_link,
    wrong_password,
)
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import hash_token, looks_mistyped, token_status
from prefactor_server.domain.errors import (
    REQUIRED,
    BadCredentials,
    FieldError,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.password_policy import (
    MAX_LENGTH,
    PASSWORD_RULE,
    is_acceptable,
)
from prefactor_server.domain.people.secret_text import (
    MAX_SECRET_LENGTH,
    SecretRef,
    hash_secret,
    make_secret,
    read_secret,
)
from prefactor_server.domain.people.session import PREFIX, Session, SignInMethod
from prefactor_server.domain.people.sign_in_link import PREFIX as LINK_PREFIX
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.domain.times import SECOND_US

SIGN_IN_BODY: Final = 4096
"""The body limit of requests with a password, in bytes."""

NO_STORE: Final = (b"cache-control", b"no-store")

_MAX_EMAIL: Final = 254

_log = structlog.get_logger(__name__)

Secret = Annotated[
    str,
    Meta(
        max_length=MAX_SECRET_LENGTH,
        description=f"must have at most {MAX_SECRET_LENGTH} characters.",
    ),
]
NewPassword = Annotated[str, Meta(description=f"{PASSWORD_RULE}.")]
EnteredEmail = Annotated[
    str,
    Meta(
        max_length=_MAX_EMAIL,
        pattern=NO_NUL,
        description=f"must have at most {_MAX_EMAIL} characters and no NUL.",
    ),
]
EnteredPassword = Annotated[
    str, Meta(max_length=MAX_LENGTH, description=f"must have at most {MAX_LENGTH} characters.")
]


class SignInFields(msgspec.Struct, kw_only=True):
    """One proof of identity: a token, the code of a link, or an e-mail and a password.

    ``account_id`` chooses between accounts in which the same e-mail has a password. The default is
    the oldest. ``new_password`` is sent with a code, and sets the password.
    """

    token: Secret | None = None
    code: Secret | None = None
    new_password: NewPassword | None = None
    email: EnteredEmail | None = None
    password: EnteredPassword | None = None
    account_id: ClientId | None = None


async def sign_in(call: Call, body: SignInFields, size: int) -> tuple[Session, str]:
    """Start a session, and return it with the text of its cookie.

    Raises:
        BadCredentials: the proof is wrong. The message does not say which part.
        Overloaded: there were too many attempts.
        ValidationFailed: there is not exactly one proof, or the new password is rejected.
    """
    _check_one_proof(body)
    try:
        command, cookie = await _command(call, body)
        session = await start_session(call, command, size)
    except BadCredentials:
        _log.warning("sign_in_refused", address=connection(call).address)
        raise
    if body.new_password is not None:
        # It ended all other sessions of the person.
        call.services.forget_caller(session.owner_id)
    return session, cookie


async def start_session(call: Call, command: Command, size: int = 0) -> Session:
    """Execute a command that starts a session, and return the session."""
    (outcome,) = await call.services.writer.submit([command], size)
    if isinstance(outcome, Refused):
        raise outcome.refusal
    if not isinstance(outcome, Done):
        raise TypeError(outcome)
    return written_row(outcome, Session)


async def _command(call: Call, body: SignInFields) -> tuple[Command, str]:
    if body.token is not None:
        return await _with_token(call, body.token)
    if body.code is not None:
        return await _with_link(call, body.code, body.new_password)
    return await _with_password(call, body)


async def _with_token(call: Call, text: str) -> tuple[Command, str]:
    found = None
    if not looks_mistyped(text):
        found = await call.services.reader.api_tokens.by_hash(hash_token(text))
    if found is None or token_status(found[0], call.now) != "active":
        raise BadCredentials("The token is unknown or no longer valid: sign in with another one")
    token, account = found
    session, cookie = new_session(call, "token", account.id, account.partition, token.id)
    return SignInWithToken(_request(call, session, token.id), session), cookie


async def _with_link(call: Call, code: str, new_password: str | None) -> tuple[Command, str]:
    reader = call.services.reader
    ref, code_hash = read_secret(LINK_PREFIX, code), hash_secret(code)
    found = None if ref is None else await reader.sessions.link(ref)
    link = check_link(found, code_hash, call.now)
    account = await reader.sessions.account(link.account_id)
    if account is None:
        raise invalid_link()
    if link.admin_user_id is None:
        return _as_token(call, link, account, new_password)
    session, cookie = new_session(call, "link", account.id, account.partition, link.admin_user_id)
    password_hash = None
    if new_password is not None:
        person = await reader.sessions.person(session)
        if person is None:
            raise invalid_link()
        password_hash = await hash_new_password(call, "new_password", new_password, person.email)
    request = _request(call, session, link.admin_user_id)
    return SignInWithLink(request, session, link.id, code_hash, password_hash), cookie


def _as_token(
    call: Call, link: SignInLink, account: Account, new_password: str | None
) -> tuple[Command, str]:
    if new_password is not None:
        raise invalid("new_password", "needs the link of a person, and this link is for a token")
    token_id = link.api_token_id or ""
    session, cookie = new_session(call, "token", account.id, account.partition, token_id)
    request = _request(call, session, token_id)
    return SignInWithTokenLink(request, session, link.id, link.code_hash), cookie


async def _with_password(call: Call, body: SignInFields) -> tuple[Command, str]:
    services, email, password = call.services, body.email or "", body.password or ""
    address = connection(call).address
    services.sign_in_limiter.take(email, address, call.now)
    person = _chosen(await services.reader.admin_users.by_email(email), email, body.account_id)
    stored = None if person is None else person.password_hash
    # Verified in any case, so that the time does not reveal whether the person exists.
    matches = await services.passwords.verify(password, stored)
    account = None if person is None else await services.reader.sessions.account(person.account_id)
    if not matches or person is None or stored is None or account is None:
        raise wrong_password()
    services.sign_in_limiter.give_back(email, address)
    session, cookie = new_session(call, "password", account.id, account.partition, person.id)
    return SignInWithPassword(_request(call, session, person.id), session, stored), cookie


async def hash_new_password(call: Call, field: str, password: str, email: str) -> str:
    """Return the hash of a new password.

    Raises:
        ValidationFailed: it is too short, too long or too common.
    """
    if not is_acceptable(password, email):
        raise invalid(field, PASSWORD_RULE)
    return await call.services.passwords.hash(password)


def connection(call: Call) -> ClientConnection:
    """Return the client of a request that is not a bulk item."""
    if call.client is None:
        raise TypeError("a bulk item has no client of its own")
    return call.client


def _chosen(people: Sequence[AdminUser], email: str, account_id: str | None) -> AdminUser | None:
    candidates = [one for one in people if account_id in (None, one.account_id)]
    # Prefer a person with a password, then one whose address has the same case.
    candidates.sort(key=lambda one: (one.password_hash is None, one.email != email))
    return candidates[0] if candidates else None


def new_session(
    call: Call, method: SignInMethod, account_id: str, partition: int, owner_id: str
) -> tuple[Session, str]:
    """Return a session that starts now, and the text of its cookie."""
    services, client = call.services, connection(call)
    session_id = services.ids.make(partition)
    cookie = make_secret(PREFIX, SecretRef(account_id, session_id), services.random_bytes)
    session = Session(
        id=session_id,
        account_id=account_id,
        token_hash=hash_secret(cookie),
        method=method,
        owner_id=owner_id,
        user_agent=client.user_agent,
        address=client.address,
        inserted_at=call.now,
        expires_at=call.now + services.limits.session_max_seconds * SECOND_US,
        last_used_at=call.now,
    )
    return session, cookie


def _request(call: Call, session: Session, actor: str) -> Request:
    return Request(session.account_id, actor, call.now)


def _check_one_proof(body: SignInFields) -> None:
    proofs = [name for name in ("token", "code", "email") if getattr(body, name) is not None]
    if len(proofs) != 1:
        raise ValidationFailed(
            {"token": REQUIRED},
            "Send one of: token; code; email and password",
        )
    errors: dict[str, FieldError] = {}
    if proofs == ["email"] and body.password is None:
        errors["password"] = REQUIRED
    if proofs != ["email"]:
        for name in ("password", "account_id"):
            if getattr(body, name) is not None:
                errors[name] = FieldError("invalid_value", "is allowed only with an email")
    if proofs != ["code"] and body.new_password is not None:
        errors["new_password"] = FieldError("invalid_value", "is allowed only with a code")
    if errors:
        raise ValidationFailed(errors)
