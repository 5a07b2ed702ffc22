"""Sends the deliveries of webhooks, on one replica at a time.

A webhook with pending deliveries has its own task, so that a slow receiver delays no other. The
result of a delivery is stored after it was sent. If a server is killed in between, the delivery is
sent again, with the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from prefactor_server.background import repeat
from prefactor_server.commands.base import Request
from prefactor_server.commands.webhook_delivery import RecordAttempt
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.errors import Refusal, Unavailable
from prefactor_server.domain.runs.webhooks.delivery import Jitter, WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.follower.lease import Lease
from prefactor_server.follower.webhooks.client import WebhookClient
from prefactor_server.json_log import trace_of
from prefactor_server.storage.base import Storage

_log = structlog.get_logger("prefactor_server")

LEASE_NAME: Final = "webhooks"
_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 3.0
_WEBHOOKS: Final = 32
"""How many webhooks receive deliveries at a time. Working ones come before failing ones."""
_AT_ONCE: Final = 4
"""How many deliveries one webhook receives at a time, each about a different run."""
_FETCHED: Final = 64
"""How many deliveries of one webhook are held in memory at a time."""
_PRUNE_SECONDS: Final = 60.0
_PRUNED: Final = 1000
_ACTOR: Final = "server"


class WebhookSender:
    """Sends pending deliveries while ``run`` runs.

    Deliveries are deleted after ``keep_us``, whether they were delivered or not.
    """

    def __init__(
        self,
        storage: Storage,
        writer: Writer,
        client: WebhookClient,
        lease: Lease,
        *,
        now_us: Callable[[], int],
        jitter: Jitter,
        keep_us: int,
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._client = client
        self._lease = lease
        self._now_us = now_us
        self._jitter = jitter
        self._keep_us = keep_us
        self._active: dict[str, asyncio.Task[None]] = {}
        self._next_prune = 0.0
        self._closing = False
        self.delivered = 0
        self.failed = 0
        self.pending = 0

    async def run(self) -> None:
        """Send until cancelled. While the database is unavailable, try again every few seconds."""

        async def step() -> float:
            await self.turn()
            await self._prune()
            return _POLL_SECONDS

        try:
            await repeat(step, task="webhooks", max_retry_seconds=_RETRY_SECONDS)
        finally:
            await self.close()

    async def turn(self) -> None:
        """Start a task for each webhook with a delivery that is due.

        Raises:
            Unavailable: the database cannot be reached, or cannot take writes now.
        """
        ready = await self._storage.webhooks.ready(self._now_us(), _WEBHOOKS + len(self._active))
        if not ready and not self._active:
            self.pending = 0
            return
        if not await self._lease.take():
            return
        self.pending = await self._storage.webhooks.pending()
        for webhook in ready:
            if webhook.id not in self._active and len(self._active) < _WEBHOOKS:
                task = asyncio.create_task(self._send_to(webhook.account_id, webhook.id))
                self._active[webhook.id] = task
                task.add_done_callback(partial(self._forget, webhook.id))

    def _forget(self, webhook_id: str, task: asyncio.Task[None]) -> None:
        del task
        self._active.pop(webhook_id, None)

    async def idle(self) -> None:
        """Wait until no delivery is being sent."""
        while self._active:
            await asyncio.wait(tuple(self._active.values()))

    async def close(self) -> None:
        """Start no more deliveries, wait a few seconds for the current ones, and release the lease.

        A delivery that is not finished by then is cancelled, and sent again by the next holder.
        """
        self._closing = True
        if tasks := tuple(self._active.values()):
            _, unfinished = await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished)
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._lease.release()
        await self._client.close()

    async def _send_to(self, account_id: str, webhook_id: str) -> None:
        try:
            while await self._send_some(account_id, webhook_id):
                pass
        except Refusal as error:
            _log.warning("webhook_not_sent", webhook=webhook_id, reason=error.message)
            await asyncio.sleep(_RETRY_SECONDS)
        except Exception as error:  # noqa: BLE001 - one webhook's failure must not stop the others
            _log.error("webhook_failed", webhook=webhook_id, trace=trace_of(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _send_some(self, account_id: str, webhook_id: str) -> bool:
        """Send some of what is due to a webhook; return whether more may be due now."""
        if not self._may_send:
            return False
        now = self._now_us()
        webhook = await self._storage.row(Webhook, account_id, webhook_id)
        if webhook is None or webhook.status == "disabled" or webhook.not_before > now:
            return False
        # A receiver that failed is tried with a single delivery.
        limit = 1 if webhook.failures else _FETCHED
        due = await self._storage.webhooks.due(account_id, webhook_id, now, limit)
        return bool(due) and await self._send_all(webhook, due)

    async def _send_all(self, webhook: Webhook, due: Sequence[WebhookDelivery]) -> bool:
        """Send deliveries, a few at a time; return False once the receiver fails as a whole."""
        waiting = list(reversed(due))
        accepts_more = True

        async def send_next() -> None:
            nonlocal accepts_more
            while waiting and accepts_more and self._may_send:
                accepts_more = await self._send(webhook, waiting.pop()) and accepts_more

        sending = [asyncio.create_task(send_next()) for _ in range(min(_AT_ONCE, len(due)))]
        try:
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()
        return accepts_more

    @property
    def _may_send(self) -> bool:
        return self._lease.is_held and not self._closing

    async def _send(self, webhook: Webhook, delivery: WebhookDelivery) -> bool:
        attempt = await self._client.send(webhook, delivery)
        if attempt.succeeded:
            self.delivered += 1
        else:
            self.failed += 1
        request = Request(webhook.account_id, _ACTOR, attempt.at)
        command = RecordAttempt(request, webhook.id, delivery.id, attempt, self._jitter())
        await self._writer.submit([command], 0)
        return attempt.succeeded or not attempt.receiver_fails

    async def _prune(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_prune:
            return
        deleted = await self._storage.webhooks.prune(self._now_us() - self._keep_us, _PRUNED)
        if not deleted:
            self._next_prune = now + _PRUNE_SECONDS
