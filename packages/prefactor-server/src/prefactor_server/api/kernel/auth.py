"""Authentication: from the ``Authorization`` header to a principal, cached for seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from prefactor_server.commands.api_token import TouchToken
from prefactor_server.commands.base import Request
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.api_token import (
    ApiToken,
    Principal,
    hash_token,
    looks_mistyped,
    token_status,
)
from prefactor_server.domain.errors import BadToken, NotAuthenticated, Refusal
from prefactor_server.queries.api_token import ApiTokenQueries

_MAX_CACHED: Final = 10_000
_TOUCH_EVERY_US: Final = 60 * 1_000_000
_SECOND_US: Final = 1_000_000
_BLANK: Final = " \t"

_log = structlog.get_logger(__name__)


class _CachedPrincipal(NamedTuple):
    principal: Principal
    until: int


class Authenticator:
    """Authenticates callers by their tokens.

    A valid token is cached for ``cache_seconds``, so a token that another process suspended may
    work here for that long. ``forget`` drops it at once. An invalid token is looked up every time,
    because that is rare and the token may become valid.
    """

    def __init__(
        self,
        tokens: ApiTokenQueries,
        writer: Writer,
        *,
        now_us: Callable[[], int],
        cache_seconds: int,
    ) -> None:
        self._tokens = tokens
        self._writer = writer
        self._now_us = now_us
        self._cache_us = cache_seconds * _SECOND_US
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
        now = self._now_us()
        cached = self._cache.get(token_hash)
        if cached is not None and now < cached.until:
            return cached.principal
        return await self._look_up(token, token_hash, now)

    def forget(self, token_id: str) -> None:
        """Drop a token from the cache because it was changed."""
        self._forgotten += 1
        for token_hash, cached in tuple(self._cache.items()):
            if cached.principal.token_id == token_id:
                del self._cache[token_hash]

    async def _look_up(self, token: str, token_hash: bytes, now: int) -> Principal:
        self._cache.pop(token_hash, None)
        forgotten = self._forgotten
        found = None if looks_mistyped(token) else await self._tokens.by_hash(token_hash)
        if found is None:
            raise BadToken("Token is unknown")
        stored, account = found
        status = token_status(stored, now)
        if status != "active":
            raise BadToken(f"Token {'expired' if status == 'expired' else f'is {status}'}")
        principal = Principal(
            token_id=stored.id,
            account_id=account.id,
            partition=account.partition,
            scope=stored.token_scope,
            agent_id=stored.agent_id,
            environment_id=stored.environment_id,
            agent_deployment_id=stored.agent_deployment_id,
            role="admin",
        )
        # If any token was changed during the read, its result may be stale and is not cached.
        if self._forgotten == forgotten:
            self._remember(token_hash, principal, stored, now)
        self._record_use(principal, now)
        return principal

    def _remember(self, token_hash: bytes, principal: Principal, token: ApiToken, now: int) -> None:
        until = now + self._cache_us
        if token.expires_at is not None:
            until = min(until, token.expires_at)
        self._cache[token_hash] = _CachedPrincipal(principal, until)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)

    def _record_use(self, principal: Principal, now: int) -> None:
        last = self._last_used.pop(principal.token_id, None)
        due = last is None or now - last >= _TOUCH_EVERY_US
        self._last_used[principal.token_id] = now if due or last is None else last
        if len(self._last_used) > _MAX_CACHED:
            self._last_used.popitem(last=False)
        if due:
            # The loop only keeps weak references to tasks; without this one it could be collected.
            task = asyncio.get_running_loop().create_task(self._touch(principal, now))
            self._touches.add(task)
            task.add_done_callback(self._touches.discard)

    async def _touch(self, principal: Principal, now: int) -> None:
        request = Request(principal.account_id, principal.token_id, now, None, b"")
        try:
            await self._writer.submit([TouchToken(request, principal.token_id)], 0)
        except Refusal as refusal:
            _log.info("token_use_not_noted", reason=refusal.message)


def _bearer(authorization: str | None) -> str:
    # Only the blanks of HTTP: a bare `strip()` also strips control codes and Latin-1's spaces.
    scheme, _, token = (authorization or "").strip(_BLANK).partition(" ")
    token = token.strip(_BLANK)
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("Send a token in the header Authorization: Bearer <token>")
    return token
