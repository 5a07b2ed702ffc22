"""Webhooks and their outbox in a database file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prefactor_server.domain.listing import MAX_COUNTED
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.upkeep.verify import RunOnThread
from prefactor_server.storage.webhooks import DELIVERY_COLUMNS, WEBHOOK_COLUMNS

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{webhook}", WEBHOOK_COLUMNS).replace("{delivery}", DELIVERY_COLUMNS)
    for name, text in load_sql("prefactor_server.storage.sqlite.sql", "webhooks.sql").items()
}


class SqliteWebhooks:
    """See ``WebhookStorage``.

    ``on_writer`` runs work on the writer thread, inside a transaction; ``on_reader`` on a reader
    thread.
    """

    def __init__(self, on_writer: RunOnThread, on_reader: RunOnThread) -> None:
        self._on_writer = on_writer
        self._on_reader = on_reader

    async def enabled(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """See ``WebhookStorage.enabled``."""
        named = {"accounts": json.dumps(list(account_ids))}
        return await self._all(Webhook._make, "webhooks.enabled", named)

    async def last_inserted_at(self) -> int:
        """See ``WebhookStorage.last_inserted_at``."""
        return await self._number("webhooks.last_inserted_at", {})

    async def ready(self, now: int, limit: int) -> Sequence[Webhook]:
        """See ``WebhookStorage.ready``."""
        named = {"now": now, "limit": limit}
        return await self._all(Webhook._make, "webhooks.ready", named)

    async def due(
        self, account_id: str, webhook_id: str, now: int, limit: int
    ) -> Sequence[WebhookDelivery]:
        """See ``WebhookStorage.due``."""
        named = {"account_id": account_id, "webhook_id": webhook_id, "now": now, "limit": limit}
        return await self._all(WebhookDelivery._make, "webhooks.due", named)

    async def pending(self) -> int:
        """See ``WebhookStorage.pending``."""
        return await self._number("webhooks.pending", {"limit": MAX_COUNTED})

    async def prune(self, before: int, limit: int) -> int:
        """See ``WebhookStorage.prune``."""
        named = {"before": before, "limit": limit}

        def prune(connection: sqlite3.Connection) -> int:
            statements = ("webhooks.prune_old", "webhooks.prune_deleted")
            return sum(connection.execute(_SQL[one], named).rowcount for one in statements)

        return await self._on_writer(prune)

    async def _number(self, statement: str, named: Mapping[str, Any]) -> int:
        return await self._on_reader(
            lambda connection: int(connection.execute(_SQL[statement], named).fetchone()[0])
        )

    async def _all(
        self, make: Callable[[Iterable[Any]], T], statement: str, named: Mapping[str, Any]
    ) -> list[T]:
        return await self._on_reader(
            lambda connection: [
                make(record) for record in connection.execute(_SQL[statement], named)
            ]
        )
