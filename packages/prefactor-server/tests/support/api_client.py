"""A client of an in-process server, with access to the database behind it."""

import json
import os
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import asyncpg
from backends import open_storage
from listener import listening
from webhook_receiver import SECRET_KEY, offline_webhooks

from prefactor_server.api import EventHub, EventLimits, Limits, create_api
from prefactor_server.bootstrap import bootstrap
from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.commands.runs.heartbeat_buffer import HeartbeatBuffer
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import OpenStorage, database_path, is_on_server
from prefactor_server.domain.api_token import ApiToken, hash_token
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable
from prefactor_server.follower import CommitSignal, Follower
from prefactor_server.follower.consumers import consumers
from prefactor_server.follower.lease import Lease
from prefactor_server.follower.webhooks import WebhookClient, WebhookSender
from prefactor_server.openid import OpenIdConfig, Provider
from prefactor_server.otlp.memory import OtlpMemory
from prefactor_server.queries import Reader
from prefactor_server.storage.base import Changes, Needs, Snapshot
from prefactor_server.upkeep import RetentionTask

TOKEN = "token-of-the-test-suite"
LIMITS = Limits(
    max_request_bytes=10 * 1024 * 1024,
    max_payload_bytes=1024 * 1024,
    token_cache_seconds=10,
    auto_create_agents=True,
)


class PutToken(NamedTuple):
    """Writes a token row unchecked, because tests want tokens in every state."""

    request: Request
    token: ApiToken
    new: bool
    operation: str = "tests.put_token"

    def needs(self, needs: Needs) -> None:
        needs.tokens.add(self.token.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        del snapshot
        rows = (self.token,)
        changes = Changes(inserted=rows) if self.new else Changes(updated=rows)
        return Decision(changes, Done(self.token.id, self.token))


class Clock:
    """A clock that advances by a millisecond per reading, and by more on request."""

    def __init__(self) -> None:
        self.now = 1_767_225_600_000_000  # 2026-01-01
        self._step = 1000

    def __call__(self) -> int:
        self.now += self._step
        return self.now

    def stop(self) -> None:
        self._step = 0

    def leap(self, *, seconds: int) -> None:
        self.now += seconds * 1_000_000


def error_code(body: Any) -> str:
    """Return the code of an error, from the API's body or from an OTLP Status."""
    if isinstance(body["code"], str):
        return body["code"]
    (reason,) = [one["reason"] for one in body["details"] if "reason" in one]
    return str(reason).lower()


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def content(self) -> bytes:
        """Return the raw body, for answers that are not text."""
        return self.text.encode(errors="surrogateescape")

    @property
    def details(self) -> Any:
        assert self.status == 200, self.text
        return self.body["details"]

    @property
    def summaries(self) -> Any:
        assert self.status == 200, self.text
        return self.body["summaries"]

    @property
    def replayed(self) -> bool:
        assert self.status == 200, self.text
        return self.headers.get("Idempotent-Replayed") == "true"

    def refused(self, status: int, code: str) -> Any:
        """The body of an error that has this status and code."""
        assert (self.status, error_code(self.body)) == (status, code), self.text
        return self.body


@dataclass
class ApiClient:
    """A simple client of the server."""

    url: str
    session: aiohttp.ClientSession
    clock: Clock
    storage: OpenStorage
    database: str
    writer: Writer
    events: EventHub
    otlp: OtlpMemory
    webhooks: WebhookClient
    prices: PriceTable
    heartbeats: HeartbeatBuffer
    token: str | None = TOKEN
    _made: int = field(default=0)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """Send one request; bytes and texts are sent unchanged, anything else as JSON."""
        data = body
        if not isinstance(body, bytes | str | None):
            data = json.dumps(body)
        shown = token or self.token
        auth = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        async with self.session.request(
            method,
            self.url + (path if path.startswith("/v1/") else f"/api/v1{path}"),
            data=data,
            params=query,
            headers={**auth, **(headers or {})},
        ) as response:
            text = await response.text(errors="surrogateescape")
            return Answer(response.status, response.headers, text)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Answer:
        return await self.call("GET", path, **(query or {}), **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.call("POST", path, body, **more)

    async def register(self, run_id: str | None = None, **fields: Any) -> Any:
        """Return a registered run, with a given or generated id."""
        fields = {"agent_id": "agent-1", **fields}
        if run_id is not None:
            fields["id"] = run_id
        return (await self.post("/agent_instance/register", fields)).details

    async def run(self, status: str = "active", **fields: Any) -> Any:
        """A run that has reached a status."""
        run = await self.register(**fields)
        path = f"/agent_instance/{run['id']}"
        if status != "pending":
            run = (await self.post(f"{path}/start")).details
        if status == "terminated":
            run = (await self.post(f"{path}/terminate", {"reason": "enough"})).details
        elif status not in ("pending", "active"):
            run = (await self.post(f"{path}/finish", {"status": status})).details
        return run

    async def span(self, run: Any, **details: Any) -> Any:
        """A created span of a run."""
        run_id = run if isinstance(run, str) else run["id"]
        details = {"agent_instance_id": run_id, "schema_name": "step", **details}
        return (await self.post("/agent_spans", {"details": details})).details

    async def add_token(self, **fields: Any) -> tuple[str, ApiToken]:
        """Create another token; return its text and its row."""
        self._made += 1
        text = f"another-token-{self._made}"
        accounts = await self.storage.accounts()
        token = ApiToken(
            id=f"token-{self._made}",
            account_id=accounts[0].id,
            token_scope="account",
            agent_id=None,
            environment_id=None,
            agent_deployment_id=None,
            token_hash=hash_token(text),
            token_start=text[:4],
            expires_at=None,
            inserted_at=self.clock(),
            status="active",
            last_used_at=None,
            updated_at=self.clock.now,
        )._replace(**fields)
        await self.put(token, new=True)
        return text, token

    async def put(self, token: ApiToken, *, new: bool = False) -> None:
        """Write a token row unchanged."""
        request = Request(token.account_id, "test", self.clock(), None, b"")
        await self.writer.submit([PutToken(request, token, new)], 0)

    async def rows(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query with a ``?`` for each value, read from the database."""
        if is_on_server(self.database):
            numbered = iter(range(1, len(values) + 1))
            text = "".join(f"${next(numbered)}" if c == "?" else c for c in sql)
            connection = await asyncpg.connect(self.database)
            try:
                return [tuple(record) for record in await connection.fetch(text, *values)]
            finally:
                await connection.close()
        with closing(sqlite3.connect(database_path(self.database))) as connection:
            return connection.execute(sql, values).fetchall()

    async def follow(self) -> None:
        """Let the follower catch up."""
        attached = consumers(self.storage, self.prices, self.clock, "https://prefactor.example")
        follower = Follower(
            self.storage.feed, attached, CommitSignal(), holder="api_client", now_us=self.clock
        )
        while await follower.turn():
            pass

    async def send_webhooks(self) -> None:
        """Send webhooks, as a server does in the background."""
        await self.follow()
        lease = Lease(self.storage.feed, "api_client", self.clock, name="webhooks")
        sender = self.webhook_sender(lease)
        await sender.turn()
        await sender.idle()
        await lease.release()

    def webhook_sender(self, lease: Lease) -> WebhookSender:
        """The sender of webhooks of a server with a lease."""
        return WebhookSender(
            self.storage,
            self.writer,
            self.webhooks,
            lease,
            now_us=self.clock,
            jitter=lambda: 0.0,
            keep_us=30 * 86_400 * 1_000_000,
        )

    async def apply_retention(self) -> None:
        """Apply retention policies, as a server does in the background."""
        await RetentionTask(self.storage, "api_client", self.clock, 0).turn()

    async def deployment_token(self, run: Any) -> str:
        """A token of the deployment that a run belongs to."""
        text, _ = await self.add_token(
            token_scope="agent_deployment",
            agent_id=run["agent_id"],
            environment_id=run["environment_id"],
            agent_deployment_id=run["agent_deployment_id"],
        )
        return text


@asynccontextmanager
async def open_api_client(
    database: str,
    *,
    limits: Limits = LIMITS,
    prices: PriceTable = NO_PRICES,
    event_limits: EventLimits | None = None,
    send_buffer: int = 0,
    send_timeout: int = 0,
    openid: OpenIdConfig | None = None,
    clock: Clock | None = None,
    secret_key: str = SECRET_KEY,
) -> AsyncGenerator[ApiClient]:
    """Return a client of a new server on a database, with an account."""
    clock = clock or Clock()
    storage = await open_storage(database)
    ids = PfidMaker(clock, os.urandom)
    await bootstrap(storage, TOKEN, ids=ids, now=clock(), random_bytes=os.urandom)
    commits = CommitSignal()
    writer = Writer(
        storage,
        max_queue_bytes=64 * 1024 * 1024,
        concurrency=storage.concurrency,
        on_commit=commits.notify,
    )
    webhooks = offline_webhooks(clock, secret_key=secret_key)
    api = create_api(
        Reader.for_storage(storage),
        writer,
        now_us=clock,
        random_bytes=os.urandom,
        limits=limits,
        prices=prices,
        event_limits=event_limits,
        provider=None if openid is None else Provider(openid, clock),
        webhooks=webhooks,
    )
    commits.call(api.events.wake)
    try:
        async with (
            listening(api, send_buffer=send_buffer, send_timeout=send_timeout) as url,
            aiohttp.ClientSession() as session,
        ):
            try:
                yield ApiClient(
                    url,
                    session,
                    clock,
                    storage,
                    database,
                    writer,
                    api.events,
                    api.otlp,
                    webhooks,
                    prices,
                    api.heartbeats,
                )
            finally:
                # Close the streams, because a server waits for open answers and streams do not end
                # by themselves.
                api.events.close()
    finally:
        await webhooks.close()
        await writer.close()
        await storage.close()
