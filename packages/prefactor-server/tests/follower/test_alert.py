"""The server's own alerts while servers are killed, share the work, and callers interleave."""

from collections.abc import Sequence
from typing import Any

import pytest
from postgres_database import do
from rows import ACCOUNT, NOW, finish, principal, register, request, start, webhook

from prefactor_server.commands.alert import ClearAlert
from prefactor_server.domain.listing import Listing
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.follower.alert import AlertConsumer
from prefactor_server.storage.base import Changes, Needs
from prefactor_server.storage.feed import ConsumerState, Derived

CLEAR = ClearAlert(request(), principal(), "run-1", "run.failed")


async def _alerts(storage: Any) -> Sequence[Alert]:
    return (await storage.rows(Alert, ACCOUNT, Listing())).rows


async def _deliveries(storage: Any) -> Sequence[WebhookDelivery]:
    return (await storage.rows(WebhookDelivery, ACCOUNT, Listing())).rows


async def _begin(storage: Any) -> tuple[ConsumerState, Derived]:
    """A consumer's state and its unwritten result for a failed run."""
    await do(storage, register("run-1"))
    await do(storage, start("run-1"))
    await do(storage, finish("run-1", "failed"))
    state = await storage.feed.begin(ConsumerState("alerts", 0, None))
    changes = await storage.feed.changes(0, 100)
    return state, await AlertConsumer(storage, lambda: NOW + 9).apply(changes)


async def test_nothing_is_raised_twice(storage: Any) -> None:
    """A slice is written together with its position, and repeating it changes nothing."""
    state, derived = await _begin(storage)
    moved = await storage.feed.advance(state, state._replace(position=9), derived)
    (raised,) = await _alerts(storage)

    # Another server that had the same slice, and one that was restored to a position before it.
    assert await storage.feed.advance(state, state._replace(position=9), derived) is None
    await storage.feed.advance(moved, moved, derived)

    assert (raised.name, raised.version, raised.raised_by) == ("run.failed", 1, "server")
    assert await _alerts(storage) == [raised]


async def test_no_event_is_sent_twice(storage: Any) -> None:
    """A slice that is applied again adds no webhook delivery to those of the first time."""
    subscribed = webhook(events='["run.failed", "run.finished"]')
    await storage.transact(
        {ACCOUNT: Needs()},
        lambda snapshots: snapshots[ACCOUNT].apply(Changes(inserted=(subscribed,))),
    )
    state, derived = await _begin(storage)
    moved = await storage.feed.advance(state, state._replace(position=9), derived)
    first = await _deliveries(storage)
    await storage.feed.advance(moved, moved, derived)

    assert sorted(one.event_type for one in first) == ["run.failed", "run.finished"]
    assert await _deliveries(storage) == first


async def test_a_clear_in_between_is_kept(storage: Any) -> None:
    """An alert that is cleared after it was read stays cleared when the slice is written."""
    state, derived = await _begin(storage)
    moved = await storage.feed.advance(state, state._replace(position=9), derived)
    await do(storage, CLEAR)
    await storage.feed.advance(moved, moved, derived)

    (alert,) = await _alerts(storage)
    assert (alert.status, alert.dismissed, alert.version) == ("cleared", True, 2)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_no_alert_outlives_its_run(storage: Any, when: str) -> None:
    """A run that is deleted before or after its slice is written leaves no alert."""
    state, derived = await _begin(storage)
    retention = Retention(ACCOUNT, NOW + 10**12)
    if when == "before":
        await storage.maintenance.prune(retention, NOW, "test")
    await storage.feed.advance(state, state._replace(position=9), derived)
    if when == "after":
        await storage.maintenance.prune(retention, NOW, "test")

    assert await _alerts(storage) == []
