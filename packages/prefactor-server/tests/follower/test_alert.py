"""The server's own alerts while servers are killed, share the work, and callers interleave."""

from collections.abc import Sequence
from typing import Any

import pytest
from postgres_database import do
from rows import ACCOUNT, NOW, finish, principal, register, request, start, webhook
from tally import catch_up

from prefactor_server.commands.alert import ClearAlert
from prefactor_server.commands.runs.abandoned_run import MarkAbandoned
from prefactor_server.domain.listing import Listing
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.follower import Attached, CommitSignal, Follower
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


@pytest.mark.parametrize(
    ("command", "events"),
    [
        (finish("run-1", "failed"), ["run.failed", "run.finished"]),
        (MarkAbandoned(request(now=NOW + 8), "run-1", NOW + 8), ["run.abandoned"]),
    ],
)
async def test_an_alert_during_a_backfill_is_sent_once(
    storage: Any, monkeypatch: pytest.MonkeyPatch, command: Any, events: list[str]
) -> None:
    """A cause after the feed was read, and before the backfill reads the run, sends its events.

    The backfill raises the alert, and the feed brings the change afterwards.
    """
    subscribed = webhook(events='["run.abandoned", "run.failed", "run.finished"]')
    await storage.transact(
        {ACCOUNT: Needs()},
        lambda snapshots: snapshots[ACCOUNT].apply(Changes(inserted=(subscribed,))),
    )
    await do(storage, register("run-1"))
    await do(storage, start("run-1"))
    runs_from = storage.feed.runs_from

    async def change_run_before(*args: Any) -> Any:
        monkeypatch.setattr(storage.feed, "runs_from", runs_from)
        await do(storage, command)
        return await runs_from(*args)

    monkeypatch.setattr(storage.feed, "runs_from", change_run_before)
    consumer = Attached(AlertConsumer(storage, lambda: NOW + 9))
    follower = Follower(
        storage.feed, [consumer], CommitSignal(), holder="test", now_us=lambda: NOW + 9
    )
    await catch_up(follower)

    assert [one.name for one in await _alerts(storage)] == events[:1]
    assert sorted(one.event_type for one in await _deliveries(storage)) == events


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
