"""Assembles the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.api.asgi.application import Api
from prefactor_server.api.asgi.auth import Authenticator
from prefactor_server.api.asgi.rate_limit import SignInLimiter
from prefactor_server.api.asgi.request_events import RequestObserver
from prefactor_server.api.events.hub import EventHub, EventLimits
from prefactor_server.api.kernel.entropy import BufferedEntropy
from prefactor_server.api.kernel.passwords import Passwords
from prefactor_server.api.kernel.server_process import ServerProcess
from prefactor_server.api.kernel.services import Limits, Services
from prefactor_server.api.kernel.span_preparation import SpanPreparer
from prefactor_server.api.kernel.turns import Turns
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.api.views.event import changes_message
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable
from prefactor_server.follower.webhooks import SecretBox, WebhookClient
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.openid import Provider
from prefactor_server.queries import Reader

# Of the four threads or connections that read.
_COSTLY_READS_AT_ONCE: Final = 2


def create_api(
    reader: Reader,
    writer: Writer,
    *,
    now_us: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    limits: Limits,
    prices: PriceTable = NO_PRICES,
    observe: RequestObserver | None = None,
    budget: MemoryBudget | None = None,
    event_limits: EventLimits | None = None,
    provider: Provider | None = None,
    webhooks: WebhookClient | None = None,
    process: ServerProcess | None = None,
) -> Api:
    """Create the ASGI application for everything under ``/api/v1``.

    Args:
        reader: executes the reads, as ``Reader.for_storage(storage)`` creates it.
        writer: executes the writes. The caller closes it.
        now_us: the clock, in microseconds since 1970.
        random_bytes: the source of random bytes for ids, such as ``os.urandom``.
        limits: the settings that concern the API.
        prices: what tokens cost.
        observe: called for every answered request.
        budget: the memory budget of all requests; None means no limit.
        event_limits: the limits on the number of event streams, and their timing.
        provider: the OpenID Connect provider that people may sign in with.
        webhooks: sends tests to webhooks; None means a server without webhooks.
        process: the state of the process, as the API shows it to operators.
    """
    budget = budget or MemoryBudget(0)
    entropy = BufferedEntropy(random_bytes)
    authenticator = Authenticator(
        reader.api_tokens,
        reader.sessions,
        writer,
        now_us=now_us,
        cache_seconds=limits.token_cache_seconds,
        idle_seconds=limits.session_idle_seconds,
    )
    services = Services(
        reader=reader,
        writer=writer,
        now_us=now_us,
        ids=PfidMaker(now_us, entropy),
        random_bytes=entropy,
        limits=limits,
        span_preparer=SpanPreparer(reader),
        prices=prices,
        events=EventHub(
            reader.events, changes_message, limits=event_limits or EventLimits(), budget=budget
        ),
        budget=budget,
        process=process or ServerProcess(started_at=now_us()),
        forget_caller=authenticator.forget,
        authenticate_session=authenticator.authenticate_session,
        passwords=Passwords(),
        sign_in_limiter=SignInLimiter(),
        webhooks=webhooks or WebhookClient(SecretBox("", random_bytes), now_us=now_us),
        costly_reads=Turns(_COSTLY_READS_AT_ONCE),
        provider=provider,
    )
    return Api(
        OPERATIONS,
        services,
        authenticator,
        budget=budget,
        observe=observe,
    )
