"""The outbox of webhooks while a slice is applied: which webhooks receive which events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.webhooks.delivery import (
    WebhookDelivery,
    delivery_id,
    event_id,
    new_delivery,
)
from prefactor_server.domain.runs.webhooks.event import run_event
from prefactor_server.domain.runs.webhooks.webhook import Subscription
from prefactor_server.storage.base import Needs, Snapshot, Storage


class Event(NamedTuple):
    """An event of a run that webhooks may receive.

    ``occurrence`` distinguishes it from other events of its type and run. It is the same when the
    event is derived again.
    """

    type: str
    occurrence: str
    at: int

    def id_for(self, run_id: str) -> str:
        """Return the id under which receivers get the event."""
        return event_id(run_id, self.type, self.occurrence)


class Outbox:
    """The enabled webhooks of some accounts, and their deliveries.

    Without enabled webhooks, which is the usual case, nothing is read or written.
    """

    def __init__(
        self,
        subscriptions: Mapping[str, Sequence[Subscription]],
        *,
        first_time: int,
        now: int,
        public_url: str,
    ) -> None:
        self._subscriptions = subscriptions
        self._first_time = first_time
        self._now = now
        self._public_url = public_url

    @classmethod
    async def open(
        cls, storage: Storage, account_ids: Collection[str], now: int, public_url: str
    ) -> Outbox:
        """Return the outbox of accounts, with their webhooks as they are now."""
        found: dict[str, list[Subscription]] = defaultdict(list)
        for webhook in await storage.webhooks.enabled(account_ids) if account_ids else ():
            found[webhook.account_id].append(Subscription(webhook))
        # Only one server at a time writes deliveries, so new times follow the stored ones.
        first = max(now, await storage.webhooks.last_inserted_at() + 1) if found else 0
        return cls(found, first_time=first, now=now, public_url=public_url)

    def has_webhooks(self, account_id: str) -> bool:
        """Return whether any webhook of an account is enabled."""
        return account_id in self._subscriptions

    def need(self, needs: Needs, account_id: str, run_id: str, events: Sequence[Event]) -> None:
        """Add the deliveries that may already exist, because a slice may be applied again."""
        for event in events:
            needs.rows.update(
                (WebhookDelivery, delivery_id(subscription.webhook.id, event.id_for(run_id)))
                for subscription in self._subscriptions.get(account_id, ())
            )

    def times(self) -> Iterator[int]:
        """Yield the times of new deliveries in order. Every call starts at the same time."""
        return count(self._first_time)

    def deliveries(
        self,
        snapshot: Snapshot,
        run: AgentInstance,
        event: Event,
        times: Iterator[int],
        **data: Any,
    ) -> Iterator[WebhookDelivery]:
        """Yield the deliveries of an event that do not exist yet."""
        body: bytes | None = None
        event_id = event.id_for(run.id)
        for subscription in self._subscriptions.get(run.account_id, ()):
            webhook = subscription.webhook
            if not subscription.wants(event.type, run, event.at):
                continue
            if snapshot.get(WebhookDelivery, delivery_id(webhook.id, event_id)) is not None:
                continue
            if body is None:
                body = run_event(event.type, event.at, run, self._public_url, **data)
            yield new_delivery(
                webhook,
                run_id=run.id,
                event_id=event_id,
                event_type=event.type,
                body=body,
                inserted_at=next(times),
                now=self._now,
            )
