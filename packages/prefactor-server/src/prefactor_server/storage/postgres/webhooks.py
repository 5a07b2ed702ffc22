"""Webhooks and their outbox in a database on a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prefactor_server.domain.listing import MAX_COUNTED
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.webhooks import DELIVERY_COLUMNS, WEBHOOK_COLUMNS

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{webhook}", WEBHOOK_COLUMNS).replace("{delivery}", DELIVERY_COLUMNS)
    for name, text in load_sql("prefactor_server.storage.postgres.sql", "webhooks.sql").items()
}


class PostgresWebhooks:
    """See ``WebhookStorage``."""

    def __init__(self, writing: RetryingPool, reading: RetryingPool) -> None:
        self._writing = writing
        self._reading = reading

    async def enabled(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """See ``WebhookStorage.enabled``."""
        return await self._all(Webhook._make, "webhooks.enabled", list(account_ids))

    async def last_inserted_at(self) -> int:
        """See ``WebhookStorage.last_inserted_at``."""
        return await self._number("webhooks.last_inserted_at")

    async def ready(self, now: int, limit: int) -> Sequence[Webhook]:
        """See ``WebhookStorage.ready``."""
        return await self._all(Webhook._make, "webhooks.ready", now, limit)

    async def due(
        self, account_id: str, webhook_id: str, now: int, limit: int
    ) -> Sequence[WebhookDelivery]:
        """See ``WebhookStorage.due``."""
        values = (account_id, webhook_id, now, limit)
        return await self._all(WebhookDelivery._make, "webhooks.due", *values)

    async def pending(self) -> int:
        """See ``WebhookStorage.pending``."""
        return await self._number("webhooks.pending", MAX_COUNTED)

    async def prune(self, before: int, limit: int) -> int:
        """See ``WebhookStorage.prune``; replicas skip each other's slices."""
        old = await self._writing.run(
            lambda connection: connection.execute(_SQL["webhooks.prune_old"], before, limit)
        )
        deleted = await self._writing.run(
            lambda connection: connection.execute(_SQL["webhooks.prune_deleted"], limit)
        )
        return sum(int(status.split()[-1]) for status in (old, deleted))

    async def _number(self, statement: str, *values: object) -> int:
        return await self._reading.run(
            lambda connection: connection.fetchval(_SQL[statement], *values)
        )

    async def _all(
        self, make: Callable[[Iterable[Any]], T], statement: str, *values: object
    ) -> list[T]:
        records = await self._reading.run(
            lambda connection: connection.fetch(_SQL[statement], *values)
        )
        return [make(record) for record in records]
