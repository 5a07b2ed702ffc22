"""The status of the server, for its operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from prefactor_server._version import __version__
from prefactor_server.api.kernel.operation import Call, Read
from prefactor_server.api.views.base import Success, show_time
from prefactor_server.domain.times import SECOND_US
from prefactor_server.queries.server import ConsumerStatus


class LimitedView(msgspec.Struct, frozen=True, kw_only=True):
    """A current amount, and its limit or null."""

    now: int
    limit: int | None


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The database of all accounts.

    ``size_bytes`` includes logs and indexes. ``free_disk_bytes`` is null if the database is on
    another machine.
    """

    kind: str
    version: str
    schema_version: int
    size_bytes: int
    free_disk_bytes: int | None


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of writes that are not committed, and the requests whose batch has not begun."""

    bytes: LimitedView
    requests: int


class RequestsView(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that this process has answered.

    ``rejected`` counts 429 and 503 responses, and ``failed`` counts server errors (500).
    """

    answered: int
    rejected: int
    failed: int


class ConsumerView(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer of the change feed, and how far its derived rows are behind.

    ``behind`` counts positions of the change feed. ``complete`` is false during the backfill of
    older rows.
    """

    name: str
    position: int
    behind: int
    behind_seconds: float
    complete: bool


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """The position of the last commit in the change feed, and the consumers of the feed."""

    position: int
    consumers: Sequence[ConsumerView]


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """The process that answered, and its database. Replicas share the database and the feed.

    ``problem`` is why it accepts no writes now, and ``ready`` is whether there is no problem.
    Without a secret key, no webhook can be created or sent.
    """

    type: Literal["server"] = "server"
    version: str
    host: str
    pid: int
    now: str
    started_at: str
    uptime_seconds: float
    ready: bool
    problem: str | None
    has_secret_key: bool
    database: DatabaseView
    queue: QueueView
    buffered_bytes: LimitedView
    connections: LimitedView
    event_streams: LimitedView
    requests: RequestsView
    feed: FeedView


async def _show(call: Call) -> Success[ServerView]:
    services, process = call.services, call.services.process
    problem = await process.problem()
    database = await services.reader.server.database()
    feed = await services.reader.server.feed(call.now)
    writer, events, requests = services.writer, services.events, process.requests
    return Success(
        details=ServerView(
            version=__version__,
            host=process.host,
            pid=process.pid,
            now=show_time(call.now),
            started_at=show_time(process.started_at),
            uptime_seconds=max(call.now - process.started_at, 0) / SECOND_US,
            ready=problem is None,
            problem=problem,
            has_secret_key=services.webhooks.secrets.is_usable,
            database=DatabaseView(**database._asdict()),
            queue=QueueView(
                bytes=_limited(writer.queued_bytes, process.max_queue_bytes),
                requests=writer.queued_requests,
            ),
            buffered_bytes=_limited(services.budget.held, services.budget.limit),
            connections=_limited(process.connections(), process.max_connections),
            event_streams=_limited(events.streams, events.limits.max_streams),
            requests=RequestsView(
                answered=requests.answered, rejected=requests.rejected, failed=requests.failed
            ),
            feed=FeedView(
                position=feed.position, consumers=[_consumer(one) for one in feed.consumers]
            ),
        )
    )


def _consumer(one: ConsumerStatus) -> ConsumerView:
    return ConsumerView(
        name=one.name,
        position=one.position,
        behind=one.behind,
        behind_seconds=one.behind_us / SECOND_US,
        complete=one.complete,
    )


def _limited(now: int, limit: int) -> LimitedView:
    return LimitedView(now=now, limit=limit or None)


OPERATIONS = (
    Read(
        name="server.show",
        method="GET",
        path="/api/v1/server",
        right="administer",
        summary="Show the server's status",
        description=(
            "Shows the process that responds, its database and the derived data, for all accounts "
            "and without any of their data. Works even while the server accepts no writes."
        ),
        access="account",
        reply=Success[ServerView],
        answer=_show,
    ),
)
