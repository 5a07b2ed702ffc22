"""Sign-in with OpenID Connect: the available methods, the redirect to a provider, the callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec
import structlog
from msgspec import Meta

from prefactor_server.api.endpoints.people.sign_in import (
    NO_STORE,
    SIGN_IN_BODY,
    connection,
    new_session,
    start_session,
)
from prefactor_server.api.kernel.decode import read_strict_body
from prefactor_server.api.kernel.operation import (
    TOKEN_BODY,
    Call,
    Example,
    Parameter,
    RawOperation,
    Redirecting,
)
from prefactor_server.api.views.base import Success
from prefactor_server.commands.base import Request
from prefactor_server.commands.people.openid import SignInWithOpenId
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import (
    BadRequest,
    Contended,
    InvalidAction,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Overloaded,
    Refusal,
    TooLarge,
    Unavailable,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.openid import Identity, OpenIdRefused
from prefactor_server.domain.people.openid_attempt import (
    HOME,
    LIFETIME_SECONDS,
    MAX_RETURN,
    Attempt,
    is_page,
)
from prefactor_server.domain.people.secret_text import SecretRef
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.times import SECOND_US
from prefactor_server.openid import Provider

_RETRIES: Final = 2
_SIGN_IN_PAGE: Final = "#/sign-in"
# The URL of the callback contains the code.
_NO_REFERRER: Final = (b"referrer-policy", b"no-referrer")

_log = structlog.get_logger(__name__)


class OpenIdMethodView(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenID Connect provider. ``name`` is its display name."""

    name: str


class SignInMethodsView(msgspec.Struct, frozen=True, kw_only=True):
    """The ways to sign in. ``openid`` is null if no provider is configured."""

    type: Literal["sign_in_methods"] = "sign_in_methods"
    password: bool
    token: bool
    openid: OpenIdMethodView | None


class OpenIdStartFields(msgspec.Struct, kw_only=True):
    """The page to return to, as a URL fragment that begins with #.

    ``connect`` connects the provider to the person who is already signed in.
    """

    return_to: Annotated[str, Meta(max_length=MAX_RETURN)] = HOME
    connect: bool = False


class OpenIdStartView(msgspec.Struct, frozen=True, kw_only=True):
    """The URL to send the browser to."""

    type: Literal["openid_start"] = "openid_start"
    authorization_url: str


class RedirectView(msgspec.Struct, frozen=True, kw_only=True):
    """The URL in the header Location."""

    status: Literal["success"] = "success"
    location: str


async def _methods(call: Call, document: bytes) -> Success[SignInMethodsView]:
    del document
    provider = call.services.provider
    openid = None if provider is None else OpenIdMethodView(name=provider.config.name)
    return Success(details=SignInMethodsView(password=True, token=True, openid=openid))


async def _start(call: Call, document: bytes) -> Success[OpenIdStartView]:
    body = read_strict_body(document, OpenIdStartFields)
    if not is_page(body.return_to):
        raise invalid(
            "return_to", f"must be #/ with at most {MAX_RETURN - 2} printable characters after it"
        )
    provider, client = _provider(call), connection(call)
    session = await _session(call) if body.connect else ""
    attempt = Attempt.start(
        call.now, call.services.random_bytes, return_to=body.return_to, session=session
    )
    try:
        url = await provider.authorization_url(attempt)
    except OpenIdRefused as refused:
        _log.warning("openid_provider_failed", detail=refused.detail)
        raise Unavailable(
            f"{provider.config.name} cannot be reached, or its response is not valid: try again "
            "later, or sign in with another method. The server's log has the details"
        ) from refused
    cookie = client.set_attempt_cookie(attempt.seal(provider.key), LIFETIME_SECONDS)
    call.response_headers += (cookie, NO_STORE)
    return Success(details=OpenIdStartView(authorization_url=url))


async def _session(call: Call) -> str:
    client = connection(call)
    cookie = client.session_cookie()
    if cookie is None:
        raise NotAuthenticated("Sign in before you connect a provider")
    client.check_request_header()
    principal = await call.services.authenticate_session(cookie)
    if principal.admin_user_id is None or principal.session_id is None:
        raise InvalidAction("Only a person who has signed in can connect a provider")
    return principal.session_id


async def _callback(call: Call, query: bytes) -> str:
    provider, client = _provider(call), connection(call)
    # The attempt has ended, even if it failed.
    call.response_headers += (client.set_attempt_cookie("", 0), NO_STORE, _NO_REFERRER)
    attempt: Attempt | None = None
    try:
        answer = _read_answer(query)
        sealed = client.attempt_cookie()
        attempt = None if sealed is None else Attempt.unseal(sealed, provider.key, call.now)
        if attempt is None or not attempt.is_answered_by(answer.get("state", "")):
            attempt = None
            raise OpenIdRefused("expired")
        session, cookie = await _sign_in(call, provider, attempt, answer)
    except Refusal as refused:
        reason = _reason(refused)
        detail = refused.detail if isinstance(refused, OpenIdRefused) else refused.message
        _log.warning("sign_in_refused", address=client.address, reason=reason, detail=detail)
        page = HOME if attempt is None else attempt.return_to
        joint = "&" if "?" in page else "?"
        return _page(provider, f"{page}{joint}openid_error={reason}")
    seconds = (session.expires_at - call.now) // SECOND_US
    call.response_headers += (client.set_cookie(cookie, seconds),)
    from_sign_in = attempt.return_to.startswith(_SIGN_IN_PAGE)
    return _page(provider, HOME if from_sign_in else attempt.return_to)


def _reason(refused: Refusal) -> str:
    if isinstance(refused, OpenIdRefused):
        return refused.reason
    return "too_many" if isinstance(refused, Overloaded) else "unavailable"


def _page(provider: Provider, page: str) -> str:
    return f"{provider.config.public_url.rstrip('/')}/{page}"


def _read_answer(query: bytes) -> Mapping[str, str]:
    """Return the provider's parameters. Unknown ones are ignored, duplicates rejected."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise OpenIdRefused("provider", f"its response cannot be parsed: {error}") from error
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise OpenIdRefused("provider", "its response has a duplicate parameter")
    return answer


async def _sign_in(
    call: Call, provider: Provider, attempt: Attempt, answer: Mapping[str, str]
) -> tuple[Session, str]:
    services, address = call.services, connection(call).address
    if "error" in answer:
        error = answer["error"]
        texts = (error, answer.get("error_description", ""))
        detail = ": ".join(text[:200] for text in texts if text)
        raise OpenIdRefused("cancelled" if error == "access_denied" else "provider", detail)
    # Each attempt makes requests to the provider.
    services.sign_in_limiter.take(None, address, call.now)
    identity = await provider.identify(attempt, answer.get("code", ""), answer.get("iss"))
    # One at a time, because two sign-ins of a new person would otherwise create two people.
    async with services.accepting:
        started = await _start_with_retries(call, provider, attempt, identity)
    services.sign_in_limiter.give_back(None, address)
    services.forget_caller(started[0].owner_id)
    return started


async def _start_with_retries(
    call: Call, provider: Provider, attempt: Attempt, identity: Identity
) -> tuple[Session, str]:
    for _ in range(_RETRIES):
        try:
            return await _start_session(call, provider, attempt, identity)
        except Contended:
            # Another server has just created the same person. The next attempt finds them.
            continue
    return await _start_session(call, provider, attempt, identity)


async def _start_session(
    call: Call, provider: Provider, attempt: Attempt, identity: Identity
) -> tuple[Session, str]:
    command, cookie = await _command(call, provider, attempt, identity)
    return await start_session(call, command), cookie


class _Found(NamedTuple):
    person: AdminUser | None
    invite: str | None


async def _command(
    call: Call, provider: Provider, attempt: Attempt, identity: Identity
) -> tuple[SignInWithOpenId, str]:
    account = await call.services.reader.sessions.first_account()
    if account is None:
        raise OpenIdRefused("unavailable")
    found = await _find(call, account, attempt, identity)
    person_id = call.services.ids.make(account.partition)
    new = AdminUser(
        id=person_id if found.person is None else found.person.id,
        account_id=account.id,
        email=identity.email or "",
        inserted_at=call.now,
        updated_at=call.now,
        role="viewer",
        last_signed_in_at=call.now,
        openid_issuer=identity.issuer,
        openid_subject=identity.subject,
    )
    session, cookie = new_session(call, "openid", account.id, account.partition, new.id)
    command = SignInWithOpenId(
        request=Request(account.id, new.id, call.now),
        session=session,
        identity=identity,
        rules=provider.config.rules,
        new=new,
        found=None if found.person is None else found.person.id,
        invite=found.invite,
        connecting=attempt.session or None,
    )
    return command, cookie


async def _find(call: Call, account: Account, attempt: Attempt, identity: Identity) -> _Found:
    reader = call.services.reader
    known = await reader.admin_users.by_identity(account.id, identity.issuer, identity.subject)
    if attempt.session:
        connecting = await _connecting_person(call, account, attempt.session)
        if known is not None and known.id != connecting.id:
            raise OpenIdRefused("other_identity")
        return _Found(connecting, None)
    if known is not None or identity.email is None:
        return _Found(known, None)
    people = await reader.admin_users.by_email(identity.email)
    person = next((one for one in people if one.account_id == account.id), None)
    if person is not None:
        return _Found(person, None)
    for email in dict.fromkeys((identity.email, identity.email.lower())):
        invite = await reader.admin_user_invites.pending(account.id, email)
        if invite is not None:
            return _Found(None, invite.id)
    return _Found(None, None)


async def _connecting_person(call: Call, account: Account, session_id: str) -> AdminUser:
    sessions = call.services.reader.sessions
    session = await sessions.stored(SecretRef(account.id, session_id))
    idle_us = call.services.limits.session_idle_seconds * SECOND_US
    if session is None or session.ends_at(idle_us) <= call.now:
        raise OpenIdRefused("expired")
    person = await sessions.person(session)
    if person is None:
        raise OpenIdRefused("expired")
    return person


def _provider(call: Call) -> Provider:
    provider = call.services.provider
    if provider is None:
        raise NotFound("No OpenID Connect provider is configured: an operator sets openid_issuer")
    return provider


_START: Final = "/api/v1/session/openid"

OPERATIONS = (
    RawOperation(
        name="sessions.methods",
        method="GET",
        path="/api/v1/session/methods",
        summary="Show the sign-in methods",
        description="Lists the methods that people can sign in with.",
        access="public",
        max_body_bytes=TOKEN_BODY,
        reply=Success[SignInMethodsView],
        answer=_methods,
    ),
    RawOperation(
        name="sessions.start_openid",
        method="POST",
        path=_START,
        summary="Start a sign-in with OpenID Connect",
        description=(
            "Returns the provider's URL to send the browser to, and sets a cookie without which "
            "the sign-in cannot be finished. It must be finished within 10 minutes."
        ),
        access="public",
        max_body_bytes=SIGN_IN_BODY,
        reply=Success[OpenIdStartView],
        refusals=(
            BadRequest,
            NotAuthenticated,
            NotPermitted,
            NotFound,
            InvalidAction,
            TooLarge,
            ValidationFailed,
            Overloaded,
            Unavailable,
        ),
        body=OpenIdStartFields,
        answer=_start,
        examples=(Example("Back to the list of runs", {"return_to": "#/runs"}),),
    ),
    Redirecting(
        name="sessions.finish_openid",
        method="GET",
        path=f"{_START}/callback",
        summary="Finish a sign-in with OpenID Connect",
        description=(
            "The provider redirects the browser here. The response redirects it to the page where "
            "it started, with a session's cookie, or with the parameter openid_error, which says "
            "why there is no session."
        ),
        access="public",
        max_body_bytes=TOKEN_BODY,
        reply=RedirectView,
        refusals=(BadRequest, NotFound),
        parameters=(
            Parameter("code", "The code that the provider exchanges for an ID token."),
            Parameter("state", "The attempt that the response belongs to."),
            Parameter("iss", "The issuer of the response."),
            Parameter("error", "The reason why there is no code."),
        ),
        answer=_callback,
    ),
)
