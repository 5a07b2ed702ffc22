"""The services and limits that operations use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prefactor_server.api.asgi.rate_limit import SignInLimiter
from prefactor_server.api.events.hub import EventHub
from prefactor_server.api.kernel.passwords import Passwords
from prefactor_server.api.kernel.server_process import ServerProcess
from prefactor_server.api.kernel.span_preparation import SpanPreparer
from prefactor_server.api.kernel.turns import Turns
from prefactor_server.commands.runs.heartbeat_buffer import HeartbeatBuffer
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.client_address import NO_PROXIES, TrustedProxies
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.cost import PriceTable
from prefactor_server.follower.webhooks import WebhookClient
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.openid import Provider
from prefactor_server.otlp.memory import OtlpMemory
from prefactor_server.queries import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that concern the API; see ``settings.SETTINGS`` for their meaning."""

    max_request_bytes: int
    max_payload_bytes: int
    token_cache_seconds: int
    auto_create_agents: bool
    requests_per_second: int = 0
    public_url: str = ""
    session_idle_seconds: int = 12 * 3600
    session_max_seconds: int = 7 * 24 * 3600
    trusted_proxies: TrustedProxies = NO_PROXIES
    otlp_keep_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The readers, the writer, the clock, the entropy, and the caches that requests share."""

    reader: Reader
    writer: Writer
    now_us: Callable[[], int]
    ids: PfidMaker
    random_bytes: Callable[[int], bytes]
    limits: Limits
    span_preparer: SpanPreparer
    prices: PriceTable
    events: EventHub
    budget: MemoryBudget
    process: ServerProcess
    forget_caller: Callable[[str], None]
    """Drops a changed token, session or person from the cache."""
    authenticate_session: Callable[[str], Awaitable[Principal]]
    passwords: Passwords
    sign_in_limiter: SignInLimiter
    webhooks: WebhookClient
    costly_reads: Turns
    provider: Provider | None = None
    """The OpenID Connect provider that people may sign in with, if any."""
    otlp: OtlpMemory = field(default_factory=OtlpMemory)
    heartbeats: HeartbeatBuffer = field(default_factory=HeartbeatBuffer)
    accepting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a person is added to the account."""
