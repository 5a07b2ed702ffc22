"""A webhook receiver on a loopback address, which checks signatures and can misbehave."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from prefactor_server.domain.runs.webhooks.target import AllowedNetworks
from prefactor_server.follower.webhooks import SecretBox, WebhookClient

SECRET_KEY = "a secret key that only tests have"


def no_names(host: str, port: int) -> Sequence[str]:
    """Resolve nothing, because no test may ask a name server."""
    raise OSError(f"{host}:{port} is not resolved")


def offline_webhooks(
    now_us: Callable[[], int], *, networks: str = "127.0.0.0/8", secret_key: str = SECRET_KEY
) -> WebhookClient:
    """A webhook sender that only reaches loopback addresses."""
    return WebhookClient(
        SecretBox(secret_key, os.urandom),
        AllowedNetworks.parse(networks),
        now_us=now_us,
        timeout_seconds=60,
        resolve=no_names,
    )


class Received(NamedTuple):
    """One request that came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Return whether a signature is valid under the Standard Webhooks specification."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """Records requests and answers ``statuses`` in turn, then ``status``."""

    url: str = ""
    status: int = 204
    statuses: list[int] = field(default_factory=list[int])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    hangs: bool = False
    answers: asyncio.Event | None = None
    """Answers wait for it."""
    answer: bytes = b""
    received: list[Received] = field(default_factory=list[Received])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    most_at_once: int = 0
    _at_once: int = 0

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.received]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        headers = {name.lower(): text for name, text in request.headers.items()}
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.received.append(Received(headers, await request.read()))
            self.arrived.set()
            if self.hangs:
                await asyncio.Event().wait()
            if self.answers is not None:
                await self.answers.wait()
            await asyncio.sleep(0)
        finally:
            self._at_once -= 1
        status = self.statuses.pop(0) if self.statuses else self.status
        body = b"" if status == 204 else self.answer
        return web.Response(status=status, headers=self.headers, body=body)


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """Run a receiver that accepts everything until the end of the block."""
    receiver = Receiver()
    application = web.Application(client_max_size=1024 * 1024)
    application.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
