"""Delivering what dead processes left, from the command line."""

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


class Flushed(NamedTuple):
    """What became of what was there."""

    delivered: int
    """Records that the server has now."""
    buried: int
    """Records that it will never take; they are dead letters."""
    left: int
    """Records that are still there."""


class _NobodyListens:
    """There are no runs in this process that could be terminated."""

    def terminated(self, run_id: str, reason: str | None) -> None:
        """Nobody to tell."""

    def open_runs(self) -> tuple[str, ...]:
        """None."""
        return ()


def flush(root: Path, timeout: float) -> Flushed:
    """Deliver what nobody alive holds, for the API and the token that the environment names.

    Args:
        root: The root of the spool.
        timeout: Seconds after which to stop.

    Raises:
        ConfigurationError: The environment does not say where to, or with which token.
    """
    settings = resolve()
    if settings.missing:
        raise ConfigurationError(f"{settings.missing} is not set: it is needed to deliver")
    journal = SpoolJournal(root, api_url=settings.api_url, api_token=settings.api_token)
    deadline = time.monotonic() + timeout
    if account := asyncio.run(_account(settings)):
        journal.learn_account(account)
    delivery = Delivery(
        journal,
        DeliverySettings(api_url=settings.api_url, api_token=settings.api_token),
        _NobodyListens(),
    )
    # Here, and not only by the thread that delivers: what is left counts even if the time is over
    # before that has begun.
    journal.adopt()
    delivery.flush(max(deadline - time.monotonic(), 0))
    left = delivery.close(0)
    journal.close()
    return Flushed(delivery.stats.delivered, delivery.stats.buried, left)


async def _account(settings: RecorderSettings) -> str | None:
    """Whose token this is, so that what was recorded under an older one is found, too."""
    config = HttpClientConfig(
        settings.api_url, settings.api_token, request_timeout=5, max_retries=0
    )
    try:
        async with PrefactorHttpClient(config) as client:
            accounts = await client.accounts.list(page_size=2)
    except PrefactorHttpError:
        # A token of one agent may not ask. Its own directory is delivered all the same.
        return None
    return accounts[0].id if len(accounts) == 1 else None
