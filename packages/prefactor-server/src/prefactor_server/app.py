"""Assembly of the server: the one place where its parts are created and connected."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from prefactor_server import __version__
from prefactor_server.api import Api, EventLimits, Limits, create_api
from prefactor_server.api.asgi.request_events import RequestEvent, RequestObserver
from prefactor_server.api.kernel.server_process import RequestTally, ServerProcess
from prefactor_server.background import in_background
from prefactor_server.bootstrap import bootstrap
from prefactor_server.commands.runs.heartbeat_buffer import HeartbeatBuffer
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import OpenStorage, is_on_server, open_storage
from prefactor_server.domain.api_token import hash_token
from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.cost import PriceTable
from prefactor_server.follower import CommitSignal, Follower
from prefactor_server.follower.commit_relay import relay_commits
from prefactor_server.follower.consumers import consumers
from prefactor_server.follower.webhooks import (
    WebhookClient,
    WebhookSender,
    webhook_client,
    webhook_sender,
)
from prefactor_server.http.connection import connections
from prefactor_server.http.connection_limit import RESERVED_CONNECTIONS
from prefactor_server.http.fd_limit import raise_fd_limit
from prefactor_server.http.graceful_server import GracefulServer
from prefactor_server.http.listening import listen, url_of
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.http.metrics import Metrics
from prefactor_server.http.pages import Pages, load_pages
from prefactor_server.http.probes import OpsRoutes, Page, Readiness, alive, metrics_page
from prefactor_server.http.request_log import RequestLog
from prefactor_server.http.stalled_connections import abort_stalled
from prefactor_server.openid import Provider, read_config
from prefactor_server.queries import Reader
from prefactor_server.settings import Settings
from prefactor_server.settings.price_file import load_prices
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import SharedClock
from prefactor_server.upkeep import (
    AbandonedRuns,
    RetentionTask,
    SilenceLimits,
    end_silent_traces,
    follow_clock,
    make_partitions,
    prune,
)

_log = structlog.get_logger("prefactor_server")

_GRACE_SECONDS: Final = 20  # for requests in flight after a SIGTERM


class Started(NamedTuple):
    """What to announce once the server accepts requests.

    ``new_token`` is the account token of a new database. ``unknown_token`` means that an
    existing database does not have the bootstrap token. ``sign_in_url`` opens the pages signed in,
    once.
    """

    url: str
    new_token: str | None
    unknown_token: bool
    sign_in_url: str | None


LinkMaker: TypeAlias = Callable[[Storage, Writer, socket.socket], Awaitable[str | None]]


async def serve(
    settings: Settings, on_started: Callable[[Started], None], make_link: LinkMaker
) -> None:
    """Run the server until a signal stops it, then finish the requests that it accepted.

    ``make_link`` returns the ``sign_in_url``, or None. ``on_started`` is called once,
    when the server answers.

    Raises:
        SettingError, DatabaseError: see ``open_storage``.
        OSError: the server cannot listen on the address.
    """
    _remove_ready_file(settings)
    # Before a database is created, because a server that fails to start cannot print its token.
    parts = _Parts.of(settings)
    with listen(settings.host, settings.port) as listener:
        storage = await open_storage(settings)
        try:
            await _serve_on(
                storage, listener, settings, parts, on_started=on_started, make_link=make_link
            )
            _log.info("stopped")
        finally:
            await storage.close()


class _Parts(NamedTuple):
    """The parts that depend on nothing but the settings."""

    clock: SharedClock
    prices: PriceTable
    provider: Provider | None
    budget: MemoryBudget
    webhooks: WebhookClient

    @classmethod
    def of(cls, settings: Settings) -> _Parts:
        """Return the parts.

        Raises:
            SettingError: a setting is invalid.
        """
        openid = read_config(settings.openid, settings.public_url)
        clock, timeout = SharedClock(), settings.webhook_timeout_seconds
        return cls(
            clock,
            load_prices(settings.price_file),
            None if openid is None else Provider(openid, clock),
            _memory_budget(settings),
            webhook_client(settings.secret_key, settings.private_networks, clock, timeout),
        )


async def _serve_on(
    storage: OpenStorage,
    listener: socket.socket,
    settings: Settings,
    parts: _Parts,
    *,
    on_started: Callable[[Started], None],
    make_link: LinkMaker,
) -> None:
    clock, database_us = parts.clock, storage.maintenance.now_us
    await clock.compare(database_us)
    new_token = await bootstrap(
        storage,
        settings.bootstrap_token,
        ids=PfidMaker(clock, os.urandom),
        now=clock(),
        random_bytes=secrets.token_bytes,
    )
    metrics = Metrics(CollectorRegistry(), version=__version__)
    commits = CommitSignal()
    holder = _holder(settings)
    writer = Writer(
        storage,
        max_queue_bytes=settings.max_queue_bytes,
        concurrency=storage.concurrency,
        observer=metrics,
        on_commit=commits.notify,
    )
    attached = consumers(storage, parts.prices, clock, settings.public_url)
    follower = Follower(storage.feed, attached, commits, holder=holder, now_us=clock)
    readiness = Readiness(storage.maintenance.check_writable, timer=time.monotonic)
    started = Started(
        url_of(listener),
        new_token,
        unknown_token=not await _token_exists(storage, settings.bootstrap_token),
        sign_in_url=await make_link(storage, writer, listener),
    )
    process = ServerProcess(
        started_at=clock(),
        problem=readiness.problem,
        connections=lambda: len(server.server_state.connections),
        max_connections=settings.max_connections,
        max_queue_bytes=settings.max_queue_bytes,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    observe = _observer(settings, metrics, process.requests)
    application, api = _assemble(
        settings,
        storage,
        writer,
        metrics,
        readiness=readiness,
        parts=parts,
        observe=observe,
        process=process,
    )
    commits.call(api.events.wake)

    def begin_stop() -> None:
        readiness.stop()
        # The clients of streams reconnect, to another replica if there is one.
        api.events.close()

    server = GracefulServer(
        _uvicorn_config(application, settings, observe, parts.budget),
        lambda: _announce_start(settings, started, on_started),
        begin_stop,
        drain_seconds=settings.drain_seconds,
    )
    open_connections = server.server_state.connections
    metrics.watch_writer(writer)
    metrics.watch_follower(follower)
    metrics.watch_load(parts.budget, open_connections)
    metrics.watch_standby(storage.standby)
    sender = webhook_sender(
        storage, writer, parts.webhooks, holder, clock, keep_days=settings.webhook_days
    )
    metrics.watch_webhooks(sender)
    tasks = [
        follow_clock(clock, database_us),
        follower.run(),
        relay_commits(storage.feed, commits),
        abort_stalled(open_connections, settings.send_timeout_seconds),
        *_upkeep(
            settings,
            storage,
            writer,
            webhooks=sender,
            heartbeats=api.heartbeats,
            holder=holder,
            clock=clock,
        ),
    ]
    async with in_background(tasks):
        await server.serve([listener])
    await writer.close()


def _upkeep(
    settings: Settings,
    storage: OpenStorage,
    writer: Writer,
    *,
    webhooks: WebhookSender,
    heartbeats: HeartbeatBuffer,
    holder: str,
    clock: SharedClock,
) -> Sequence[Coroutine[Any, Any, None]]:
    """Return the periodic work of a server; each coroutine runs until it is cancelled."""
    limits = SilenceLimits.of(*settings.silence)
    abandoned = AbandonedRuns(storage, writer, limits, holder=holder, now_us=clock)
    idle_minutes, maintenance = settings.otlp_idle_minutes, storage.maintenance
    key_days, idle_seconds = settings.idempotency_days, settings.session_idle_seconds
    return [
        webhooks.run(),
        abandoned.run(heartbeats),
        RetentionTask(storage, holder, clock, settings.retention_interval_seconds).run(),
        end_silent_traces(maintenance, writer, clock, idle_minutes=idle_minutes),
        make_partitions(maintenance, clock, days=settings.partition_days),
        prune(storage, clock, key_days=key_days, session_idle_seconds=idle_seconds),
    ]


def _remove_ready_file(settings: Settings) -> None:
    # A file left by an earlier server would lead its readers to the wrong address.
    if settings.ready_file:
        Path(settings.ready_file).unlink(missing_ok=True)


def _holder(settings: Settings) -> str:
    # A file has one server, which need not wait for its own lease to expire after a restart.
    return secrets.token_hex(8) if is_on_server(settings.database) else "server"


async def _token_exists(storage: Storage, token: str) -> bool:
    if not token:
        return True
    return await storage.token_by_hash(hash_token(token)) is not None


def _memory_budget(settings: Settings) -> MemoryBudget:
    # A compressed request is held both compressed and decompressed.
    least = 2 * settings.max_request_bytes
    if 0 < settings.max_buffered_bytes < least:
        raise SettingError(
            f"max_buffered_bytes must be at least twice max_request_bytes ({least}), "
            f"got {settings.max_buffered_bytes}"
        )
    return MemoryBudget(settings.max_buffered_bytes)


def _observer(settings: Settings, metrics: Metrics, tally: RequestTally) -> RequestObserver:
    """Return an observer that counts and logs answered requests."""
    log = RequestLog(everything=settings.log_requests, slow_seconds=settings.slow_request_ms / 1000)

    def observe(answered: RequestEvent) -> None:
        metrics.answered(answered)
        tally.add(answered)
        log.answered(answered)

    return observe


def _assemble(
    settings: Settings,
    storage: Storage,
    writer: Writer,
    metrics: Metrics,
    *,
    readiness: Readiness,
    parts: _Parts,
    observe: RequestObserver,
    process: ServerProcess,
) -> tuple[ASGIApp, Api]:
    """Build the ASGI application: pages, operational routes and the API, which is returned too."""
    api = create_api(
        Reader.for_storage(storage),
        writer,
        now_us=parts.clock,
        random_bytes=os.urandom,
        limits=Limits(
            max_request_bytes=settings.max_request_bytes,
            max_payload_bytes=settings.max_payload_bytes,
            token_cache_seconds=settings.token_cache_seconds,
            auto_create_agents=settings.auto_create_agents,
            requests_per_second=settings.requests_per_second,
            public_url=settings.public_url,
            session_idle_seconds=settings.session_idle_seconds,
            session_max_seconds=settings.session_max_seconds,
            trusted_proxies=settings.proxies,
            otlp_keep_all=settings.otlp_keep == "all",
        ),
        prices=parts.prices,
        observe=observe,
        budget=parts.budget,
        provider=parts.provider,
        webhooks=parts.webhooks,
        process=process,
        event_limits=EventLimits(
            max_streams=settings.max_event_streams,
            max_streams_per_account=settings.max_event_streams_per_account,
            stream_seconds=settings.event_stream_seconds,
        ),
    )
    metrics.watch_events(api.events)
    metrics.watch_otlp(api.otlp)
    metrics.watch_heartbeats(api.heartbeats)
    probes: dict[str, Page] = {"/healthz": alive, "/readyz": readiness.page}
    if settings.metrics:
        probes["/metrics"] = metrics_page(metrics)
    return Pages(OpsRoutes(api, probes), load_pages()), api


def _uvicorn_config(
    application: ASGIApp, settings: Settings, observe: RequestObserver, budget: MemoryBudget
) -> uvicorn.Config:
    max_connections = settings.max_connections
    if raise_fd_limit(max_connections + RESERVED_CONNECTIONS) < max_connections:
        _log.warning(
            "open_files_limited", max_connections=max_connections, help="Raise it: ulimit -n"
        )
    return uvicorn.Config(
        application,
        http=connections(
            settings.request_timeout_seconds,
            os.urandom,
            max_connections=max_connections,
            observe=observe,
            budget=budget,
        ),
        # A request to upgrade to WebSocket is answered like any other.
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # The API reads forwarding headers itself, from trusted proxies only.
        proxy_headers=False,
        # Longer than the idle timeouts of common clients, so that they close first. A server that
        # closes first may cut off a request that is on its way.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _announce_start(
    settings: Settings, started: Started, on_started: Callable[[Started], None]
) -> None:
    # The ready file comes last, so that a process waiting for it can read what was printed.
    _log.info("started", version=__version__, url=started.url, pid=os.getpid())
    on_started(started)
    if settings.ready_file:
        # Replaced atomically, so that readers never see a partial file.
        path = Path(settings.ready_file)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps({"url": started.url, "pid": os.getpid()}), encoding="utf-8")
        draft.replace(path)
