"""Authentication: maps a token or a session's cookie to a principal, with a short-lived cache."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import structlog

from prefactor_server.commands.api_token import TouchToken
from prefactor_server.commands.base import Command, Request
from prefactor_server.commands.people.session import TouchSession
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import (
    ApiToken,
    Principal,
    hash_token,
    looks_mistyped,
    token_status,
)
from prefactor_server.domain.errors import BadToken, NotAuthenticated, Refusal
from prefactor_server.domain.people.secret_text import hash_secret, is_secret_of, read_secret
from prefactor_server.domain.people.session import PREFIX, UNKNOWN_SESSION, Session
from prefactor_server.domain.times import MINUTE_US, SECOND_US
from prefactor_server.queries.api_token import ApiTokenQueries
from prefactor_server.queries.people.session import SessionQueries

_MAX_CACHED: Final = 10_000
_TOUCH_EVERY_US: Final = MINUTE_US
_BLANK: Final = " \t"

_log = structlog.get_logger(__name__)


class _CachedPrincipal(NamedTuple):
    principal: Principal
    until: int


class Authenticator:
    """Authenticates callers by their tokens or by the cookies of their sessions.

    Valid ones are cached for ``cache_seconds``. One that another process suspended or revoked may
    work here for that long. ``forget`` drops one from the cache. Invalid ones are looked up every
    time, because they are rare and may become valid.
    """

    def __init__(
        self,
        tokens: ApiTokenQueries,
        sessions: SessionQueries,
        writer: Writer,
        *,
        now_us: Callable[[], int],
        cache_seconds: int,
        idle_seconds: int,
    ) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._writer = writer
        self._now_us = now_us
        self._cache_us = cache_seconds * SECOND_US
        self._idle_us = idle_seconds * SECOND_US
        self._forgotten = 0
        self._cache: OrderedDict[bytes, _CachedPrincipal] = OrderedDict()
        self._last_used: OrderedDict[str, int] = OrderedDict()
        self._touches: set[asyncio.Task[None]] = set()

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return the principal of an ``Authorization`` header.

        Raises:
            NotAuthenticated: the token is missing or invalid.
        """
        token = _bearer(authorization)
        token_hash = hash_token(token)
        cached = self._cached(token_hash)
        return await self._look_up(token, token_hash) if cached is None else cached

    async def authenticate_session(self, cookie: str) -> Principal:
        """Return the principal of a session's cookie.

        Raises:
            NotAuthenticated: the session is unknown, or has ended.
        """
        token_hash = hash_secret(cookie)
        cached = self._cached(token_hash)
        return await self._look_up_session(cookie, token_hash) if cached is None else cached

    def forget(self, caller_id: str) -> None:
        """Drop a token, a session or a person from the cache because it was changed."""
        self._forgotten += 1
        for token_hash, (principal, _) in tuple(self._cache.items()):
            if caller_id in (principal.token_id, principal.session_id, principal.admin_user_id):
                del self._cache[token_hash]

    def _cached(self, token_hash: bytes) -> Principal | None:
        cached = self._cache.get(token_hash)
        return None if cached is None or self._now_us() >= cached.until else cached.principal

    async def _look_up(self, token: str, token_hash: bytes) -> Principal:
        self._cache.pop(token_hash, None)
        forgotten, now = self._forgotten, self._now_us()
        found = None if looks_mistyped(token) else await self._tokens.by_hash(token_hash)
        if found is None:
            raise BadToken("Token is unknown: check it, or create another one")
        stored, account = found
        principal = _token_principal(stored, account, now)
        self._remember(token_hash, principal, stored.expires_at, now, forgotten)
        self._record_use(principal.token_id, TouchToken(_touch(principal, now), stored.id), now)
        return principal

    async def _look_up_session(self, cookie: str, token_hash: bytes) -> Principal:
        self._cache.pop(token_hash, None)
        forgotten, now = self._forgotten, self._now_us()
        ref = read_secret(PREFIX, cookie)
        session = None if ref is None else await self._sessions.stored(ref)
        if session is None or not is_secret_of(token_hash, session.token_hash):
            raise BadToken(UNKNOWN_SESSION)
        if session.ends_at(self._idle_us) <= now:
            raise BadToken("The session has expired: sign in again")
        principal = await self._session_principal(session, now)
        self._remember(token_hash, principal, session.ends_at(self._idle_us), now, forgotten)
        if now - session.last_used_at >= _TOUCH_EVERY_US:
            self._record_use(session.id, TouchSession(_touch(principal, now), session.id), now)
        return principal

    async def _session_principal(self, session: Session, now: int) -> Principal:
        account = await self._sessions.account(session.account_id)
        if account is not None and session.admin_user_id is None:
            token = await self._sessions.token(session)
            if token is not None:
                return replace(_token_principal(token, account, now), session_id=session.id)
        elif account is not None:
            person = await self._sessions.person(session)
            if person is not None:
                return Principal(
                    token_id=session.id,
                    account_id=account.id,
                    partition=account.partition,
                    scope="account",
                    agent_id=None,
                    environment_id=None,
                    agent_deployment_id=None,
                    role=person.role,
                    admin_user_id=person.id,
                    session_id=session.id,
                )
        raise BadToken("The person or token of this session was removed: sign in again")

    def _remember(
        self,
        token_hash: bytes,
        principal: Principal,
        expires_at: int | None,
        now: int,
        forgotten: int,
    ) -> None:
        # If anything changed during the read, its result may be stale and is not cached.
        if self._forgotten != forgotten:
            return
        until = now + self._cache_us
        self._cache[token_hash] = _CachedPrincipal(
            principal, until if expires_at is None else min(until, expires_at)
        )
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)

    def _record_use(self, caller_id: str, touch: Command, now: int) -> None:
        last = self._last_used.pop(caller_id, None)
        due = last is None or now - last >= _TOUCH_EVERY_US
        self._last_used[caller_id] = now if due or last is None else last
        if len(self._last_used) > _MAX_CACHED:
            self._last_used.popitem(last=False)
        if due:
            # The loop has only weak references to tasks, so an unreferenced one could be collected.
            task = asyncio.get_running_loop().create_task(self._touch(touch))
            self._touches.add(task)
            task.add_done_callback(self._touches.discard)

    async def _touch(self, touch: Command) -> None:
        try:
            await self._writer.submit([touch], 0)
        except Refusal as refusal:
            _log.info("use_not_recorded", reason=refusal.message)


def _touch(principal: Principal, now: int) -> Request:
    return Request(principal.account_id, principal.actor, now)


def _token_principal(token: ApiToken, account: Account, now: int) -> Principal:
    status = token_status(token, now)
    if status != "active":
        raise BadToken(f"Token {'expired' if status == 'expired' else f'is {status}'}")
    return Principal(
        token_id=token.id,
        account_id=account.id,
        partition=account.partition,
        scope=token.token_scope,
        agent_id=token.agent_id,
        environment_id=token.environment_id,
        agent_deployment_id=token.agent_deployment_id,
        role="admin",
    )


def _bearer(authorization: str | None) -> str:
    # Only HTTP's whitespace: a bare `strip()` also strips control codes and Latin-1's spaces.
    scheme, _, token = (authorization or "").strip(_BLANK).partition(" ")
    token = token.strip(_BLANK)
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated(
            "Send a token in the header Authorization: Bearer <token>, or sign in"
        )
    return token
