"""Delivering the records of dead processes, from the command line."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from prefactor_http import HttpClientConfig, PrefactorHttpClient, PrefactorHttpError
from prefactor_recorder.delivery import Delivery, DeliverySettings
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.journal.spool.journal import SpoolJournal
from prefactor_recorder.settings import RecorderSettings, resolve

if TYPE_CHECKING:
    from pathlib import Path


class FlushResult(NamedTuple):
    """The result of a flush."""

    delivered: int
    """Records that the server accepted."""
    dead_lettered: int
    """Records that the server will never accept, now dead letters."""
    left: int
    """Records still undelivered."""


class _NullListener:
    """A listener for a process without runs."""

    def terminated(self, run_id: str, reason: str | None) -> None:
        """Do nothing."""

    def open_runs(self) -> tuple[str, ...]:
        """Return no runs."""
        return ()


def flush(root: Path, timeout: float) -> FlushResult:
    """Deliver the records of dead processes, with the environment's API and token.

    Args:
        root: The root of the spool.
        timeout: Maximum seconds to spend.

    Raises:
        ConfigurationError: The environment lacks the API URL or the token.
    """
    settings = resolve()
    if settings.missing:
        raise ConfigurationError(f"{settings.missing} is not set, but needed for delivery")
    journal = SpoolJournal(root, api_url=settings.api_url, api_token=settings.api_token)
    deadline = time.monotonic() + timeout
    if account := asyncio.run(_account(settings)):
        journal.learn_account(account)
    delivery = Delivery(
        journal,
        DeliverySettings(api_url=settings.api_url, api_token=settings.api_token),
        _NullListener(),
    )
    # Adopt here and not only in the delivery thread, so that the records are counted even if the
    # timeout expires before the thread has started.
    journal.adopt()
    delivery.flush(max(deadline - time.monotonic(), 0))
    left = delivery.close(0)
    journal.close()
    return FlushResult(delivery.stats.delivered, delivery.stats.dead_lettered, left)


async def _account(settings: RecorderSettings) -> str | None:
    """Return the token's account, so that records made under an older token are found as well."""
    config = HttpClientConfig(
        settings.api_url, settings.api_token, request_timeout=5, max_retries=0
    )
    try:
        async with PrefactorHttpClient(config) as client:
            accounts = await client.accounts.list(page_size=2)
    except PrefactorHttpError:
        # An agent's token may not list accounts. Its own directory is still delivered.
        return None
    return accounts[0].id if len(accounts) == 1 else None
