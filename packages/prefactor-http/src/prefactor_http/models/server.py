"""The server: its state, for operators, and the prices it computes costs with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class Limited(ReplyModel):
    """The current amount of something, and its limit; None for no limit."""

    now: int
    limit: int | None = None


class ServerDatabase(ReplyModel):
    """The database, including the data of all accounts."""

    kind: str
    version: str
    schema_version: int
    """The number of its last migration."""
    size_bytes: int
    free_disk_bytes: int | None = None
    """None if its disk belongs to another machine."""


class ServerQueue(ReplyModel):
    """The bytes of writes that are not committed, and the requests whose batch has not begun."""

    bytes: Limited
    requests: int


class ServerRequests(ReplyModel):
    """Requests answered by the process."""

    answered: int
    rejected: int
    """Answered 429 or 503."""
    failed: int
    """Answered 500 because of an error in the server."""


class ServerConsumer(ReplyModel):
    """A kind of data derived from runs, and its lag."""

    name: str
    position: int
    behind: int
    """In positions of the change feed."""
    behind_seconds: float
    complete: bool
    """False until its backfill has finished."""


class ServerFeed(ReplyModel):
    """The position of the last commit in the change feed, and the feed's consumers."""

    position: int
    consumers: list[ServerConsumer]


class Server(ReplyModel):
    """The process that answered, and its database."""

    type: Literal["server"] = "server"
    version: str
    host: str
    pid: int
    now: datetime
    started_at: datetime
    uptime_seconds: float
    ready: bool
    problem: str | None = None
    """Why it accepts no writes now."""
    has_secret_key: bool | None = None
    """Whether webhooks can be created; None if the server does not say."""
    database: ServerDatabase
    queue: ServerQueue
    buffered_bytes: Limited
    connections: Limited
    event_streams: Limited
    requests: ServerRequests
    feed: ServerFeed


class Price(ReplyModel):
    """The price of a million tokens."""

    model: str
    """The name of a model, in which `*` and `?` are wildcards."""
    prompt: float
    completion: float


class ModelPrice(ReplyModel):
    """A requested model, and the price that applies to it."""

    model: str
    price: Price | None = None
    """None if no price matches."""


class PriceTable(ReplyModel):
    """All prices in order. The first one that matches a model applies."""

    type: Literal["price_table"] = "price_table"
    file: str | None = None
    """The name of the server's price file; None without one."""
    currency: str | None = None
    prices: list[Price]
    models: list[ModelPrice]
    """The requested models."""
