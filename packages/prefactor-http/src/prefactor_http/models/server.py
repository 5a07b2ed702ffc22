"""The server: how it is, for those who keep it running, and the prices it computes costs with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class Limited(ReplyModel):
    """How much of something there is now, and the limit; None for none."""

    now: int
    limit: int | None = None


class ServerDatabase(ReplyModel):
    """The database, with everything of all accounts."""

    kind: str
    version: str
    schema_version: int
    """The number of its last migration."""
    size_bytes: int
    free_disk_bytes: int | None = None
    """None if its disk is that of another machine."""


class ServerQueue(ReplyModel):
    """The bytes of writes that are not committed, and the requests whose batch has not begun."""

    bytes: Limited
    requests: int


class ServerRequests(ReplyModel):
    """Requests that the process has answered."""

    answered: int
    rejected: int
    """Told to come back: 429 and 503."""
    failed: int
    """Met an error of the server: 500."""


class ServerConsumer(ReplyModel):
    """What is derived from runs, and how far that is behind them."""

    name: str
    position: int
    behind: int
    """In positions of the change feed."""
    behind_seconds: float
    complete: bool
    """False until what was stored before has been filled in."""


class ServerFeed(ReplyModel):
    """The position of the last commit in the change feed, and who follows it."""

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
    """Why it takes no writes now."""
    has_secret_key: bool | None = None
    """Whether webhooks can be made; None from a server that does not say."""
    database: ServerDatabase
    queue: ServerQueue
    buffered_bytes: Limited
    connections: Limited
    event_streams: Limited
    requests: ServerRequests
    feed: ServerFeed


class Price(ReplyModel):
    """What a million tokens cost."""

    model: str
    """The name of a model, in which `*` and `?` stand for more."""
    prompt: float
    completion: float


class ModelPrice(ReplyModel):
    """A model that was asked for, and the price that is in force for it."""

    model: str
    price: Price | None = None
    """None if no price fits."""


class PriceTable(ReplyModel):
    """All prices in their order: the first that fits a model is in force."""

    type: Literal["price_table"] = "price_table"
    file: str | None = None
    """The name of the server's price file; None without one."""
    currency: str | None = None
    prices: list[Price]
    models: list[ModelPrice]
    """Those that were asked for."""
