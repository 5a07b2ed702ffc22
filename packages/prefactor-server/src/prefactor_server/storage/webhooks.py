"""Webhooks and their outbox: reads of one database, across its accounts.

Commands and the follower write their rows in batches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prefactor_server.domain.listing import MAX_COUNTED
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage.sql import NamedStatements


class WebhookStorage:
    """The webhooks in one database.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    def __init__(self, statements: NamedStatements) -> None:
        self._statements = statements

    async def enabled(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of accounts."""
        return await self._statements.rows(
            Webhook._make, "webhooks.enabled", accounts=list(account_ids)
        )

    async def last_inserted_at(self) -> int:
        """Return the ``inserted_at`` of the last delivery, or 0 if there are none."""
        return int(await self._statements.value("webhooks.last_inserted_at"))

    async def ready(self, now: int, limit: int) -> Sequence[Webhook]:
        """Return enabled webhooks with deliveries to send now, working ones first."""
        return await self._statements.rows(Webhook._make, "webhooks.ready", now=now, limit=limit)

    async def due(
        self, account_id: str, webhook_id: str, now: int, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Return a webhook's deliveries to send now: the first pending one of each run."""
        return await self._statements.rows(
            WebhookDelivery._make,
            "webhooks.due",
            account_id=account_id,
            webhook_id=webhook_id,
            now=now,
            limit=limit,
        )

    async def pending(self) -> int:
        """Return the number of pending deliveries, up to ten thousand."""
        return int(await self._statements.value("webhooks.pending", limit=MAX_COUNTED))

    async def prune(self, before: int, limit: int) -> int:
        """Delete some old deliveries, or deliveries of deleted webhooks; return how many.

        Servers on one database skip each other's slices.
        """
        old = await self._statements.change("webhooks.prune_old", before=before, limit=limit)
        return old + await self._statements.change("webhooks.prune_deleted", limit=limit)
