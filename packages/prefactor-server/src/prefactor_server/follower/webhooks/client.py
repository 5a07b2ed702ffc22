"""Sending one delivery: signed, only to permitted addresses, with limits on time and size."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Final

from prefactor_server._version import __version__
from prefactor_server.domain.errors import Overloaded
from prefactor_server.domain.runs.webhooks.delivery import MAX_DELAY_US, Attempt, WebhookDelivery
from prefactor_server.domain.runs.webhooks.signature import signed_headers
from prefactor_server.domain.runs.webhooks.target import (
    NO_NETWORKS,
    AllowedNetworks,
    Target,
    read_target,
)
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.domain.times import SECOND_US
from prefactor_server.follower.webhooks.secret_box import SecretBox, UnreadableSecret

if TYPE_CHECKING:
    from prefactor_server.follower.webhooks.connection import GuardedNetwork, Resolve

TIMEOUT_SECONDS: Final = 15.0
_USER_AGENT: Final = f"prefactor-server/{__version__}"
_MAX_TESTS: Final = 8
_MAX_ANSWER: Final = 64 * 1024
_CONNECTIONS: Final = 100
_IDLE_CONNECTIONS: Final = 20
_IDLE_SECONDS: Final = 15.0
_REDIRECTS: Final = range(300, 400)
_OK: Final = range(200, 300)
_WHOLE_SECONDS: Final = re.compile(rb"[0-9]{1,9}\Z")


class WebhookClient:
    """Sends deliveries over HTTP.

    ``allowed`` lists the private networks that may be reached. ``resolve`` looks up host names, by
    default with the system's resolver.
    """

    def __init__(
        self,
        secrets: SecretBox,
        allowed: AllowedNetworks = NO_NETWORKS,
        *,
        now_us: Callable[[], int],
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve | None = None,
    ) -> None:
        self.secrets = secrets
        self.allowed = allowed
        self._now_us = now_us
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve
        self._pools: dict[str, _Pool] = {}
        self._tests = 0

    async def send(self, webhook: Webhook, delivery: WebhookDelivery) -> Attempt:
        """Send a delivery once. A failure is part of the result, never raised."""
        at = self._now_us()
        try:
            target = read_target(webhook.url, self.allowed)
            signing = signing_secrets(self.secrets, webhook, at)
        except (ValueError, UnreadableSecret) as error:
            return Attempt(at, None, str(error))
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "content-length": str(len(delivery.body)),
            "user-agent": _USER_AGENT,
            "accept": "*/*",
            **signed_headers(delivery.event_id, at, delivery.body, signing),
        }
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, retry_after = await self._post(target, headers, delivery.body)
        except TimeoutError:
            reason = f"no complete answer within {self._timeout_seconds:g} seconds"
            return Attempt(self._now_us(), None, reason)
        except _NotSent as failure:
            return Attempt(self._now_us(), None, str(failure))
        return Attempt(self._now_us(), status, _problem(status), retry_after)

    async def send_test(self, webhook: Webhook, delivery: WebhookDelivery) -> Attempt:
        """Send a delivery while a caller waits for the result.

        Raises:
            Overloaded: too many callers wait already.
        """
        if self._tests >= _MAX_TESTS:
            raise Overloaded("Too many tests of webhooks are under way: send this one later")
        self._tests += 1
        try:
            return await self.send(webhook, delivery)
        finally:
            self._tests -= 1

    async def close(self) -> None:
        """Close every connection that is still open."""
        for pool in self._pools.values():
            await pool.close()

    async def _post(
        self, target: Target, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, int]:
        # Imported on first use: a server without webhooks needs no HTTP client.
        import httpcore2  # noqa: PLC0415 - see above

        from prefactor_server.follower.webhooks.connection import AddressRefused  # noqa: PLC0415 - see above

        url = httpcore2.URL(
            scheme=target.scheme, host=target.host, port=target.port, target=target.path
        )
        pool = self._pools.get(target.scheme)
        if pool is None:
            pool = self._pools[target.scheme] = _Pool(target.scheme, self.allowed, self._resolve)
        seconds = self._timeout_seconds
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        try:
            async with pool.connections.stream(
                "POST",
                url,
                headers=[(name.encode(), text.encode()) for name, text in headers.items()],
                content=body,
                extensions={"timeout": timeouts},
            ) as response:
                size = 0
                async for chunk in response.aiter_stream():
                    size += len(chunk)
                    if size > _MAX_ANSWER:
                        break
                return response.status, _retry_after_us(response.headers)
        except AddressRefused as refused:
            raise _NotSent(str(refused)) from refused
        except httpcore2.TimeoutException as error:
            raise TimeoutError from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise _NotSent(f"{type(error).__name__}: {error}".removesuffix(": ")) from error


def signing_secrets(secrets: SecretBox, webhook: Webhook, now: int) -> Sequence[str]:
    """Return the secrets to sign with at ``now``, the newest first.

    Raises:
        UnreadableSecret: one of them cannot be decrypted.
    """
    signing = [secrets.decrypt(webhook.secret, webhook.id)]
    if webhook.previous_secret is not None and now < webhook.previous_secret_until:
        signing.append(secrets.decrypt(webhook.previous_secret, webhook.id))
    return signing


class _NotSent(Exception):
    """No response was received; the message says why."""


class _Pool:
    """The open connections of one URL scheme."""

    def __init__(self, scheme: str, allowed: AllowedNetworks, resolve: Resolve | None) -> None:
        import httpcore2  # noqa: PLC0415 - see WebhookClient._post

        from prefactor_server.follower.webhooks import connection  # noqa: PLC0415 - the same

        self._network: GuardedNetwork = connection.GuardedNetwork(
            scheme, allowed, resolve or connection.resolve
        )
        self.connections = httpcore2.AsyncConnectionPool(
            ssl_context=_tls() if scheme == "https" else None,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=self._network,
        )

    async def close(self) -> None:
        self._network.close()
        await self.connections.aclose()


@cache
def _tls() -> SSLContext:
    """Return a TLS context, made once: reading the system's certificates takes 10 ms or more."""
    import httpx2  # noqa: PLC0415 - see WebhookClient._post

    return httpx2.create_ssl_context()


def _problem(status: int) -> str | None:
    if status in _OK:
        return None
    if status in _REDIRECTS:
        return f"the receiver answered {status}: redirects are not followed, give the new URL"
    return f"the receiver answered {status}"


def _retry_after_us(headers: Sequence[tuple[bytes, bytes]]) -> int:
    for name, text in headers:
        if name.lower() == b"retry-after" and _WHOLE_SECONDS.match(text) is not None:
            return min(int(text) * SECOND_US, MAX_DELAY_US)
    return 0
